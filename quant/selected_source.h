#pragma once

#include <memory>
#include <string>
#include <vector>

#include "gguf/tensor_source.h"

namespace quern {

// Some tensors of a source, in another order and under other names.
class SelectedSource : public TensorSource {
 public:
  struct Pick {
    size_t index;  // in base
    std::string name;
  };
  SelectedSource(std::shared_ptr<const TensorSource> base, const std::vector<Pick>& picks);

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override;

 private:
  std::shared_ptr<const TensorSource> base_;
  std::vector<size_t> index_in_base_;
};

}  // namespace quern
