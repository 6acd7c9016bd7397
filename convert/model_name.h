#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace quern {

// The parts of a model's id, "org/Name-7B-Instruct-v0.2", as the GGUF naming convention tells them
// (ggml/docs/gguf.md) and the reference guesses them. All but `name` may be absent.
struct ModelNameParts {
  std::optional<std::string> name, organization, basename, finetune, version, size_label;
};

// weights: how many the model has, which tells a size ("7B") from a context length ("128k"); 0
// where nothing is known.
ModelNameParts PartsOfModelId(std::string_view id, int64_t weights);

// "tiny-llama" -> "Tiny Llama"; acronyms and versions stay as they are.
std::string TitleOf(std::string_view id);

// "6.8M", "70B": the number of weights with at least two digits.
std::string SizeLabel(int64_t weights);

// "Tiny-Llama-6.8M-BF16": the default name of a file, without its ending. `type` may be empty; a
// file of the vocabulary alone has neither size nor type, and ends in "-vocab".
std::string FileNameOf(const ModelNameParts& parts, std::string_view type, bool vocab_only);

}  // namespace quern
