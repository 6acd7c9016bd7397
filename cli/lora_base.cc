#include "cli/lora_base.h"

#include "base/error.h"
#include "cli/base_keys.h"
#include "convert/bnb_source.h"
#include "convert/model_config.h"
#include "gguf/gguf_reader.h"
#include "gguf/keys.h"
#include "model/arch/dims.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

// The tensors that a config tells of, without their weights.
class ConfigTensors : public TensorSource {
 public:
  ConfigTensors(const std::string& folder, const ModelConfig& config)
      : TensorSource(folder, InfosOf(config)) {}

  void ReadRows(size_t index, int64_t, int64_t, std::span<std::byte>) const override {
    Fail(ErrorKind::kBadInput, "{}: has no weights, and those of '{}' are needed", name(),
         tensors()[index].name);
  }

 private:
  static std::vector<TensorInfo> InfosOf(const ModelConfig& config) {
    const Dims dims{.layers = config.layers,
                    .embedding = config.hidden,
                    .feed_forward = config.ffn,
                    .heads = config.heads,
                    .kv_heads = config.kv_heads,
                    .head_dim = config.head_dim,
                    .vocab = config.vocab_size};
    std::vector<TensorInfo> infos;
    for (const TensorRule& rule : config.arch->tensors) {
      if (rule.hf.empty() || (rule.role == Role::kOutput && config.tied)) continue;
      const bool layered = rule.hf.find("{}") != std::string_view::npos;
      for (int layer = layered ? 0 : -1; layer < (layered ? config.layers : 0); ++layer) {
        for (const bool is_bias : {false, true}) {
          if (is_bias && !rule.bias) continue;
          infos.push_back({.name = HfName({&rule, layer, is_bias}),
                           .type = Type::kF32,
                           .shape = ShapeOf(dims, rule.role, is_bias)});
        }
      }
    }
    return infos;
  }
};

}  // namespace

LoraBase OpenLoraBase(const fs::path& path, Progress& progress) {
  if (fs::is_regular_file(path)) {
    std::shared_ptr<const GgufModel> model = GgufModel::Open(path);
    return {.tensors = model,
            .names = GgufBaseNames(*model, model->metadata()),
            .keys = model->metadata()};
  }
  LoraBase base{.tensors = nullptr, .names = {}, .keys = BaseKeys(path, progress)};
  if (Checkpoint::IsIn(path)) {
    base.tensors = OpenWeights(path).tensors;
  } else {
    base.tensors = std::make_shared<ConfigTensors>(path.string(), ReadModelConfig(path, progress));
  }
  base.names = HfBaseNames(*base.tensors);
  const std::string arch = base.keys.NeedText(keys::kArchitecture);
  for (size_t t = 0; t < base.names.size(); ++t) {
    const TensorInfo& tensor = base.tensors->tensors()[t];
    const auto place = PlaceOfHf(*FindArch(arch), tensor.name);
    if (!place) continue;
    base.names.tensors[t].head_rows = HeadRowsOf(
        *place->rule, place->is_bias ? tensor.cols() : tensor.rows(), tensor.name, base.keys, arch);
  }
  return base;
}

}  // namespace quern::cli
