#include "kernels/codec.h"

#include <algorithm>
#include <atomic>

#include "base/error.h"
#include "kernels/codec_target.h"
#include "kernels/encode.h"

namespace quern {
namespace {

constexpr auto kFamilies = {FloatFamily, LegacyFamily, KFamily, SmallFamily, IqFamily};

std::atomic<CodecTarget*> chosen_target = nullptr;

}  // namespace

void SetCodecTarget(CodecTarget* target) { chosen_target = target; }

bool CanEncode(Type type) {
  return std::ranges::any_of(kFamilies, [&](auto family) { return family().encodes(type); });
}

bool CanDecode(Type type) {
  return std::ranges::any_of(kFamilies, [&](auto family) { return family().decodes(type); });
}

bool NeedsImportance(Type type) {
  return type == Type::kIQ1_S || type == Type::kIQ2_XXS || type == Type::kIQ2_XS;
}

void EncodeRows(Type type, const float* in, int64_t rows, int64_t cols,
                std::span<const float> importance, std::byte* out) {
  QUERN_CHECK(rows >= 0 && cols >= 0 && cols % InfoOf(type).elems == 0);
  QUERN_CHECK(importance.empty() || std::ssize(importance) == cols);
  if (rows == 0 || cols == 0) return;
  const EncodeJob job{.in = in,
                      .rows = rows,
                      .cols = cols,
                      .importance = importance.empty() ? nullptr : importance.data(),
                      .out = reinterpret_cast<uint8_t*>(out)};
  if (CodecTarget* target = chosen_target) return target->Encode(type, job);
  for (const auto of_target : kFamilies) {
    const Family family = of_target();
    if (family.encodes(type)) return family.encode(type, job);
  }
  QUERN_CHECK(!"a type that can be encoded");
}

void Decode(Type type, const std::byte* in, int64_t count, float* out) {
  QUERN_CHECK(count >= 0 && count % InfoOf(type).elems == 0);
  if (count == 0) return;
  if (CodecTarget* target = chosen_target) {
    return target->Decode(type, reinterpret_cast<const uint8_t*>(in), count, out);
  }
  for (const auto of_target : kFamilies) {
    const Family family = of_target();
    if (!family.decodes(type)) continue;
    return family.decode(type, reinterpret_cast<const uint8_t*>(in), count, out);
  }
  QUERN_CHECK(!"a type that can be decoded");
}

}  // namespace quern
