#pragma once

// Included before Highway by every op, so that all are built for the same targets. SVE and RVV are
// left out: their vectors have no size, so they cannot stand in arrays of accumulators. SSSE3 gains
// nothing over SSE4 here and costs a compilation.
#ifndef HWY_DISABLED_TARGETS
#define HWY_DISABLED_TARGETS (HWY_SSSE3 | HWY_SVE | HWY_SVE2 | HWY_SVE_256 | HWY_SVE2_128 | HWY_RVV)
#endif
