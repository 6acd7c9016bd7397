#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace quern {

// The name of a model in Ollama: HOST/NAMESPACE/MODEL:TAG, of which all but MODEL may be left out.
struct OllamaName {
  std::string host = "registry.ollama.ai", name_space = "library", model, tag = "latest";

  // Below manifests/ of a store.
  std::filesystem::path Path() const;
  // As `ollama list` shows it: "library" and Ollama's own host are left out.
  std::string Text() const;
};

// Ollama's rules (ollama/types/model/name.go): parts of letters, digits, '_', '-' and '.' that
// begin with one of the first three kinds, a namespace without '.'. Error kUsage for what is none,
// so that no name leads out of a store.
OllamaName ParseOllamaName(std::string_view text);

}  // namespace quern
