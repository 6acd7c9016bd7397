#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/gguf_reader.h"

namespace quern {

// What Ollama keeps of a model beside its weights.
struct OllamaModel {
  std::string chat_template;  // Go; empty: none
  std::string system;
  std::vector<std::string> licenses;
  // Values as JSON writes them: {"temperature", "0.7"}.
  std::map<std::string, std::string> parameters;
  std::vector<std::string> stops;
  // For the list of models.
  std::string family, size, file_type;
};

// Sets a parameter. Errors: kUsage for a name that Ollama does not have and for a value of another
// kind than its own.
void SetOllamaParameter(std::string_view name, std::string_view value, OllamaModel& model);

// What the keys of a GGUF model say: family, size, file type and sampling parameters
// (general.sampling.*).
OllamaModel DescribeForOllama(const GgufModel& model);

// The sampling parameters of a generation_config.json, which go before those of the GGUF keys.
void ReadGenerationConfig(std::string_view text, const std::string& name, OllamaModel& model);

// The texts that end an answer: those of the tokens that the vocabulary names as ends, and the
// control token with which the template ends each answer.
std::vector<std::string> OllamaStops(const GgufModel& model, std::string_view answer_end);

}  // namespace quern
