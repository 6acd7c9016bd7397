#pragma once

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <vector>

#include "base/progress.h"
#include "model/arch/arch.h"

namespace quern {

// How the positions of a model are stretched beyond the length that it was trained with.
struct RopeScaling {
  enum class Kind { kNone, kLinear, kYarn, kLlama3 };
  Kind kind = Kind::kNone;
  double factor = 1;
  int64_t original_context = 0;         // yarn, llama3: before the stretching
  double low_freq = 1, high_freq = 4;   // llama3
  std::optional<double> extrapolation;  // yarn, from here on
  std::optional<double> attention_factor;
  std::optional<double> beta_fast, beta_slow;
};

// What a HF folder's config.json says of the model, with the defaults that transformers' class of
// that name has where it says nothing.
struct ModelConfig {
  const Arch* arch = nullptr;
  std::string hf_class;  // "LlamaForCausalLM"
  int64_t layers = 0, context = 0, hidden = 0, ffn = 0, heads = 0, kv_heads = 0;
  int64_t head_dim = 0;          // given, or hidden / heads
  bool writes_head_dim = false;  // whether the reference writes it as key_length, value_length
  int64_t vocab_size = 0;
  double rms_eps = 0;
  double rope_theta = 0;
  RopeScaling rope;
  bool tied = false;
  // Of tokens by name, "bos_token_id"; a list counts as absent, as for the reference.
  std::vector<std::pair<std::string, int64_t>> token_ids;
  std::string name_or_path;  // "meta-llama/Llama-3.2-1B", or empty
};

// Reads both forms of config.json: rope_theta with rope_scaling, and rope_parameters. The family is
// checked first. Errors: kUnsupported for a family, activation or rope scaling that Quern does not
// convert, kBadInput for what contradicts itself. What GGUF cannot express but llama.cpp ignores
// too, a sliding window, is noted.
ModelConfig ReadModelConfig(const std::filesystem::path& folder, Progress& progress);

}  // namespace quern
