#pragma once

#include <filesystem>
#include <memory>
#include <string>
#include <vector>

#include "base/progress.h"
#include "convert/model_config.h"
#include "convert/model_name.h"
#include "convert/tokenizer_files.h"
#include "convert/vocabulary.h"
#include "gguf/metadata.h"
#include "gguf/tensor_source.h"

namespace quern {

struct HfOptions {
  std::filesystem::path overrides;  // --metadata, or empty
  std::string pre;                  // --pre, or empty
};

// A HF model folder, or a tokenizer's file alone, on its way to GGUF: the tensors under GGUF's
// names and the keys, as the reference writes both.
class HfModel {
 public:
  // Reads and checks config.json first of all, then the tokenizer. `path` may be a tokenizer.model
  // or tokenizer.json, or a folder that has no config.json: then there is a vocabulary and no
  // model.
  static HfModel Open(const std::filesystem::path& path, const HfOptions& options,
                      Progress& progress);

  // The same model with more tokens, as an adapter brings them: `size` of them in all, from the
  // tokenizer in `folder`, or where that path is empty from the model's own.
  HfModel WithVocabulary(const std::filesystem::path& folder, int64_t size,
                         Progress& progress) const;

  bool has_model() const { return config_.arch != nullptr; }
  const ModelConfig& config() const { return config_; }
  const Vocabulary& vocabulary() const { return vocabulary_; }

  // The checkpoint's tensors (which may be merged with adapters by now) under GGUF's names, in the
  // reference's order, in their own types.
  std::shared_ptr<const TensorSource> Named(std::shared_ptr<const TensorSource> checkpoint) const;

  // The keys of a file with `weights` weights (0: the vocabulary alone) and this general.file_type.
  // `name` receives the parts that make the default file name.
  Metadata Keys(int64_t weights, int64_t file_type, Progress& progress, ModelNameParts& name) const;

 private:
  HfModel() = default;
  void ReadTokenizer(Progress& progress);

  std::filesystem::path path_;
  HfOptions options_;
  ModelConfig config_;
  std::shared_ptr<const TokenizerFiles> files_;
  Vocabulary vocabulary_;
};

// The type that --outtype auto means for a checkpoint: the first of bf16 and f16 that a matrix of
// it has; f16 where none has either.
Type GuessType(const TensorSource& checkpoint);

// The types in which the reference's converter writes tensors of these names and shapes where most
// are to be `type`: vectors, norms and biases are f32, what has no whole number of blocks f16.
std::vector<Type> ConvertedTypes(const std::vector<TensorInfo>& tensors, Type type);

}  // namespace quern
