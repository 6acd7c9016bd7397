#include "base/hash.h"

#include <fmt/format.h>
#define XXH_STATIC_LINKING_ONLY
#include <xxhash.h>

namespace quern {

struct Xxh64::State {
  XXH64_state_t state;
};

Xxh64::Xxh64() : state_(std::make_unique<State>()) { XXH64_reset(&state_->state, 0); }
Xxh64::~Xxh64() = default;
Xxh64::Xxh64(Xxh64&&) noexcept = default;
Xxh64& Xxh64::operator=(Xxh64&&) noexcept = default;

void Xxh64::Update(std::span<const std::byte> bytes) {
  if (!bytes.empty()) XXH64_update(&state_->state, bytes.data(), bytes.size());
}

uint64_t Xxh64::Digest() const { return XXH64_digest(&state_->state); }

uint64_t Xxh64::Of(std::span<const std::byte> bytes) {
  return XXH64(bytes.data(), bytes.size(), 0);
}

std::string HexOf(uint64_t hash) { return fmt::format("{:016x}", hash); }

}  // namespace quern
