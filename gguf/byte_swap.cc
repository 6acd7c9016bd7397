#include "gguf/byte_swap.h"

#include <algorithm>

#include "base/error.h"

namespace quern {
namespace {

// Where a block has numbers of more than one byte: `count` of them from byte `first` on.
struct Field {
  int64_t first, width, count;
};

struct Fields {
  Field fields[2];
};

// The block layouts are those of ggml-common.h. IQ1_M keeps its scale in the high nibbles of four
// 16-bit words; MXFP4 and NVFP4 have single bytes only.
Fields FieldsOf(Type type) {
  switch (type) {
    case Type::kQ4_0:
    case Type::kQ5_0:  // its 32 high bits are bytes, read by memcpy
    case Type::kQ8_0:
    case Type::kIQ4_NL:
    case Type::kQ1_0:
    case Type::kQ2_0:
    case Type::kIQ2_S:
    case Type::kIQ3_XXS:
    case Type::kIQ3_S:
      return {{{0, 2, 1}}};
    case Type::kQ4_1:
    case Type::kQ5_1:
    case Type::kQ8_1:
    case Type::kQ4_K:
    case Type::kQ5_K:
      return {{{0, 2, 2}}};
    case Type::kQ2_K:
      return {{{80, 2, 2}}};
    case Type::kQ3_K:
      return {{{108, 2, 1}}};
    case Type::kQ6_K:
      return {{{208, 2, 1}}};
    case Type::kQ8_K:
      return {{{0, 4, 1}, {260, 2, 16}}};
    case Type::kIQ2_XXS:
    case Type::kIQ2_XS:
      return {{{0, 2, 33}}};
    case Type::kIQ1_S:
      return {{{0, 2, 1}, {34, 2, 8}}};
    case Type::kIQ1_M:
      return {{{48, 2, 4}}};
    case Type::kIQ4_XS:
      return {{{0, 2, 2}}};
    case Type::kTQ1_0:
      return {{{52, 2, 1}}};
    case Type::kTQ2_0:
      return {{{64, 2, 1}}};
    case Type::kMXFP4:
    case Type::kNVFP4:
      return {};
    default:
      return {{{0, InfoOf(type).bytes, 1}}};  // f32, i16 and the like: one number
  }
}

}  // namespace

void SwapBlocks(Type type, std::span<std::byte> blocks) {
  const auto size = static_cast<size_t>(InfoOf(type).bytes);
  QUERN_CHECK(blocks.size() % size == 0);
  const Fields fields = FieldsOf(type);
  for (std::byte* block = blocks.data(); block != blocks.data() + blocks.size(); block += size) {
    for (const Field& field : fields.fields) {
      for (int64_t i = 0; i < field.count; ++i) {
        std::byte* number = block + field.first + i * field.width;
        std::reverse(number, number + field.width);
      }
    }
  }
}

}  // namespace quern
