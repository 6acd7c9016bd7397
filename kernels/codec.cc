#include "kernels/codec.h"

#include "base/error.h"
#include "kernels/encode.h"

namespace quern {
namespace {

constexpr auto kEncoders = {EncodeFloats, EncodeLegacy, EncodeK, EncodeSmall, EncodeIq};
constexpr auto kDecoders = {DecodeFloats, DecodeLegacy, DecodeK, DecodeSmall, DecodeIq};

}  // namespace

bool CanEncode(Type type) {
  for (const auto encode : kEncoders) {
    if (encode(type, EncodeJob{})) return true;
  }
  return false;
}

bool CanDecode(Type type) {
  for (const auto decode : kDecoders) {
    if (decode(type, nullptr, 0, nullptr)) return true;
  }
  return false;
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
  for (const auto encode : kEncoders) {
    if (encode(type, job)) return;
  }
  QUERN_CHECK(!"a type that can be encoded");
}

void Decode(Type type, const std::byte* in, int64_t count, float* out) {
  QUERN_CHECK(count >= 0 && count % InfoOf(type).elems == 0);
  for (const auto decode : kDecoders) {
    if (decode(type, reinterpret_cast<const uint8_t*>(in), count, out)) return;
  }
  QUERN_CHECK(!"a type that can be decoded");
}

}  // namespace quern
