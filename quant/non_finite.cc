#include "quant/non_finite.h"

#include <map>
#include <mutex>

#include "gguf/tensor_sink.h"
#include "quant/finite.h"

namespace quern {
namespace {

// Looks at what streams into it and keeps nothing but the places.
class Detector : public TensorSink {
 public:
  explicit Detector(const TensorSource& source) : source_(source) {}

  void WriteRows(size_t index, int64_t first, std::span<const std::byte> rows) override {
    if (rows.empty()) return;
    const TensorInfo& tensor = source_.tensors()[index];
    const auto count = static_cast<int64_t>(rows.size()) / tensor.row_bytes() * tensor.cols();
    const auto bad = FirstNonFinite(tensor.type, rows, count);
    if (!bad) return;
    const int64_t flat = first * tensor.cols() + *bad;
    std::lock_guard lock(mutex_);
    const auto [place, added] = found_.try_emplace(index, flat);
    if (!added) place->second = std::min(place->second, flat);
  }
  void Commit() override {}

  std::vector<NonFinite> Found() const {
    std::vector<NonFinite> found;
    for (const auto& [tensor, index] : found_) found.push_back({tensor, index});
    return found;
  }

 private:
  const TensorSource& source_;
  std::mutex mutex_;
  std::map<size_t, int64_t> found_;
};

}  // namespace

std::vector<NonFinite> FindNonFinite(const TensorSource& source, Progress& progress) {
  Detector detector(source);
  Stream(source, detector, progress);
  return detector.Found();
}

}  // namespace quern
