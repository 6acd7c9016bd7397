#include "cli/file_template.h"

#include <nlohmann/json.hpp>

#include "gguf/keys.h"

namespace quern::cli {

void SetTemplateTokens(const Metadata& metadata, nlohmann::ordered_json& values) {
  const Array* const tokens = metadata.FindArray(keys::kTokens);
  const auto set = [&](const char* name, std::string_view key) {
    const auto id = metadata.Int(key);
    if (!id || tokens == nullptr || *id < 0) return;
    if (static_cast<uint64_t>(*id) >= tokens->strings().size()) return;
    values[name] = tokens->strings()[static_cast<size_t>(*id)];
  };
  set("bos_token", keys::kBosId);
  set("eos_token", keys::kEosId);
  set("unk_token", keys::kUnknownId);
  set("pad_token", keys::kPaddingId);
}

}  // namespace quern::cli
