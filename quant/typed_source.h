#pragma once

#include <memory>
#include <span>
#include <vector>

#include "gguf/tensor_source.h"
#include "kernels/device_encoder.h"
#include "quant/finite.h"

namespace quern {

// Importance weights of each tensor of a source, in its order: cols weights that serve every row,
// or cols for each slice of a 3-D tensor (each expert); empty where there are none.
using Importance = std::vector<std::vector<float>>;

// Sees a piece of a tensor on its way: its rows from `first` on as floats, and as they were
// encoded. Called from any thread, in no order.
class EncodeObserver {
 public:
  virtual ~EncodeObserver() = default;
  virtual void Encoded(size_t tensor, int64_t first, std::span<const float> weights,
                       std::span<const std::byte> encoded) = 0;
};

// A source with other types: rows of `base` are decoded to float32 and encoded anew; a tensor that
// keeps its type is copied as it is. NaN and Inf are found on the way, in copies too, and so are
// weights that the new type cannot hold: kNonFinite with file, tensor and flat index.
class TypedSource : public TensorSource {
 public:
  // types: one for each tensor of base. Error kUnsupported, naming the tensor, where this build
  // cannot decode or encode a type, or a row is no whole number of its blocks. `observer` is told
  // of every piece that is encoded, and must live as long. `device` shares the work of quantizing;
  // the bytes are the same.
  TypedSource(std::shared_ptr<const TensorSource> base, const std::vector<Type>& types,
              Importance importance = {}, EncodeObserver* observer = nullptr,
              std::shared_ptr<DeviceEncoder> device = nullptr);

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override;

 private:
  // Rows of a tensor that have importance weights in common, and where they go.
  struct Piece {
    size_t index;
    int64_t first, count;
    std::span<std::byte> out;
  };
  Piece PartOf(const Piece& piece, int64_t first, int64_t count) const;
  void Copy(const Piece& piece) const;
  bool IsForDevice(size_t index) const;
  void Encode(const Piece& piece) const;
  void EncodeHere(const Piece& piece) const;
  int64_t EncodeOnDevice(const Piece& piece) const;
  void ReadAs(Type type, const Piece& piece, std::vector<std::byte>& raw,
              std::span<std::byte> out) const;
  FiniteScan CheckFinite(const Piece& piece, Type type, std::span<const std::byte> weights) const;
  // Whether an encoded block may hold an Inf.
  bool MayOverflow(const Piece& piece, const FiniteScan& scan) const;
  void CheckEncoded(const Piece& piece, const FiniteScan& scan,
                    std::span<const float> weights) const;
  std::span<const float> ImportanceOf(const Piece& piece) const;

  std::shared_ptr<const TensorSource> base_;
  Importance importance_;
  std::vector<bool> overflows_;  // tensors whose importance weights make sums overflow
  EncodeObserver* observer_;
  std::shared_ptr<DeviceEncoder> device_;
};

}  // namespace quern
