#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

namespace quern {

// The name (tokenizer.ggml.pre) of the way in which a byte-level BPE's text is cut into words
// before the merges, derived from the pre_tokenizer of a tokenizer.json: its steps and regular
// expressions, not a hash of what it encodes. Error kUnsupported, with the steps, where llama.cpp
// has no name for them; kBadInput where the structure is none. `file` is for errors.
std::string PreTokenizerName(const nlohmann::json& tokenizer, const std::string& file);

}  // namespace quern
