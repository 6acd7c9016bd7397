#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "gguf/metadata.h"

namespace quern::cli {

// Sets the variables of a chat template that a GGUF file's keys know: bos_token, eos_token,
// unk_token, pad_token.
void SetTemplateTokens(const Metadata& metadata, nlohmann::ordered_json& values);

// Sets the variable of an option --set NAME=JSON. Error kUsage where it is not that.
void SetTemplateVariable(const std::string& set, nlohmann::ordered_json& values);

}  // namespace quern::cli
