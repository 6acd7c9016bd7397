#include "convert/hf_model.h"

#include "base/error.h"
#include "convert/general_keys.h"
#include "convert/gguf_named_source.h"
#include "convert/model_keys.h"
#include "convert/special_tokens.h"
#include "convert/vocabulary_check.h"
#include "gguf/keys.h"

namespace quern {
namespace fs = std::filesystem;
namespace {

// The name in general.architecture of a vocabulary that belongs to no model.
constexpr std::string_view kVocabularyArch = "llama";

void CheckVocabulary(const Metadata& keys, Progress& progress) {
  for (const std::string& doubt : VocabularyDoubts(keys)) progress.Note(doubt);
}

}  // namespace

HfModel HfModel::Open(const fs::path& path, const HfOptions& options, Progress& progress) {
  if (!fs::exists(path)) {
    Fail(ErrorKind::kBadInput, "{}: there is no such file or folder", path.string());
  }
  HfModel model;
  model.path_ = path;
  model.options_ = options;
  if (fs::is_directory(path) && fs::exists(path / "config.json")) {
    model.config_ = ReadModelConfig(path, progress);
  }
  model.files_ = std::make_shared<TokenizerFiles>(path);
  model.ReadTokenizer(progress);
  return model;
}

void HfModel::ReadTokenizer(Progress& progress) {
  const bool llama = !has_model() || config_.arch->gguf == "llama";
  vocabulary_ = ReadVocabulary(
      *files_,
      {.vocab_size = config_.vocab_size, .pre = options_.pre, .reads_add_prefix_space = llama},
      progress);
}

HfModel HfModel::WithVocabulary(const fs::path& folder, int64_t size, Progress& progress) const {
  HfModel model = *this;
  model.config_.vocab_size = size;
  if (!folder.empty()) model.files_ = std::make_shared<TokenizerFiles>(folder);
  model.ReadTokenizer(progress);
  return model;
}

std::shared_ptr<const TensorSource> HfModel::Named(
    std::shared_ptr<const TensorSource> checkpoint) const {
  QUERN_CHECK(has_model());
  GgufNaming naming{.arch = config_.arch,
                    .dims = {.layers = config_.layers,
                             .embedding = config_.hidden,
                             .feed_forward = config_.ffn,
                             .heads = config_.heads,
                             .kv_heads = config_.kv_heads,
                             .head_dim = config_.head_dim,
                             .vocab = config_.vocab_size},
                    .tied = config_.tied};
  if (auto factors = RopeFactors(config_); !factors.empty()) {
    const auto pairs = static_cast<int64_t>(factors.size());
    naming.extra.push_back(
        {.name = "rope_freqs.weight", .shape = {pairs}, .values = std::move(factors)});
  }
  return MakeGgufNamed(std::move(checkpoint), std::move(naming));
}

Metadata HfModel::Keys(int64_t weights, int64_t file_type, Progress& progress,
                       ModelNameParts& name) const {
  Metadata keys(path_.string());
  const bool folder = fs::is_directory(path_);
  const GeneralSources sources{.folder = folder ? path_ : fs::path(path_).replace_extension(),
                               .name_or_path = config_.name_or_path,
                               .overrides = options_.overrides,
                               .weights = weights};
  name =
      SetGeneralKeys(has_model() ? config_.arch->gguf : kVocabularyArch, sources, progress, keys);
  if (has_model()) SetModelKeys(config_, file_type, keys);
  SetVocabularyKeys(vocabulary_, keys);
  SetSpecialTokenKeys(*files_, has_model(), config_.token_ids, vocabulary_, progress, keys);
  SetChatTemplateKeys(*files_, progress, keys);
  CheckVocabulary(keys, progress);
  return keys;
}

Type GuessType(const TensorSource& checkpoint) {
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    const bool half = tensor.type == Type::kBF16 || tensor.type == Type::kF16;
    if (half && tensor.shape.size() >= 2) return tensor.type;
  }
  return Type::kF16;
}

std::vector<Type> ConvertedTypes(const std::vector<TensorInfo>& tensors, Type type) {
  std::vector<Type> types;
  for (const TensorInfo& tensor : tensors) {
    const std::string_view name = tensor.name;
    const bool plain =
        tensor.shape.size() <= 1 || name.ends_with("_norm.weight") || !name.ends_with(".weight");
    const bool fits = tensor.cols() % InfoOf(type).elems == 0;
    types.push_back(plain ? Type::kF32 : fits ? type : Type::kF16);
  }
  return types;
}

}  // namespace quern
