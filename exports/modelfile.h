#pragma once

#include <string>
#include <string_view>

#include "exports/ollama_model.h"

namespace quern {

// The text of a Modelfile of the model, whose weights are in `weights`, a name beside it.
// Error kUnsupported for a text that Ollama's parser (parser/parser.go, August 2026) would not read
// back: it drops what is not printable, and ends a text at """ before a line's end.
std::string ModelfileText(const OllamaModel& model, std::string_view weights);

// Whether a file's name can stand behind FROM.
bool IsModelfileName(std::string_view name);

}  // namespace quern
