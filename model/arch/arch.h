#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace quern {

// What a tensor does in a transformer, whatever a family calls it.
enum class Role {
  kTokenEmbd,
  kOutputNorm,
  kOutput,
  kAttnNorm,
  kAttnQ,
  kAttnK,
  kAttnV,
  kAttnOutput,
  kAttnQNorm,
  kAttnKNorm,
  kFfnNorm,
  kFfnGate,
  kFfnUp,
  kFfnDown,
  kRopeFreqs,  // divisors of the rope frequencies, made by convert from the config
};

// How GGUF's rows stand to the checkpoint's.
enum class RowOrder {
  kAsIs,
  // Within each head of n rows, HF row j + k * n/2 is GGUF row 2 * j + k (k = 0, 1): the halves
  // that a rotation pairs are interleaved. Applies to the bias too.
  kInterleavedQ,  // heads are the query heads
  kInterleavedK,  // heads are the key-value heads
};

// One module of a family. Names are without ".weight" / ".bias"; "{}" stands for the layer's
// number.
struct TensorRule {
  Role role;
  std::string_view gguf;  // "blk.{}.attn_q"
  std::string_view hf;    // "model.layers.{}.self_attn.q_proj"; empty: no such tensor in HF
  RowOrder order = RowOrder::kAsIs;
  bool bias = false;      // may have a bias
  bool optional = false;  // may be absent
};

// How rope pairs the elements of a head: neighbours (2i, 2i+1), or halves (i, i + n/2).
enum class RopePairs { kNeighbours, kHalves };

// A family of models as a table, read by convert, quantize, run and train alike.
struct Arch {
  std::string_view gguf;                         // general.architecture, and the prefix of its keys
  std::span<const std::string_view> hf_classes;  // config.json's "architectures"
  std::span<const TensorRule> tensors;
  RopePairs rope_pairs;
};

// All families, and the one of this name, if Quern knows it.
std::span<const Arch> AllArchs();
const Arch* FindArch(std::string_view gguf);
const Arch* FindArchByHfClass(std::string_view hf_class);

// A tensor's place in the table: its rule, its layer (-1 outside of the layers), weight or bias.
struct TensorPlace {
  const TensorRule* rule;
  int layer;
  bool is_bias;
};
std::optional<TensorPlace> PlaceOfGguf(const Arch& arch, std::string_view name);
std::optional<TensorPlace> PlaceOfHf(const Arch& arch, std::string_view name);
// "blk.3.attn_q.weight" and "model.layers.3.self_attn.q_proj.weight".
std::string GgufName(const TensorPlace& place);
std::string HfName(const TensorPlace& place);

}  // namespace quern
