#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "convert/bnb_codec.h"
#include "convert/checkpoint.h"
#include "gguf/tensor_source.h"

namespace quern {

// A checkpoint whose linear weights bitsandbytes has quantized, decoded as it is read: X.weight in
// the type that it was quantized from (LLM.int8, which does not tell: f32), and none of the tensors
// beside it. What was not quantized stays as it is; each tensor is told by what stands beside it.
class BnbSource : public TensorSource {
 public:
  // Errors: kBadInput, naming the tensor, where what stands beside a weight is missing, too much,
  // of another size or contradicts itself; kUnsupported for a layout that is none of row after row.
  explicit BnbSource(std::shared_ptr<const Checkpoint> checkpoint);

  // Whether a checkpoint has any tensor that bitsandbytes puts beside a weight.
  static bool IsQuantized(const Checkpoint& checkpoint);

  // Whether this tensor was quantized, and whether by LLM.int8.
  bool IsDecoded(size_t index) const { return places_[index].kind != Kind::kPlain; }
  bool IsInt8(size_t index) const { return places_[index].kind == Kind::kInt8; }
  // "nf4", "nf4 (nested)", "int8"; where several are met, of the first.
  const std::string& method() const { return method_; }

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override;

 private:
  enum class Kind { kPlain, kFourBit, kInt8 };
  // Where a tensor's parts are in the checkpoint; `absmax` is the SCB of int8.
  struct Place {
    size_t weight = 0;
    Kind kind = Kind::kPlain;
    size_t absmax = 0;
    int64_t block_size = 0;
    BnbCodebook codebook{};
    // Scales that are quantized themselves.
    bool nested = false;
    size_t nested_absmax = 0;
    int64_t nested_block_size = 0;
    float nested_offset = 0;
    std::vector<float> nested_codebook = {};
  };
  struct Parts;
  class Builder;
  explicit BnbSource(Parts parts);
  std::vector<float> Scales(const Place& place, int64_t first, int64_t count) const;
  void ReadFourBit(const Place& place, int64_t first, std::span<float> out) const;
  void ReadInt8(const Place& place, int64_t cols, int64_t first, std::span<float> out) const;

  std::shared_ptr<const Checkpoint> checkpoint_;
  std::vector<Place> places_;
  std::string method_;
};

// The weights of a HF checkpoint, whatever they are stored as.
struct HfWeights {
  std::shared_ptr<const Checkpoint> checkpoint;
  std::shared_ptr<const TensorSource> tensors;
  std::shared_ptr<const BnbSource> decoded;  // the same, where bitsandbytes has quantized some
};

// What Checkpoint::Open opens, decoded.
HfWeights DecodeWeights(std::shared_ptr<const Checkpoint> checkpoint);
// The same of a path. Error kUnsupported, naming it, where a folder's config.json says that another
// method has quantized the weights.
HfWeights OpenWeights(const std::filesystem::path& folder_or_file);

}  // namespace quern
