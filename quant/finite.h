#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>

#include "gguf/types.h"

namespace quern {

// What a scan of weights found.
struct FiniteScan {
  float largest = 0;                        // the largest magnitude
  std::optional<int64_t> first_non_finite;  // the index of the first NaN or Inf
};

FiniteScan ScanFinite(std::span<const float> weights);
// Of `count` weights stored as f32, f16 or bf16.
FiniteScan ScanFinite(Type type, std::span<const std::byte> bytes, int64_t count);

// The first NaN or Inf among `count` weights stored as `type`, if there is one. Quantized types are
// decoded piece by piece; of a type that this build cannot decode, and of integers, nothing is
// said.
std::optional<int64_t> FirstNonFinite(Type type, std::span<const std::byte> bytes, int64_t count);

}  // namespace quern
