#pragma once

#include <cstdint>

namespace quern {

// gate[n] = silu(gate) * up, where silu(x) = x / (1 + exp(-x)) (Shazeer 2020).
void SwiGlu(float* gate, const float* up, int64_t n);

}  // namespace quern
