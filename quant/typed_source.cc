#include "quant/typed_source.h"

#include <algorithm>
#include <memory>

#include "base/error.h"
#include "kernels/codec.h"
#include "quant/finite.h"

namespace quern {
namespace {

// Weights that are decoded and encoded at a time: their floats stay in the second-level cache.
constexpr int64_t kPieceWeights = int64_t{1} << 15;

// A block's scale is no larger than its largest weight, and scales are float16 at the least, so
// below this an encoded block cannot hold an Inf and need not be looked at.
constexpr float kSafeMagnitude = 30000;

struct Scratch {
  std::vector<std::byte> raw;
  std::vector<float> weights;
};

// Buffers of this thread. A source may stand on a source of the same kind, so a thread can be in
// several reads at once: each takes the next buffers of the stack.
class ScratchLease {
 public:
  ScratchLease() {
    if (depth_ == stack_.size()) stack_.push_back(std::make_unique<Scratch>());
    scratch_ = stack_[depth_++].get();
  }
  ~ScratchLease() { --depth_; }
  ScratchLease(const ScratchLease&) = delete;
  ScratchLease& operator=(const ScratchLease&) = delete;
  Scratch* operator->() const { return scratch_; }

 private:
  static thread_local std::vector<std::unique_ptr<Scratch>> stack_;
  static thread_local size_t depth_;
  Scratch* scratch_;
};

thread_local std::vector<std::unique_ptr<Scratch>> ScratchLease::stack_;
thread_local size_t ScratchLease::depth_ = 0;

std::vector<TensorInfo> Retyped(const TensorSource& base, const std::vector<Type>& types) {
  QUERN_CHECK(types.size() == base.tensors().size());
  std::vector<TensorInfo> tensors = base.tensors();
  for (size_t t = 0; t < tensors.size(); ++t) {
    TensorInfo& tensor = tensors[t];
    if (tensor.type == types[t]) continue;
    const auto fail = [&](const std::string& why) {
      Fail(ErrorKind::kUnsupported, "{}: tensor '{}' cannot go from {} to {}: {}", base.name(),
           tensor.name, NameOf(tensor.type), NameOf(types[t]), why);
    };
    if (!CanDecode(tensor.type)) fail(fmt::format("{} cannot be decoded", NameOf(tensor.type)));
    if (!CanEncode(types[t])) fail(fmt::format("{} cannot be encoded", NameOf(types[t])));
    const int64_t block = InfoOf(types[t]).elems;
    if (tensor.cols() % block != 0) {
      fail(fmt::format("a row has {} weights, blocks of {} are needed", tensor.cols(), block));
    }
    tensor.type = types[t];
  }
  return tensors;
}

int64_t Slices(const TensorInfo& tensor) { return tensor.shape.size() > 2 ? tensor.shape[2] : 1; }

[[noreturn]] void FailNonFinite(const TensorSource& source, const TensorInfo& tensor,
                                int64_t index) {
  Fail(ErrorKind::kNonFinite, "{}: tensor '{}' has NaN or Inf at index {}", source.name(),
       tensor.name, index);
}

}  // namespace

TypedSource::TypedSource(std::shared_ptr<const TensorSource> base, const std::vector<Type>& types,
                         Importance importance, EncodeObserver* observer)
    : TensorSource(base->name(), Retyped(*base, types)),
      base_(std::move(base)),
      importance_(std::move(importance)),
      observer_(observer) {
  importance_.resize(tensors().size());
  for (size_t t = 0; t < tensors().size(); ++t) {
    const auto size = static_cast<int64_t>(importance_[t].size());
    QUERN_CHECK(size == 0 || size == tensors()[t].cols() * Slices(tensors()[t]));
  }
}

void TypedSource::ReadRows(size_t index, int64_t first, int64_t count,
                           std::span<std::byte> out) const {
  const TensorInfo& tensor = tensors()[index];
  QUERN_CHECK(first >= 0 && count >= 0 && first + count <= tensor.rows());
  QUERN_CHECK(out.size() == static_cast<size_t>(count * tensor.row_bytes()));
  if (tensor.type == base_->tensors()[index].type) {
    Copy(index, first, count, out);
    return;
  }
  const int64_t cols = std::max<int64_t>(tensor.cols(), 1);
  const int64_t step = std::max<int64_t>(kPieceWeights / cols, 1);
  // Each slice has importance weights of its own, so a piece ends with its slice.
  const int64_t slice =
      tensor.shape.size() > 2 ? std::max<int64_t>(tensor.shape[1], 1) : tensor.rows();
  for (int64_t row = first; row < first + count;) {
    const int64_t piece = std::min({step, first + count - row, slice - row % slice});
    Encode(index, row, piece,
           out.subspan(static_cast<size_t>((row - first) * tensor.row_bytes()),
                       static_cast<size_t>(piece * tensor.row_bytes())));
    row += piece;
  }
}

void TypedSource::Copy(size_t index, int64_t first, int64_t count, std::span<std::byte> out) const {
  const TensorInfo& tensor = tensors()[index];
  base_->ReadRows(index, first, count, out);
  if (const auto bad = FirstNonFinite(tensor.type, out, count * tensor.cols())) {
    FailNonFinite(*this, tensor, first * tensor.cols() + *bad);
  }
}

void TypedSource::Encode(size_t index, int64_t first, int64_t count,
                         std::span<std::byte> out) const {
  const TensorInfo& from = base_->tensors()[index];
  const TensorInfo& to = tensors()[index];
  const int64_t elements = count * to.cols();
  ScratchLease scratch;
  scratch->weights.resize(static_cast<size_t>(elements));
  const std::span<float> weights(scratch->weights);
  if (from.type == Type::kF32) {
    base_->ReadRows(index, first, count, std::as_writable_bytes(weights));
  } else {
    scratch->raw.resize(static_cast<size_t>(count * from.row_bytes()));
    base_->ReadRows(index, first, count, scratch->raw);
    Decode(from.type, scratch->raw.data(), elements, weights.data());
  }
  const FiniteScan scan = ScanFinite(weights);
  if (scan.first_non_finite) {
    FailNonFinite(*this, to, first * to.cols() + *scan.first_non_finite);
  }
  std::span<const float> importance(importance_[index]);
  if (!importance.empty() && to.shape.size() > 2) {
    const int64_t slice = first / to.shape[1] % to.shape[2];
    importance =
        importance.subspan(static_cast<size_t>(slice * to.cols()), static_cast<size_t>(to.cols()));
  }
  EncodeRows(to.type, weights.data(), count, to.cols(), importance, out.data());
  if (scan.largest > kSafeMagnitude) {
    if (const auto bad = FirstNonFinite(to.type, out, elements)) {
      const int64_t flat = first * to.cols() + *bad;
      Fail(ErrorKind::kNonFinite, "{}: tensor '{}' has {} at index {}, which {} cannot hold",
           name(), to.name, weights[static_cast<size_t>(*bad)], flat, NameOf(to.type));
    }
  }
  if (observer_) observer_->Encoded(index, first, weights, out);
}

}  // namespace quern
