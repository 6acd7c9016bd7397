#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "gguf/types.h"

namespace quern {

// Whether this build can turn floats into the type, and back. Every type can be copied.
bool CanEncode(Type type);
bool CanDecode(Type type);
// Whether the type cannot be encoded without an importance matrix.
bool NeedsImportance(Type type);

// Encodes `rows` rows of `cols` weights: in[rows, cols] in row-major order, out[rows * RowBytes].
// cols must be a multiple of the type's block. `importance` has `cols` weights that serve every
// row, or is empty. The bytes are those of llama.cpp's x86-64 quantizers, on every target. The
// caller has checked that the weights are finite.
void EncodeRows(Type type, const float* in, int64_t rows, int64_t cols,
                std::span<const float> importance, std::byte* out);

// Decodes `count` weights, a multiple of the type's block.
void Decode(Type type, const std::byte* in, int64_t count, float* out);

}  // namespace quern
