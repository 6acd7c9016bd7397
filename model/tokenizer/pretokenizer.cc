#include "model/tokenizer/pretokenizer.h"

#include "model/tokenizer/splitters.h"

namespace quern {
namespace {

constexpr Splitter kGpt2[] = {SplitGpt2};
constexpr Splitter kLlama3[] = {SplitLlama3<3>};
constexpr Splitter kQwen2[] = {SplitLlama3<1>};
constexpr Splitter kStarcoder[] = {SplitSingleNumbers, SplitGpt2};
constexpr Splitter kFalcon[] = {SplitFalconPunctuation, SplitGpt2, SplitDigitTriples};
constexpr Splitter kDeepseekCoder[] = {SplitNewlines, SplitSpacedLetters, SplitSpacedPunctuation,
                                       SplitCjk, SplitSingleNumbers};
constexpr Splitter kDeepseekLlm[] = {SplitNewlines,    SplitSpacedAlphabets,
                                     SplitSpacedMarks, SplitTrailingSpaces,
                                     SplitCjk,         SplitNumbers};
constexpr Splitter kDefault[] = {SplitDefaultPunctuation, SplitGpt2, SplitNumbers,
                                 SplitDigitTriples};

struct Named {
  std::string_view name;
  PreTokenizer pre;
};

constexpr PreTokenizer kLlama3Words = {kLlama3, true, true};

// The names that the reference accepts for these patterns (llama-vocab.cpp).
constexpr Named kNamed[] = {
    {"", {kDefault}},
    {"default", {kDefault}},
    {"gpt-2", {kGpt2}},
    {"phi-2", {kGpt2}},
    {"mpt", {kGpt2}},
    {"olmo", {kGpt2}},
    {"jais", {kGpt2}},
    {"trillion", {kGpt2}},
    {"granite-docling", {kGpt2}},
    {"exaone4", {kGpt2}},
    {"gigachat", {kGpt2}},
    {"a.x-4.0", {kGpt2}},
    {"mellum", {kGpt2}},
    {"modern-bert", {kGpt2}},
    {"roberta-bpe", {kGpt2}},
    {"jina-es", {kGpt2}},
    {"jina-de", {kGpt2}},
    {"jina-v1-en", {kGpt2}},
    {"jina-v2-es", {kGpt2}},
    {"jina-v2-de", {kGpt2}},
    {"jina-v2-code", {kGpt2}},
    {"llama3", kLlama3Words},
    {"llama-v3", kLlama3Words},
    {"llama-bpe", kLlama3Words},
    {"falcon3", kLlama3Words},
    {"falcon-h1", kLlama3Words},
    {"pixtral", kLlama3Words},
    {"midm-2.0", kLlama3Words},
    {"lfm2", kLlama3Words},
    {"jina-v5-nano", kLlama3Words},
    {"dbrx", {kLlama3}},
    {"smaug-bpe", {kLlama3}},
    {"glm4", {.splitters = kLlama3, .has_bos = false}},
    {"chatglm-bpe", {.splitters = kLlama3, .has_bos = false}},
    {"qwen2", {kQwen2}},
    {"deepseek-r1-qwen", {kQwen2}},
    {"kormo", {kQwen2}},
    {"f2llmv2", {kQwen2}},
    {"stablelm2", {kQwen2}},
    {"megrez", {kQwen2}},
    {"hunyuan", {kQwen2}},
    {"solar-open", {kQwen2}},
    {"grok-2", {kQwen2}},
    {"starcoder", {kStarcoder}},
    {"refact", {kStarcoder}},
    {"command-r", {kStarcoder}},
    {"smollm", {kStarcoder}},
    {"codeshell", {kStarcoder}},
    {"exaone", {kStarcoder}},
    {"minerva-7b", {kStarcoder}},
    {"mellum2", {kStarcoder}},
    {"falcon", {kFalcon}},
    {"deepseek-coder", {kDeepseekCoder}},
    {"deepseek-llm", {kDeepseekLlm}},
};

}  // namespace

const PreTokenizer* FindPreTokenizer(std::string_view name) {
  for (const Named& named : kNamed) {
    if (named.name == name) return &named.pre;
  }
  return nullptr;
}

std::vector<Range> PreTokenizer::Split(const Characters& text) const {
  std::vector<Range> words = {{0, text.size()}}, next;
  for (const Splitter splitter : splitters) {
    next.clear();
    for (const Range& word : words) splitter(text, word, next);
    words.swap(next);
  }
  return words;
}

}  // namespace quern
