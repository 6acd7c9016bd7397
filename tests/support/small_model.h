#pragma once

#include <filesystem>
#include <string>
#include <vector>

#include "gguf/gguf_writer.h"
#include "tests/support/memory_source.h"
#include "tests/support/ops.h"

namespace quern::testing {

// A model of random weights for tests that need one of some shape, without a tokenizer. Tests
// change keys and tensors before they write it.
struct SmallModel {
  std::string arch = "llama";
  int64_t embd = 32, ff = 48, layers = 2, heads = 4, kv_heads = 2, head_dim = 8, vocab = 64;
  Metadata metadata;
  std::vector<MemoryTensor> tensors;

  // Fills in metadata and tensors from the numbers above.
  void Make() {
    const auto set = [this](const char* key, Value value) {
      metadata.Set(arch + "." + key, std::move(value));
    };
    metadata.Set("general.architecture", Value(arch));
    set("block_count", uint32_t(layers));
    set("context_length", uint32_t{128});
    set("embedding_length", uint32_t(embd));
    set("feed_forward_length", uint32_t(ff));
    set("attention.head_count", uint32_t(heads));
    set("attention.head_count_kv", uint32_t(kv_heads));
    set("attention.key_length", uint32_t(head_dim));
    set("attention.value_length", uint32_t(head_dim));
    set("attention.layer_norm_rms_epsilon", 1e-5f);
    Add("token_embd", embd, vocab);
    Add("output_norm", embd);
    Add("output", embd, vocab);
    for (int64_t i = 0; i < layers; ++i) {
      const std::string blk = "blk." + std::to_string(i) + ".";
      Add(blk + "attn_norm", embd);
      Add(blk + "attn_q", embd, heads * head_dim);
      Add(blk + "attn_k", embd, kv_heads * head_dim);
      Add(blk + "attn_v", embd, kv_heads * head_dim);
      Add(blk + "attn_output", heads * head_dim, embd);
      Add(blk + "ffn_norm", embd);
      Add(blk + "ffn_gate", embd, ff);
      Add(blk + "ffn_up", embd, ff);
      Add(blk + "ffn_down", ff, embd);
      if (arch == "qwen3") {
        Add(blk + "attn_q_norm", head_dim);
        Add(blk + "attn_k_norm", head_dim);
      }
    }
  }

  void Add(const std::string& stem, int64_t cols, int64_t rows = 0) {
    const int64_t count = cols * std::max<int64_t>(rows, 1);
    auto values = Normal(count, static_cast<uint32_t>(tensors.size()) + 1);
    for (float& value : values) value *= 0.2f;
    std::vector<int64_t> shape = rows > 0 ? std::vector{cols, rows} : std::vector{cols};
    tensors.push_back({stem + ".weight", std::move(shape), std::move(values)});
  }

  MemoryTensor& Find(std::string_view name) {
    for (MemoryTensor& tensor : tensors) {
      if (tensor.name == name) return tensor;
    }
    throw std::logic_error("no such tensor");
  }

  void Write(const std::filesystem::path& path) const {
    const MemorySource source("memory", tensors);
    GgufSink sink(path, metadata, source.tensors(), Overwrite::kReplace);
    for (size_t i = 0; i < tensors.size(); ++i) sink.WriteRows(i, 0, source.ReadAll(i));
    sink.Commit();
  }
};

}  // namespace quern::testing
