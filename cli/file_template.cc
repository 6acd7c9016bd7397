#include "cli/file_template.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/json_text.h"
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

void SetTemplateVariable(const std::string& set, nlohmann::ordered_json& values) {
  const size_t equals = set.find('=');
  if (equals == 0 || equals == std::string::npos) {
    Fail(ErrorKind::kUsage, "--set {}: NAME=JSON is wanted", set);
  }
  values[set.substr(0, equals)] = ParseOrderedJson(set.substr(equals + 1), "--set " + set);
}

}  // namespace quern::cli
