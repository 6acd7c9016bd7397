// make-checkpoint OUT TOKENIZER_DIR [LAYERS]: a Llama checkpoint of random bf16 weights (normal,
// sigma 0.02) in OUT/model and a rank-16 adapter on all its linear layers in OUT/adapter, for
// benchmarks. 8 layers make 491.8 M weights, 0.98 GB. The tokenizer's files are taken from
// TOKENIZER_DIR.
#include <algorithm>
#include <bit>
#include <cmath>
#include <cstdio>
#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"

namespace quern {
namespace {

namespace fs = std::filesystem;

constexpr int64_t kHidden = 2048, kFfn = 5632, kVocab = 32000, kHeads = 32, kKvHeads = 8;
constexpr int64_t kRank = 16;
constexpr double kSigma = 0.02;

struct Tensor {
  std::string name;
  std::vector<int64_t> shape;  // as torch has it
  bool ones = false;           // a norm's weights; the rest is random
  int64_t elements() const {
    int64_t n = 1;
    for (const int64_t size : shape) n *= size;
    return n;
  }
};

uint16_t ToBf16(float value) { return static_cast<uint16_t>(std::bit_cast<uint32_t>(value) >> 16); }

// Normal values drawn as the quantiles of 16 random bits: four from each number of the generator.
class Normal {
 public:
  explicit Normal(double sigma) : table_(65536) {
    for (size_t i = 0; i < table_.size(); ++i) {
      table_[i] =
          ToBf16(static_cast<float>(sigma * Quantile((static_cast<double>(i) + 0.5) / 65536)));
    }
  }
  void Fill(std::vector<uint16_t>& out) {
    for (size_t i = 0; i < out.size();) {
      state_ ^= state_ << 13;
      state_ ^= state_ >> 7;
      state_ ^= state_ << 17;
      for (int k = 0; k < 4 && i < out.size(); ++k)
        out[i++] = table_[(state_ >> (16 * k)) & 0xFFFF];
    }
  }

 private:
  // The inverse of the normal distribution function, by bisection: it is needed once a table entry.
  static double Quantile(double p) {
    double low = -10, high = 10;
    for (int i = 0; i < 60; ++i) {
      const double middle = (low + high) / 2;
      (0.5 * std::erfc(-middle / std::sqrt(2.0)) < p ? low : high) = middle;
    }
    return low;
  }

  std::vector<uint16_t> table_;
  uint64_t state_ = 0x9E3779B97F4A7C15;
};

void WriteSafetensors(const fs::path& path, const std::vector<Tensor>& tensors) {
  nlohmann::ordered_json header;
  header["__metadata__"] = {{"format", "pt"}};
  int64_t end = 0;
  for (const Tensor& tensor : tensors) {
    const int64_t begin = end;
    end += tensor.elements() * 2;
    header[tensor.name] = {
        {"dtype", "BF16"}, {"shape", tensor.shape}, {"data_offsets", {begin, end}}};
  }
  std::string text = header.dump();
  text.resize((text.size() + 7) / 8 * 8, ' ');
  OutputFile out(path, Overwrite::kReplace);
  const uint64_t size = text.size();
  out.WriteAt(0, std::as_bytes(std::span(&size, 1)));
  out.WriteAt(8, std::as_bytes(std::span(text)));
  uint64_t offset = 8 + size;
  Normal normal(kSigma);
  for (const Tensor& tensor : tensors) {
    for (int64_t left = tensor.elements(); left > 0;) {
      std::vector<uint16_t> piece(static_cast<size_t>(std::min<int64_t>(left, 1 << 20)), ToBf16(1));
      if (!tensor.ones) normal.Fill(piece);
      out.WriteAt(offset, std::as_bytes(std::span(piece)));
      offset += piece.size() * 2;
      left -= static_cast<int64_t>(piece.size());
    }
  }
  out.Commit();
}

struct Linear {
  const char* name;
  int64_t out, in;
};
constexpr int64_t kHeadDim = kHidden / kHeads;
constexpr Linear kLinears[] = {{"self_attn.q_proj", kHidden, kHidden},
                               {"self_attn.k_proj", kKvHeads* kHeadDim, kHidden},
                               {"self_attn.v_proj", kKvHeads* kHeadDim, kHidden},
                               {"self_attn.o_proj", kHidden, kHidden},
                               {"mlp.gate_proj", kFfn, kHidden},
                               {"mlp.up_proj", kFfn, kHidden},
                               {"mlp.down_proj", kHidden, kFfn}};

std::vector<Tensor> ModelTensors(int layers) {
  std::vector<Tensor> tensors = {{"model.embed_tokens.weight", {kVocab, kHidden}},
                                 {"model.norm.weight", {kHidden}, true},
                                 {"lm_head.weight", {kVocab, kHidden}}};
  for (int i = 0; i < layers; ++i) {
    const std::string layer = "model.layers." + std::to_string(i) + ".";
    tensors.push_back({layer + "input_layernorm.weight", {kHidden}, true});
    tensors.push_back({layer + "post_attention_layernorm.weight", {kHidden}, true});
    for (const Linear& linear : kLinears) {
      tensors.push_back({layer + linear.name + ".weight", {linear.out, linear.in}});
    }
  }
  return tensors;
}

std::vector<Tensor> AdapterTensors(int layers) {
  std::vector<Tensor> tensors;
  for (int i = 0; i < layers; ++i) {
    for (const Linear& linear : kLinears) {
      const std::string module =
          "base_model.model.model.layers." + std::to_string(i) + "." + linear.name;
      tensors.push_back({module + ".lora_A.weight", {kRank, linear.in}});
      tensors.push_back({module + ".lora_B.weight", {linear.out, kRank}});
    }
  }
  return tensors;
}

void WriteText(const fs::path& path, const std::string& text) {
  OutputFile out(path, Overwrite::kReplace);
  out.WriteAt(0, std::as_bytes(std::span(text)));
  out.Commit();
}

int Run(const fs::path& out, const fs::path& tokenizer, int layers) {
  fs::create_directories(out / "model");
  fs::create_directories(out / "adapter");
  const nlohmann::ordered_json config = {{"architectures", {"LlamaForCausalLM"}},
                                         {"model_type", "llama"},
                                         {"hidden_size", kHidden},
                                         {"intermediate_size", kFfn},
                                         {"num_hidden_layers", layers},
                                         {"num_attention_heads", kHeads},
                                         {"num_key_value_heads", kKvHeads},
                                         {"hidden_act", "silu"},
                                         {"max_position_embeddings", 2048},
                                         {"rms_norm_eps", 1e-5},
                                         {"rope_theta", 10000.0},
                                         {"bos_token_id", 1},
                                         {"eos_token_id", 2},
                                         {"tie_word_embeddings", false},
                                         {"torch_dtype", "bfloat16"},
                                         {"vocab_size", kVocab}};
  WriteText(out / "model" / "config.json", config.dump(2));
  for (const char* name : {"tokenizer.model", "tokenizer_config.json", "special_tokens_map.json"}) {
    fs::copy_file(tokenizer / name, out / "model" / name, fs::copy_options::overwrite_existing);
  }
  WriteSafetensors(out / "model" / "model.safetensors", ModelTensors(layers));
  std::vector<std::string> modules;
  for (const Linear& linear : kLinears) {
    modules.push_back(std::string(linear.name).substr(std::string(linear.name).find('.') + 1));
  }
  const nlohmann::ordered_json adapter = {
      {"peft_type", "LORA"}, {"task_type", "CAUSAL_LM"},  {"r", kRank},
      {"lora_alpha", kRank}, {"target_modules", modules}, {"bias", "none"}};
  WriteText(out / "adapter" / "adapter_config.json", adapter.dump(2));
  WriteSafetensors(out / "adapter" / "adapter_model.safetensors", AdapterTensors(layers));
  return 0;
}

}  // namespace
}  // namespace quern

int main(int argc, char** argv) {
  if (argc < 3) {
    std::fprintf(stderr, "usage: make-checkpoint OUT TOKENIZER_DIR [LAYERS]\n");
    return 2;
  }
  try {
    return quern::Run(argv[1], argv[2], argc > 3 ? std::atoi(argv[3]) : 8);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
