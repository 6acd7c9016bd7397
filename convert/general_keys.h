#pragma once

#include <filesystem>
#include <optional>
#include <string>

#include "base/progress.h"
#include "convert/model_name.h"
#include "gguf/metadata.h"

namespace quern {

// Where the keys about the model as a work come from.
struct GeneralSources {
  std::filesystem::path folder;     // its name, README.md and generation_config.json
  std::string name_or_path;         // of config.json
  std::filesystem::path overrides;  // a JSON object of general.* keys, or empty
  int64_t weights = 0;              // 0: the vocabulary alone
};

// Sets general.architecture, general.type and all that is known of the model's sampling, name,
// authors, licence, bases, data sets, tags and languages, in the reference's order. What the file
// of overrides says goes before the model card, which goes before what the folder's name tells.
// Returns the parts of the name that make the default file name.
ModelNameParts SetGeneralKeys(std::string_view arch, const GeneralSources& sources,
                              Progress& progress, Metadata& keys);

}  // namespace quern
