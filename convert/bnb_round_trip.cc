#include "convert/bnb_round_trip.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/codec.h"

namespace quern {
namespace {

// Blocks that are read at a time, of tensors of any width.
constexpr int64_t kPieceBlocks = 1024;

}  // namespace

bool IsBnbTarget(std::string_view hf_name, const TensorInfo& tensor) {
  constexpr std::string_view kOthers[] = {"embed_tokens.weight", "lm_head.weight", "norm.weight"};
  return tensor.shape.size() == 2 && hf_name.ends_with(".weight") &&
         std::none_of(std::begin(kOthers), std::end(kOthers),
                      [&](std::string_view other) { return hf_name.ends_with(other); });
}

std::string NameOf(const BnbForm& form) {
  return fmt::format("{}{}", NameOf(form.type), form.nested ? " (nested)" : "");
}

BnbRoundTripSource::BnbRoundTripSource(std::shared_ptr<const TensorSource> base,
                                       std::vector<bool> chosen, BnbForm form)
    : TensorSource(base->name(), base->tensors()),
      base_(std::move(base)),
      chosen_(std::move(chosen)),
      form_(form),
      // Each thread is at one tensor.
      scales_(static_cast<size_t>(ThreadCount())) {
  QUERN_CHECK(chosen_.size() == tensors().size());
  for (size_t t = 0; t < chosen_.size(); ++t) {
    if (chosen_[t] && !(IsFloat(tensors()[t].type) && CanEncode(tensors()[t].type))) {
      Fail(ErrorKind::kUnsupported,
           "{}: tensor '{}' is {}, bitsandbytes quantizes weights of 16 or 32 bits", name(),
           tensors()[t].name, NameOf(tensors()[t].type));
    }
  }
}

std::vector<float> BnbRoundTripSource::ReadFloats(size_t index, int64_t begin, int64_t end) const {
  const TensorInfo& tensor = tensors()[index];
  const int64_t cols = tensor.cols();
  const int64_t first = begin / cols, count = (end + cols - 1) / cols - first;
  std::vector<std::byte> raw(static_cast<size_t>(count * tensor.row_bytes()));
  base_->ReadRows(index, first, count, raw);
  std::vector<float> values(static_cast<size_t>(count * cols));
  Decode(tensor.type, raw.data(), count * cols, values.data());
  return values;
}

std::vector<float> BnbRoundTripSource::NestedScales(size_t index) const {
  const int64_t cols = tensors()[index].cols(), elements = tensors()[index].elements();
  std::vector<float> scales;
  for (int64_t begin = 0; begin < elements; begin += kPieceBlocks * kBnbBlock) {
    const int64_t end = std::min(begin + kPieceBlocks * kBnbBlock, elements);
    const std::vector<float> values = ReadFloats(index, begin, end);
    for (int64_t at = begin; at < end; at += kBnbBlock) {
      const auto size = static_cast<size_t>(std::min(kBnbBlock, end - at));
      scales.push_back(
          BnbScale(std::span(values).subspan(static_cast<size_t>(at - begin / cols * cols), size)));
    }
  }
  BnbRoundTripScales(scales);
  return scales;
}

void BnbRoundTripSource::ReadRows(size_t index, int64_t first, int64_t count,
                                  std::span<std::byte> out) const {
  const TensorInfo& tensor = tensors()[index];
  if (!chosen_[index] || count == 0) {
    base_->ReadRows(index, first, count, out);
    return;
  }
  QUERN_CHECK(first >= 0 && count > 0 && first + count <= tensor.rows());
  QUERN_CHECK(static_cast<int64_t>(out.size()) == count * tensor.row_bytes());
  std::shared_ptr<const std::vector<float>> scales;
  if (form_.nested) scales = scales_.Get(index, [&] { return NestedScales(index); });
  // A block may begin in an earlier row and end in a later one.
  const int64_t cols = tensor.cols();
  const int64_t begin = first * cols / kBnbBlock * kBnbBlock;
  const int64_t end = std::min((((first + count) * cols + kBnbBlock - 1) / kBnbBlock) * kBnbBlock,
                               tensor.elements());
  const int64_t first_row = begin / cols;
  std::vector<float> values = ReadFloats(index, begin, end);
  for (int64_t at = begin; at < end; at += kBnbBlock) {
    const auto size = static_cast<size_t>(std::min(kBnbBlock, end - at));
    const auto block = std::span(values).subspan(static_cast<size_t>(at - first_row * cols), size);
    const float scale = scales ? (*scales)[static_cast<size_t>(at / kBnbBlock)] : BnbScale(block);
    BnbRoundTrip(form_.type, scale, block);
  }
  EncodeRows(tensor.type, values.data() + (first - first_row) * cols, count, cols, {}, out.data());
}

}  // namespace quern
