#include "tests/support/tiny_llama.h"

#include <nlohmann/json.hpp>

#include "base/progress.h"
#include "convert/checkpoint.h"
#include "convert/gguf_named_source.h"
#include "gguf/gguf_writer.h"
#include "gguf/keys.h"
#include "quant/typed_source.h"
#include "tests/support/paths.h"

namespace quern::testing {
namespace {

nlohmann::json Config() {
  return nlohmann::json::parse(ReadText(Shared("models/tiny-llama") / "config.json"));
}

}  // namespace

std::shared_ptr<TensorSource> TinyLlama() {
  const auto folder = Shared("models/tiny-llama");
  if (folder.empty()) return nullptr;
  const auto config = Config();
  GgufNaming naming;
  naming.arch = FindArch("llama");
  naming.dims = {.layers = config["num_hidden_layers"],
                 .embedding = config["hidden_size"],
                 .feed_forward = config["intermediate_size"],
                 .heads = config["num_attention_heads"],
                 .kv_heads = config["num_key_value_heads"],
                 .head_dim = 0,
                 .vocab = config["vocab_size"]};
  naming.dims.head_dim = naming.dims.embedding / naming.dims.heads;
  const auto named = MakeGgufNamed(Checkpoint::Open(folder), naming);
  std::vector<Type> types;
  for (const TensorInfo& tensor : named->tensors()) {
    types.push_back(tensor.shape.size() > 1 ? Type::kBF16 : Type::kF32);
  }
  return std::make_shared<TypedSource>(named, types);
}

Metadata TinyLlamaKeys() {
  const auto config = Config();
  Metadata keys("tiny-llama");
  keys.Set(keys::kArchitecture, "llama");
  keys.Set(keys::kName, "Tiny Llama");
  keys.Set("llama.block_count", config["num_hidden_layers"].get<uint32_t>());
  keys.Set("llama.attention.head_count", config["num_attention_heads"].get<uint32_t>());
  keys.Set("llama.attention.head_count_kv", config["num_key_value_heads"].get<uint32_t>());
  keys.Set(keys::kFileType, uint32_t{32});
  return keys;
}

void WriteTinyLlama(const std::filesystem::path& path) {
  const auto model = TinyLlama();
  GgufSink sink(path, TinyLlamaKeys(), model->tensors(), Overwrite::kRefuse);
  NoProgress quiet;
  Stream(*model, sink, quiet);
  sink.Commit();
}

}  // namespace quern::testing
