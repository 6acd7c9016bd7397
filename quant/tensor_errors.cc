#include "quant/tensor_errors.h"

#include <algorithm>
#include <cmath>
#include <mutex>

#include "base/cancel.h"
#include "base/error.h"
#include "base/parallel.h"
#include "kernels/codec.h"

namespace quern {
namespace {

// Weights of each file that are compared at a time.
constexpr int64_t kPieceWeights = int64_t{1} << 16;

std::vector<float> Floats(const TensorSource& source, size_t tensor, int64_t first, int64_t count) {
  const TensorInfo& info = source.tensors()[tensor];
  std::vector<std::byte> bytes(static_cast<size_t>(count * info.row_bytes()));
  source.ReadRows(tensor, first, count, bytes);
  std::vector<float> weights(static_cast<size_t>(count * info.cols()));
  Decode(info.type, bytes.data(), std::ssize(weights), weights.data());
  return weights;
}

EncodingError Compare(const TensorSource& reference, size_t wanted, const TensorSource& candidate,
                      size_t got) {
  const TensorInfo& info = candidate.tensors()[got];
  const int64_t step = std::max<int64_t>(kPieceWeights / std::max<int64_t>(info.cols(), 1), 1);
  EncodingError total;
  std::mutex mutex;
  ParallelFor(info.rows(), step, [&](int64_t begin, int64_t end) {
    ThrowIfCancelled();
    const EncodingError piece = MeasureError(Floats(reference, wanted, begin, end - begin),
                                             Floats(candidate, got, begin, end - begin));
    std::lock_guard lock(mutex);
    total.Add(piece);
  });
  if (!std::isfinite(total.squared_error) || !std::isfinite(total.squared_weight)) {
    Fail(ErrorKind::kNonFinite, "{}: tensor '{}', or that of {}, has NaN or Inf", candidate.name(),
         info.name, reference.name());
  }
  return total;
}

}  // namespace

std::vector<TensorDifference> CompareTensors(const TensorSource& reference,
                                             const TensorSource& candidate, Progress& progress) {
  std::vector<TensorDifference> differences;
  const auto total = std::ssize(candidate.tensors());
  for (size_t t = 0; t < candidate.tensors().size(); ++t) {
    const TensorInfo& info = candidate.tensors()[t];
    progress.Step(static_cast<int64_t>(t) + 1, total, info.name);
    TensorDifference difference{info.name,    info.shape,   info.type,
                                std::nullopt, info.bytes(), std::nullopt};
    if (const auto found = reference.Find(info.name)) {
      const TensorInfo& other = reference.tensors()[*found];
      difference.reference_type = other.type;
      if (other.shape == info.shape && CanDecode(other.type) && CanDecode(info.type)) {
        difference.error = Compare(reference, *found, candidate, t);
      }
    }
    differences.push_back(std::move(difference));
  }
  return differences;
}

}  // namespace quern
