#pragma once

#include <cstdint>

#include "gguf/types.h"

namespace quern {

// rows * cols weights to be encoded; `importance` has cols weights or is null. See codec.h.
struct EncodeJob {
  const float* in;
  int64_t rows;
  int64_t cols;
  const float* importance;
  uint8_t* out;
};

// What a family of formats can do, compiled for every SIMD target and chosen at run time. `encode`
// and `decode` take only types for which `encodes` and `decodes` are true.
struct Family {
  bool (*encodes)(Type type);
  bool (*decodes)(Type type);
  void (*encode)(Type type, const EncodeJob& job);
  void (*decode)(Type type, const uint8_t* in, int64_t count, float* out);
};
Family FloatFamily();
Family LegacyFamily();
Family KFamily();
Family SmallFamily();
Family IqFamily();

}  // namespace quern
