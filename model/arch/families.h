#pragma once

#include <array>

#include "model/arch/arch.h"

// The families that Quern knows, each as a table. To add one: docs/adding-an-architecture.md.
namespace quern {

// The modules that all decoders of Llama's line share, with the given order of Q's and K's rows.
constexpr std::array<TensorRule, 13> LlamaTensors(RowOrder q, RowOrder k) {
  return {{
      {.role = Role::kTokenEmbd, .gguf = "token_embd", .hf = "model.embed_tokens"},
      {.role = Role::kOutputNorm, .gguf = "output_norm", .hf = "model.norm"},
      {.role = Role::kOutput, .gguf = "output", .hf = "lm_head", .optional = true},
      {.role = Role::kRopeFreqs, .gguf = "rope_freqs", .hf = "", .optional = true},
      {.role = Role::kAttnNorm,
       .gguf = "blk.{}.attn_norm",
       .hf = "model.layers.{}.input_layernorm"},
      {.role = Role::kAttnQ,
       .gguf = "blk.{}.attn_q",
       .hf = "model.layers.{}.self_attn.q_proj",
       .order = q,
       .bias = true},
      {.role = Role::kAttnK,
       .gguf = "blk.{}.attn_k",
       .hf = "model.layers.{}.self_attn.k_proj",
       .order = k,
       .bias = true},
      {.role = Role::kAttnV,
       .gguf = "blk.{}.attn_v",
       .hf = "model.layers.{}.self_attn.v_proj",
       .bias = true},
      {.role = Role::kAttnOutput,
       .gguf = "blk.{}.attn_output",
       .hf = "model.layers.{}.self_attn.o_proj",
       .bias = true},
      {.role = Role::kFfnNorm,
       .gguf = "blk.{}.ffn_norm",
       .hf = "model.layers.{}.post_attention_layernorm"},
      {.role = Role::kFfnGate,
       .gguf = "blk.{}.ffn_gate",
       .hf = "model.layers.{}.mlp.gate_proj",
       .bias = true},
      {.role = Role::kFfnUp,
       .gguf = "blk.{}.ffn_up",
       .hf = "model.layers.{}.mlp.up_proj",
       .bias = true},
      {.role = Role::kFfnDown,
       .gguf = "blk.{}.ffn_down",
       .hf = "model.layers.{}.mlp.down_proj",
       .bias = true},
  }};
}

template <size_t N, size_t M>
constexpr std::array<TensorRule, N + M> With(const std::array<TensorRule, N>& base,
                                             const std::array<TensorRule, M>& extra) {
  std::array<TensorRule, N + M> all{};
  for (size_t i = 0; i < N; ++i) all[i] = base[i];
  for (size_t i = 0; i < M; ++i) all[N + i] = extra[i];
  return all;
}

inline constexpr auto kQkNorm = std::to_array<TensorRule>({
    {.role = Role::kAttnQNorm,
     .gguf = "blk.{}.attn_q_norm",
     .hf = "model.layers.{}.self_attn.q_norm"},
    {.role = Role::kAttnKNorm,
     .gguf = "blk.{}.attn_k_norm",
     .hf = "model.layers.{}.self_attn.k_norm"},
});

inline constexpr auto kLlamaTensors =
    LlamaTensors(RowOrder::kInterleavedQ, RowOrder::kInterleavedK);
inline constexpr auto kQwen2Tensors = LlamaTensors(RowOrder::kAsIs, RowOrder::kAsIs);
inline constexpr auto kQwen3Tensors = With(kQwen2Tensors, kQkNorm);

inline constexpr std::string_view kLlamaClasses[] = {"LlamaForCausalLM", "MistralForCausalLM"};
inline constexpr std::string_view kQwen2Classes[] = {"Qwen2ForCausalLM"};
inline constexpr std::string_view kQwen3Classes[] = {"Qwen3ForCausalLM"};

inline constexpr Arch kFamilies[] = {
    {.gguf = "llama",
     .hf_classes = kLlamaClasses,
     .tensors = kLlamaTensors,
     .rope_pairs = RopePairs::kNeighbours},
    {.gguf = "qwen2",
     .hf_classes = kQwen2Classes,
     .tensors = kQwen2Tensors,
     .rope_pairs = RopePairs::kHalves},
    {.gguf = "qwen3",
     .hf_classes = kQwen3Classes,
     .tensors = kQwen3Tensors,
     .rope_pairs = RopePairs::kHalves},
};

}  // namespace quern
