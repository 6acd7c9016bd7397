#include <array>
#include <string_view>

#include "gguf/keys.h"
#include "model/tokenizer/vocab.h"

// Which tokens end a generation. GGUF has keys for some of them only, so the reference finds the
// rest by their texts (llama-vocab.cpp); the lists are its.
namespace quern {
namespace {

constexpr std::string_view kEnds[] = {
    "<|eot_id|>",
    "<|im_end|>",
    "<|end|>",
    "<|return|>",
    "<|call|>",
    "<|flush|>",
    "<|calls|>",
    "<end_of_turn>",
    "</s>",
    "<|endoftext|>",
    "<|eom_id|>",
    "<EOT>",
    "_<EOT>",
    "[EOT]",
    "[EOS]",
    "<|end_of_text|>",
    "<eos>",
    "<turn|>",
    "<|tool_response>",
    "<end_of_utterance>",
    "[e~[",
    "<｜end▁of▁sentence｜>",
};

// Special tokens of fill-in-the-middle: where the key is absent, the first of the names that the
// vocabulary has.
struct FimToken {
  std::string_view key;
  bool ends;  // generation stops behind it
  std::array<std::string_view, 8> names;
};
constexpr FimToken kFimTokens[] = {
    {"tokenizer.ggml.fim_pre_token_id",
     false,
     {"<|fim_prefix|>", "<fim-prefix>", "<fim_prefix>", "<｜fim▁begin｜>", "<PRE>", "▁<PRE>",
      "<|code_prefix|>", "<|prefix|>"}},
    {"tokenizer.ggml.fim_suf_token_id",
     false,
     {"<|fim_suffix|>", "<fim-suffix>", "<fim_suffix>", "<｜fim▁hole｜>", "<SUF>", "▁<SUF>",
      "<|code_suffix|>", "<|suffix|>"}},
    {"tokenizer.ggml.fim_mid_token_id",
     false,
     {"<|fim_middle|>", "<fim-middle>", "<fim_middle>", "<｜fim▁end｜>", "<MID>", "▁<MID>",
      "<|code_middle|>", "<|middle|>"}},
    {"tokenizer.ggml.fim_pad_token_id",
     true,
     {"<|fim_pad|>", "<fim-pad>", "<fim_pad>", "<PAD>", "[PAD]"}},
    {"tokenizer.ggml.fim_rep_token_id",
     true,
     {"<|fim_repo|>", "<|repo_name|>", "<fim-repo>", "<REPO>", "<reponame>"}},
    {"tokenizer.ggml.fim_sep_token_id", true, {"<|file_sep|>"}},
};

}  // namespace

void Vocab::FindEnds(const Metadata& metadata) {
  const auto control = [&](TokenId id) {
    tokens_[static_cast<size_t>(id)].traits |= kTraitControl;
  };
  for (const FimToken& fim : kFimTokens) {
    TokenId id = ReadId(metadata, fim.key);
    for (size_t i = 0; id < 0 && i < fim.names.size() && !fim.names[i].empty(); ++i) {
      id = Find(fim.names[i]);
      if (id >= 0) control(id);
    }
    if (id >= 0 && fim.ends) ends_.insert(id);
  }
  for (const std::string_view name : kEnds) {
    const TokenId id = Find(name);
    if (id < 0) continue;
    control(id);
    ends_.insert(id);
  }
  for (const TokenId id :
       {eos_, ReadId(metadata, keys::kEotId), ReadId(metadata, "tokenizer.ggml.eom_token_id")}) {
    if (id >= 0) ends_.insert(id);
  }
}

// Corrections for single vocabularies: gpt-oss renders its channel marks, and there (as in Solar)
// <|end|> closes a message, not the answer; Gemma 4 has a </s> that is only text.
void Vocab::CorrectHarmony() {
  for (const std::string_view name : {"<|channel|>", "<|message|>", "<|start|>", "<|constrain|>"}) {
    const TokenId id = Find(name);
    if (id >= 0) tokens_[static_cast<size_t>(id)].traits = kTraitUserDefined;
  }
  const auto ends = [&](std::string_view name) {
    const TokenId id = Find(name);
    return id >= 0 && EndsGeneration(id);
  };
  const auto withdraw = [&](std::string_view name, TokenTrait trait) {
    const TokenId id = Find(name);
    ends_.erase(id);
    tokens_[static_cast<size_t>(id)].traits = trait;
  };
  const bool calls = ends("<|call|>") || ends("<|calls|>");
  if (calls && ends("<|end|>") && (ends("<|return|>") || ends("<|flush|>"))) {
    withdraw("<|end|>", kTraitUserDefined);
  }
  if (ends("<|tool_response>") && ends("</s>")) withdraw("</s>", kTraitNormal);
}

}  // namespace quern
