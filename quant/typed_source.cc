#include "quant/typed_source.h"

#include <tbb/cache_aligned_allocator.h>

#include <algorithm>
#include <chrono>
#include <memory>

#include "base/error.h"
#include "kernels/codec.h"

namespace quern {
namespace {

// Weights that are decoded and encoded at a time: their floats stay in the second-level cache.
constexpr int64_t kPieceWeights = int64_t{1} << 15;

// A block's scale is no larger than its largest weight, and scales are float16 at the least, so
// below this an encoded block cannot hold an Inf and need not be looked at, unless its importance
// weights are so large that the searches' sums overflow.
constexpr float kSafeMagnitude = 30000;
constexpr float kSafeImportance = 1e20F;

struct Scratch {
  std::vector<std::byte> raw;
  // Aligned, so that a register of them does not lie in two cache lines.
  std::vector<float, tbb::cache_aligned_allocator<float>> weights;
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

// Types that can be looked through for NaN and Inf, or sent to a device, as they are.
bool IsShortFloat(Type type) { return type == Type::kF16 || type == Type::kBF16; }

int64_t Slices(const TensorInfo& tensor) { return tensor.shape.size() > 2 ? tensor.shape[2] : 1; }

[[noreturn]] void FailNonFinite(const TensorSource& source, const TensorInfo& tensor,
                                int64_t index) {
  Fail(ErrorKind::kNonFinite, "{}: tensor '{}' has NaN or Inf at index {}", source.name(),
       tensor.name, index);
}

}  // namespace

TypedSource::TypedSource(std::shared_ptr<const TensorSource> base, const std::vector<Type>& types,
                         Importance importance, EncodeObserver* observer,
                         std::shared_ptr<DeviceEncoder> device)
    : TensorSource(base->name(), Retyped(*base, types)),
      base_(std::move(base)),
      importance_(std::move(importance)),
      observer_(observer),
      device_(std::move(device)) {
  importance_.resize(tensors().size());
  for (size_t t = 0; t < tensors().size(); ++t) {
    const auto size = static_cast<int64_t>(importance_[t].size());
    QUERN_CHECK(size == 0 || size == tensors()[t].cols() * Slices(tensors()[t]));
    const auto largest = std::max_element(importance_[t].begin(), importance_[t].end());
    overflows_.push_back(size > 0 && *largest > kSafeImportance);
    if (IsForDevice(t)) device_->Expect(tensors()[t].elements());
  }
}

void TypedSource::ReadRows(size_t index, int64_t first, int64_t count,
                           std::span<std::byte> out) const {
  const TensorInfo& tensor = tensors()[index];
  QUERN_CHECK(first >= 0 && count >= 0 && first + count <= tensor.rows());
  QUERN_CHECK(out.size() == static_cast<size_t>(count * tensor.row_bytes()));
  const Piece all{index, first, count, out};
  if (tensor.type == base_->tensors()[index].type) return Copy(all);
  // Each slice has importance weights of its own.
  const int64_t slice =
      tensor.shape.size() > 2 ? std::max<int64_t>(tensor.shape[1], 1) : tensor.rows();
  for (int64_t done = 0; done < count;) {
    const int64_t rows = std::min(count - done, slice - (first + done) % slice);
    Encode(PartOf(all, done, rows));
    done += rows;
  }
}

// Rows [first, ...) of the piece.
TypedSource::Piece TypedSource::PartOf(const Piece& piece, int64_t first, int64_t count) const {
  const int64_t row = tensors()[piece.index].row_bytes();
  return {piece.index, piece.first + first, count,
          piece.out.subspan(static_cast<size_t>(first * row), static_cast<size_t>(count * row))};
}

void TypedSource::Copy(const Piece& piece) const {
  const TensorInfo& tensor = tensors()[piece.index];
  base_->ReadRows(piece.index, piece.first, piece.count, piece.out);
  if (const auto bad = FirstNonFinite(tensor.type, piece.out, piece.count * tensor.cols())) {
    FailNonFinite(*this, tensor, piece.first * tensor.cols() + *bad);
  }
}

// Of numbers that stand for themselves the way to a device and back takes longer than the work.
bool TypedSource::IsForDevice(size_t index) const {
  const Type to = tensors()[index].type;
  return device_ && to != base_->tensors()[index].type && IsQuantized(to) && device_->CanEncode(to);
}

void TypedSource::Encode(const Piece& piece) const {
  const bool shared = IsForDevice(piece.index);
  const int64_t done = shared ? EncodeOnDevice(piece) : 0;
  if (done == piece.count) return;
  const auto start = std::chrono::steady_clock::now();
  const TensorInfo& to = tensors()[piece.index];
  const int64_t cols = std::max<int64_t>(to.cols(), 1);
  const int64_t step = std::max<int64_t>(kPieceWeights / cols, 1);
  for (int64_t row = done; row < piece.count; row += step) {
    EncodeHere(PartOf(piece, row, std::min(step, piece.count - row)));
  }
  if (shared) {
    const std::chrono::duration<double> took = std::chrono::steady_clock::now() - start;
    device_->EncodedHere({to.type, !importance_[piece.index].empty()}, (piece.count - done) * cols,
                         took.count());
  }
}

void TypedSource::EncodeHere(const Piece& piece) const {
  const TensorInfo& to = tensors()[piece.index];
  ScratchLease scratch;
  scratch->weights.resize(static_cast<size_t>(piece.count * to.cols()));
  const std::span<float> weights(scratch->weights);
  ReadAs(Type::kF32, piece, scratch->raw, std::as_writable_bytes(weights));
  const Type from = base_->tensors()[piece.index].type;
  const FiniteScan scan = IsShortFloat(from)
                              ? CheckFinite(piece, from, scratch->raw)
                              : CheckFinite(piece, Type::kF32, std::as_bytes(weights));
  EncodeRows(to.type, weights.data(), piece.count, to.cols(), ImportanceOf(piece),
             piece.out.data());
  CheckEncoded(piece, scan, weights);
  if (observer_) observer_->Encoded(piece.index, piece.first, weights, piece.out);
}

// Returns how many rows of the piece were done.
int64_t TypedSource::EncodeOnDevice(const Piece& piece) const {
  const TensorInfo& to = tensors()[piece.index];
  auto lease = device_->Take({to.type, !importance_[piece.index].empty()});
  if (!lease) return 0;
  const Type from = base_->tensors()[piece.index].type;
  const Type sent = IsShortFloat(from) ? from : Type::kF32;
  ScratchLease scratch;
  for (int64_t done = 0; done < piece.count;) {
    const int64_t rows = std::min(piece.count - done, lease->MaxRows(to.cols()));
    if (rows == 0) return done;
    const Piece part = PartOf(piece, done, rows);
    const auto input = lease->Input(static_cast<size_t>(rows * RowBytes(sent, to.cols())));
    ReadAs(sent, part, scratch->raw, input);
    const FiniteScan scan = CheckFinite(part, sent, input);
    if (!lease->Encode({to.type, sent, rows, to.cols()}, ImportanceOf(part), part.out)) return done;
    if (observer_ || MayOverflow(part, scan)) {
      scratch->weights.resize(static_cast<size_t>(rows * to.cols()));
      Decode(sent, input.data(), rows * to.cols(), scratch->weights.data());
      CheckEncoded(part, scan, scratch->weights);
      if (observer_) observer_->Encoded(part.index, part.first, scratch->weights, part.out);
    }
    done += rows;
  }
  return piece.count;
}

// The rows as `type`: their own, or f32.
void TypedSource::ReadAs(Type type, const Piece& piece, std::vector<std::byte>& raw,
                         std::span<std::byte> out) const {
  const TensorInfo& from = base_->tensors()[piece.index];
  if (from.type == type) return base_->ReadRows(piece.index, piece.first, piece.count, out);
  raw.resize(static_cast<size_t>(piece.count * from.row_bytes()));
  base_->ReadRows(piece.index, piece.first, piece.count, raw);
  Decode(from.type, raw.data(), piece.count * from.cols(), reinterpret_cast<float*>(out.data()));
}

FiniteScan TypedSource::CheckFinite(const Piece& piece, Type type,
                                    std::span<const std::byte> weights) const {
  const TensorInfo& tensor = tensors()[piece.index];
  const FiniteScan scan = ScanFinite(type, weights, piece.count * tensor.cols());
  if (scan.first_non_finite) {
    FailNonFinite(*this, tensor, piece.first * tensor.cols() + *scan.first_non_finite);
  }
  return scan;
}

bool TypedSource::MayOverflow(const Piece& piece, const FiniteScan& scan) const {
  return scan.largest > kSafeMagnitude || overflows_[piece.index];
}

void TypedSource::CheckEncoded(const Piece& piece, const FiniteScan& scan,
                               std::span<const float> weights) const {
  if (!MayOverflow(piece, scan)) return;
  const TensorInfo& to = tensors()[piece.index];
  const auto bad = FirstNonFinite(to.type, piece.out, piece.count * to.cols());
  if (!bad) return;
  Fail(ErrorKind::kNonFinite, "{}: tensor '{}' has {} at index {}, which {} cannot hold{}", name(),
       to.name, weights[static_cast<size_t>(*bad)], piece.first * to.cols() + *bad, NameOf(to.type),
       overflows_[piece.index] ? " with importance weights as large as these" : "");
}

// The importance weights of the piece's slice.
std::span<const float> TypedSource::ImportanceOf(const Piece& piece) const {
  const TensorInfo& to = tensors()[piece.index];
  const std::span<const float> importance(importance_[piece.index]);
  if (importance.empty() || to.shape.size() <= 2) return importance;
  const int64_t slice = piece.first / to.shape[1] % to.shape[2];
  return importance.subspan(static_cast<size_t>(slice * to.cols()), static_cast<size_t>(to.cols()));
}

}  // namespace quern
