#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gguf/tensor_source.h"
#include "model/arch/row_order.h"

namespace quern {

// Some tensors of another source under new names and in a new order, the rows of Q and K brought
// from HF's order into GGUF's or back. A bias is one row, whose elements are then permuted.
class RenamedSource : public TensorSource {
 public:
  struct Entry {
    size_t index;  // in the source
    std::string name;
    int64_t head_rows = 0;  // even, and a divisor of the rows; 0 leaves the rows as they are
  };
  RenamedSource(std::shared_ptr<const TensorSource> source, std::vector<Entry> entries,
                RowDirection direction);

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override;

 private:
  void ReadPermuted(const Entry& entry, int64_t first, int64_t count,
                    std::span<std::byte> out) const;
  void ReadPermutedBias(const Entry& entry, std::span<std::byte> out) const;

  std::shared_ptr<const TensorSource> source_;
  std::vector<Entry> entries_;
  RowDirection direction_;
};

}  // namespace quern
