#pragma once

#include <cstddef>
#include <cstdint>
#include <vector>

#include "gguf/tensor_source.h"

namespace quern {

// How many rows of `cols` weights are worked on at a time: their floats stay in the second-level
// cache.
int64_t RowsAtATime(int64_t cols);

// Rows [first, first + count) of a tensor in float32, as they stand in its file: out[count, cols].
// Error kUnsupported, naming the tensor, for a type that cannot be decoded.
std::vector<float> ReadFloats(const TensorSource& source, size_t index, int64_t first,
                              int64_t count);

// in[rows, cols] -> [cols, rows].
std::vector<float> Transposed(const std::vector<float>& in, int64_t rows, int64_t cols);

}  // namespace quern
