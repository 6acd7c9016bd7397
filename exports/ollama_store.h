#pragma once

#include <cstdint>
#include <filesystem>
#include <string>
#include <string_view>
#include <vector>

#include "base/file.h"
#include "base/progress.h"
#include "exports/ollama_model.h"
#include "exports/ollama_name.h"

namespace quern {

// How a file's bytes come to another place.
enum class Placing { kCopy, kLink };

// A folder in which Ollama keeps its models (OLLAMA_MODELS), after Ollama's source of August 2026
// (manifest/, server/create.go, types/model/): blobs/sha256-HEX for each layer and for the config,
// and manifests/HOST/NAMESPACE/MODEL/TAG, which names them. Every file is written under another
// name and renamed, the manifest last, so that at each moment the store is whole.
class OllamaStore {
 public:
  // Makes the folder and those in it where they are missing. Errors are kOutput.
  explicit OllamaStore(std::filesystem::path root);

  // Puts the weights there: what is there already is left alone.
  void AddWeights(const std::filesystem::path& gguf, Placing placing, Progress& progress);
  // Puts the rest there and then the manifest. Error kOutput where another model has the name and
  // may not be replaced; the same model again changes nothing. Returns the manifest's path.
  std::filesystem::path Commit(const OllamaName& name, const OllamaModel& model,
                               Overwrite overwrite);

 private:
  struct Layer {
    std::string media_type, hex;
    uint64_t size = 0;
  };

  Layer AddText(std::string_view media_type, std::string_view text);
  std::filesystem::path BlobPath(const std::string& hex) const;
  std::string ManifestText(const Layer& config) const;

  std::filesystem::path root_;
  std::vector<Layer> layers_;
};

// Places a copy of `from`, or a second name of it, at `to`, where nothing is. A link that cannot be
// made becomes a copy. `hex` is the sha256 that the bytes must have; empty: whatever they have.
void PlaceFile(const std::filesystem::path& from, const std::filesystem::path& to, Placing placing,
               const std::string& hex = "");

}  // namespace quern
