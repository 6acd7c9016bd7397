#pragma once

#include "kernels/encode.h"

namespace quern {

// Encodes and decodes in place of the processor's own kernels. The contracts are codec.h's.
class CodecTarget {
 public:
  virtual ~CodecTarget() = default;
  virtual void Encode(Type type, const EncodeJob& job) = 0;
  virtual void Decode(Type type, const uint8_t* in, int64_t count, float* out) = 0;
};

// Null: the processor's. It must live as long as it is used.
void SetCodecTarget(CodecTarget* target);

}  // namespace quern
