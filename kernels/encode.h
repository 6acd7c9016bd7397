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

// Each family of types has one of each, compiled for every SIMD target and chosen at run time. They
// return false for types that are not of the family.
bool EncodeFloats(Type type, const EncodeJob& job);
bool EncodeLegacy(Type type, const EncodeJob& job);
bool EncodeK(Type type, const EncodeJob& job);
bool EncodeSmall(Type type, const EncodeJob& job);
bool EncodeIq(Type type, const EncodeJob& job);
bool DecodeFloats(Type type, const uint8_t* in, int64_t count, float* out);
bool DecodeLegacy(Type type, const uint8_t* in, int64_t count, float* out);
bool DecodeK(Type type, const uint8_t* in, int64_t count, float* out);
bool DecodeSmall(Type type, const uint8_t* in, int64_t count, float* out);
bool DecodeIq(Type type, const uint8_t* in, int64_t count, float* out);

}  // namespace quern
