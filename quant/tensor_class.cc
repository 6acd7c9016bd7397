#include "quant/tensor_class.h"

#include <charconv>

namespace quern {
namespace {

struct ClassWord {
  std::string_view word;
  TensorClass tensor_class;
};

// The first word that the name holds decides.
constexpr ClassWord kClassWords[] = {
    {"attn_qkv.weight", TensorClass::kV}, {"attn_kv_b.weight", TensorClass::kV},
    {"attn_v.weight", TensorClass::kV},   {"attn_k.weight", TensorClass::kK},
    {"attn_q.weight", TensorClass::kQ},   {"attn_output.weight", TensorClass::kAttnOutput},
    {"ffn_up", TensorClass::kUp},         {"ffn_gate", TensorClass::kGate},
    {"ffn_down", TensorClass::kDown},
};

// A tensor whose name holds one of these keeps its type.
constexpr std::string_view kKept[] = {
    "_norm.weight",
    "ffn_gate_inp.weight",
    "ffn_gate_tid2eid.weight",
    "altup",
    "laurel",
    "per_layer_model_proj",
    "ssm_conv1d",
    "shortconv.conv.weight",
    "indexer.k_proj.weight",
    "indexer.q_proj.weight",
    "time_mix_first.weight",
    "time_mix_w0.weight",
    "time_mix_w1.weight",
    "time_mix_w2.weight",
    "time_mix_v0.weight",
    "time_mix_v1.weight",
    "time_mix_v2.weight",
    "time_mix_a0.weight",
    "time_mix_a1.weight",
    "time_mix_a2.weight",
    "time_mix_g1.weight",
    "time_mix_g2.weight",
    "time_mix_decay_w1.weight",
    "time_mix_decay_w2.weight",
    "time_mix_lerp_fused.weight",
    "attn_rel_b.weight",
    ".position_embd",
    "sam.pos_embd",
    "sam.neck.",
    "sam.net_",
    ".rel_pos",
    ".patch_embd",
    ".patch_merger",
    "a.rvq.codebook",
    "mm.a.code_embd",
};

// And so does one of exactly these names.
constexpr std::string_view kKeptNames[] = {"position_embd.weight", "token_types.weight"};

bool Holds(std::string_view name, std::string_view word) {
  return name.find(word) != std::string_view::npos;
}

// Dimensions without trailing ones: a column is no matrix.
size_t Dimensions(const TensorInfo& tensor) {
  size_t count = tensor.shape.size();
  while (count > 1 && tensor.shape[count - 1] == 1) --count;
  return count;
}

}  // namespace

TensorClass ClassOf(std::string_view name) {
  if (name == "output.weight") return TensorClass::kOutput;
  if (name == "token_embd.weight" || name == "per_layer_token_embd.weight") {
    return TensorClass::kEmbedding;
  }
  for (const ClassWord& entry : kClassWords) {
    if (Holds(name, entry.word)) return entry.tensor_class;
  }
  return TensorClass::kOther;
}

std::optional<int64_t> LayerOf(std::string_view name) {
  constexpr std::string_view kPrefix = "blk.";
  if (!name.starts_with(kPrefix)) return std::nullopt;
  int32_t layer = 0;
  const char* end = name.data() + name.size();
  const auto [stop, error] = std::from_chars(name.data() + kPrefix.size(), end, layer);
  if (error != std::errc() || stop == end || *stop != '.') return std::nullopt;
  return layer;
}

bool MayQuantize(const TensorInfo& tensor) {
  if (Dimensions(tensor) < 2 || !tensor.name.ends_with("weight")) return false;
  for (const std::string_view name : kKeptNames) {
    if (tensor.name == name) return false;
  }
  for (const std::string_view word : kKept) {
    if (Holds(tensor.name, word)) return false;
  }
  return true;
}

}  // namespace quern
