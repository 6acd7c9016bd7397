#include "cli/grown_vocabulary.h"

#include "base/error.h"
#include "cli/adapter_list.h"
#include "convert/hf_model.h"
#include "gguf/keys.h"

namespace quern::cli {

void GrowVocabulary(const MergeReport& report, Metadata& metadata, Progress& progress) {
  const std::filesystem::path folder = TokenizerFolder(report);
  if (folder.empty()) {
    Fail(ErrorKind::kBadInput,
         "{}: makes the vocabulary longer, and there is no tokenizer beside it that names the new "
         "tokens",
         report.vocab_adapter);
  }
  ModelNameParts name;
  const Metadata keys = HfModel::Open(folder, {.overrides = {}, .pre = {}}, progress)
                            .WithVocabulary({}, report.vocab, progress)
                            .Keys(0, 0, progress, name);
  for (const auto& [key, value] : keys.entries()) {
    if (key.starts_with("tokenizer.")) metadata.Set(key, value);
  }
  const std::string size = metadata.NeedText(keys::kArchitecture) + ".vocab_size";
  if (metadata.Has(size)) metadata.Set(size, static_cast<uint32_t>(report.vocab));
}

}  // namespace quern::cli
