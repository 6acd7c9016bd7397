#include "cli/base_keys.h"

#include "convert/model_config.h"
#include "convert/model_keys.h"
#include "gguf/gguf_reader.h"
#include "gguf/keys.h"

namespace quern::cli {

Metadata BaseKeys(const std::filesystem::path& base, Progress& progress) {
  if (std::filesystem::is_regular_file(base)) return GgufModel::Open(base)->metadata();
  const ModelConfig config = ReadModelConfig(base, progress);
  Metadata metadata(base.string());
  metadata.Set(keys::kArchitecture, std::string(config.arch->gguf));
  SetModelKeys(config, 0, metadata);
  return metadata;
}

}  // namespace quern::cli
