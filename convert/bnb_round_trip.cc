#include "convert/bnb_round_trip.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/codec.h"

namespace quern {

bool IsBnbTarget(std::string_view hf_name, const TensorInfo& tensor) {
  constexpr std::string_view kOthers[] = {"embed_tokens.weight", "lm_head.weight", "norm.weight"};
  return tensor.shape.size() == 2 && hf_name.ends_with(".weight") &&
         std::none_of(std::begin(kOthers), std::end(kOthers),
                      [&](std::string_view other) { return hf_name.ends_with(other); });
}

BnbRoundTripSource::BnbRoundTripSource(std::shared_ptr<const TensorSource> base,
                                       std::vector<bool> chosen, BnbType type)
    : TensorSource(base->name(), base->tensors()),
      base_(std::move(base)),
      chosen_(std::move(chosen)),
      type_(type) {
  QUERN_CHECK(chosen_.size() == tensors().size());
  for (size_t t = 0; t < chosen_.size(); ++t) {
    if (chosen_[t] && !(IsFloat(tensors()[t].type) && CanEncode(tensors()[t].type))) {
      Fail(ErrorKind::kUnsupported,
           "{}: tensor '{}' is {}, bitsandbytes quantizes weights of 16 or 32 bits", name(),
           tensors()[t].name, NameOf(tensors()[t].type));
    }
  }
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
  // A block may begin in an earlier row and end in a later one.
  const int64_t cols = tensor.cols();
  const int64_t begin = first * cols / kBnbBlock * kBnbBlock;
  const int64_t end = std::min((((first + count) * cols + kBnbBlock - 1) / kBnbBlock) * kBnbBlock,
                               tensor.elements());
  const int64_t first_row = begin / cols, rows = (end + cols - 1) / cols - first_row;
  std::vector<std::byte> raw(static_cast<size_t>(rows * tensor.row_bytes()));
  base_->ReadRows(index, first_row, rows, raw);
  std::vector<float> values(static_cast<size_t>(rows * cols));
  Decode(tensor.type, raw.data(), rows * cols, values.data());
  for (int64_t at = begin; at < end; at += kBnbBlock) {
    const auto size = static_cast<size_t>(std::min(kBnbBlock, end - at));
    BnbRoundTrip(type_,
                 std::span(values).subspan(static_cast<size_t>(at - first_row * cols), size));
  }
  EncodeRows(tensor.type, values.data() + (first - first_row) * cols, count, cols, {}, out.data());
}

}  // namespace quern
