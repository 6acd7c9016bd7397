#include "model/hyper.h"

#include <cmath>
#include <string>

#include "base/error.h"
#include "gguf/keys.h"

namespace quern {
namespace {

// Far beyond any model that exists, and small enough that no product of three overflows.
constexpr int64_t kMaxWidth = int64_t{1} << 20;
constexpr int64_t kMaxLayers = 4096;

// Reads keys of one architecture: "context_length" is "llama.context_length".
class Keys {
 public:
  Keys(const Metadata& metadata, std::string_view arch) : metadata_(metadata), arch_(arch) {}

  std::string Name(std::string_view key) const { return fmt::format("{}.{}", arch_, key); }

  int64_t InRange(std::string_view key, int64_t value, int64_t least, int64_t most) const {
    if (value < least || value > most) {
      Fail(ErrorKind::kBadInput, "{}: key '{}' is {}, between {} and {} is possible",
           metadata_.name(), Name(key), value, least, most);
    }
    return value;
  }

  int64_t Need(std::string_view key, int64_t most) const {
    return InRange(key, metadata_.NeedInt(Name(key)), 1, most);
  }
  int64_t Int(std::string_view key, int64_t otherwise, int64_t most) const {
    return InRange(key, metadata_.Int(Name(key)).value_or(otherwise), 1, most);
  }

  // A number that some files give per layer; layers that differ are not supported.
  int64_t SameInAllLayers(std::string_view key, int64_t otherwise, int64_t most) const {
    const Value* value = metadata_.Find(Name(key));
    if (!value || !value->ToArray()) {
      return otherwise > 0 ? Int(key, otherwise, most) : Need(key, most);
    }
    const auto numbers = value->ToArray()->ToInts();
    if (numbers.empty()) {
      Fail(ErrorKind::kBadInput, "{}: key '{}' is an array without integers", metadata_.name(),
           Name(key));
    }
    for (const int64_t number : numbers) {
      if (number != numbers[0]) {
        Fail(ErrorKind::kUnsupported, "{}: key '{}' differs between layers ({} and {})",
             metadata_.name(), Name(key), numbers[0], number);
      }
    }
    return InRange(key, numbers[0], 1, most);
  }

  double Number(std::string_view key, double otherwise, double least, double most) const {
    const double value = metadata_.Number(Name(key)).value_or(otherwise);
    if (!(value >= least && value <= most)) {
      Fail(ErrorKind::kBadInput, "{}: key '{}' is {}, between {} and {} is possible",
           metadata_.name(), Name(key), value, least, most);
    }
    return value;
  }
  std::string Text(std::string_view key, std::string otherwise) const {
    return metadata_.Text(Name(key)).value_or(std::move(otherwise));
  }

 private:
  const Metadata& metadata_;
  std::string_view arch_;
};

RopeParams ReadRope(const Metadata& metadata, const Keys& keys, const Hyper& hyper) {
  RopeParams rope;
  rope.dims = keys.Int("rope.dimension_count", hyper.key_dim, hyper.key_dim);
  if (rope.dims % 2 != 0) {
    Fail(ErrorKind::kBadInput, "{}: key '{}' is {}, it should be even", metadata.name(),
         keys.Name("rope.dimension_count"), rope.dims);
  }
  rope.base = keys.Number("rope.freq_base", 10000.0, 1.0 + 1e-6, 1e30);
  const std::string scaling = keys.Text("rope.scaling.type", "linear");
  if (scaling != "none" && scaling != "linear" && scaling != "yarn") {
    Fail(ErrorKind::kUnsupported, "{}: rope scaling '{}' is not supported", metadata.name(),
         scaling);
  }
  const bool old_name = !metadata.Has(keys.Name("rope.scaling.factor"));
  const double factor =
      keys.Number(old_name ? "rope.scale_linear" : "rope.scaling.factor", 1.0, 0.0, 1e9);
  // A factor of zero stands for none in old files.
  if (scaling != "none" && factor != 0.0) rope.factor = factor;
  rope.attention_factor = keys.Number("rope.scaling.attn_factor", 1.0, 1e-6, 1e6);
  rope.yarn = scaling == "yarn";
  rope.extrapolation = keys.Number("rope.scaling.yarn_ext_factor", 1.0, 0.0, 1.0);
  rope.beta_fast = keys.Number("rope.scaling.yarn_beta_fast", 32.0, 1e-6, 1e6);
  rope.beta_slow = keys.Number("rope.scaling.yarn_beta_slow", 1.0, 1e-6, 1e6);
  rope.original_context =
      keys.Int("rope.scaling.original_context_length", hyper.context, int64_t{1} << 40);
  return rope;
}

}  // namespace

Hyper ReadHyper(const Metadata& metadata) {
  const std::string name = metadata.NeedText(keys::kArchitecture);
  Hyper hyper;
  hyper.arch = FindArch(name);
  if (!hyper.arch) {
    Fail(ErrorKind::kUnsupported, "{}: architecture '{}' cannot be run", metadata.name(), name);
  }
  const Keys keys(metadata, hyper.arch->gguf);
  hyper.layers = keys.Need("block_count", kMaxLayers);
  hyper.embd = keys.Need("embedding_length", kMaxWidth);
  hyper.ff = keys.SameInAllLayers("feed_forward_length", 0, kMaxWidth);
  hyper.heads = keys.SameInAllLayers("attention.head_count", 0, kMaxWidth);
  hyper.kv_heads = keys.SameInAllLayers("attention.head_count_kv", hyper.heads, kMaxWidth);
  if (hyper.heads % hyper.kv_heads != 0) {
    Fail(ErrorKind::kBadInput, "{}: {} heads cannot share {} key-value heads", metadata.name(),
         hyper.heads, hyper.kv_heads);
  }
  // Where no length is told, the heads divide the width.
  const bool told = metadata.Has(keys.Name("attention.key_length"));
  if (!told && hyper.embd % hyper.heads != 0) {
    Fail(ErrorKind::kBadInput, "{}: a width of {} cannot be shared by {} heads", metadata.name(),
         hyper.embd, hyper.heads);
  }
  const int64_t share = std::max<int64_t>(hyper.embd / hyper.heads, 1);
  hyper.key_dim = keys.Int("attention.key_length", share, kMaxWidth / hyper.heads);
  hyper.value_dim = keys.Int("attention.value_length", share, kMaxWidth / hyper.heads);
  hyper.context = keys.Int("context_length", 4096, int64_t{1} << 40);
  hyper.rms_eps =
      static_cast<float>(keys.Number("attention.layer_norm_rms_epsilon", 1e-5, 0.0, 1.0));
  if (const auto experts = metadata.Int(keys.Name("expert_count")); experts.value_or(0) > 0) {
    Fail(ErrorKind::kUnsupported, "{}: {} experts: mixtures of experts cannot be run",
         metadata.name(), *experts);
  }
  hyper.rope = ReadRope(metadata, keys, hyper);
  return hyper;
}

}  // namespace quern
