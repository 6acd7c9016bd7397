#pragma once

#include <cstdint>
#include <span>

#include "kernels/ops/matmul.h"

namespace quern {

// Products of weights as small integers with activations rounded to 8 bits, where the machine has
// AVX-512 VNNI. Activations have a scale per 256 of them, or per 32 with the types whose own blocks
// are 32: the rounding that llama.cpp's products do.

// Whether this machine and UseKernelTarget's choice run it, and the type has codes.
bool HasCodeProducts(Type type);

// As MatMul; every weight's type has code products.
void MatMulCodes(std::span<const Product> products, const float* x, int64_t tokens, int64_t cols);

}  // namespace quern
