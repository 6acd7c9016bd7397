#include "model/arch/dims.h"

#include "base/error.h"

namespace quern {
namespace {

std::vector<int64_t> WeightShape(const Dims& dims, Role role) {
  const int64_t q = dims.heads * dims.head_dim, kv = dims.kv_heads * dims.head_dim;
  switch (role) {
    case Role::kTokenEmbd:
    case Role::kOutput:
      return {dims.embedding, dims.vocab};
    case Role::kOutputNorm:
    case Role::kAttnNorm:
    case Role::kFfnNorm:
      return {dims.embedding};
    case Role::kAttnQ:
      return {dims.embedding, q};
    case Role::kAttnK:
    case Role::kAttnV:
      return {dims.embedding, kv};
    case Role::kAttnOutput:
      return {q, dims.embedding};
    case Role::kAttnQNorm:
    case Role::kAttnKNorm:
      return {dims.head_dim};
    case Role::kFfnGate:
    case Role::kFfnUp:
      return {dims.embedding, dims.feed_forward};
    case Role::kFfnDown:
      return {dims.feed_forward, dims.embedding};
    case Role::kRopeFreqs:
      return {dims.head_dim / 2};
  }
  QUERN_CHECK(!"a role of the list");
  __builtin_unreachable();
}

}  // namespace

std::vector<int64_t> ShapeOf(const Dims& dims, Role role, bool is_bias) {
  std::vector<int64_t> shape = WeightShape(dims, role);
  return is_bias ? std::vector<int64_t>{shape.back()} : shape;
}

}  // namespace quern
