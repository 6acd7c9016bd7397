#pragma once

#include <cstdint>
#include <span>

namespace quern {

// A change to one tensor of a base. The edits of a tensor are applied one after the other to rows
// in float32, which are rounded once, at the end.
class Edit {
 public:
  virtual ~Edit() = default;
  // rows[count, cols]: the tensor's rows from `first` on, in the base's order. Any thread.
  virtual void Apply(int64_t first, int64_t count, std::span<float> rows) const = 0;
};

}  // namespace quern
