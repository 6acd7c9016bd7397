#pragma once

#include <string_view>

// Names of GGUF's keys that more than one room uses. Keys of one architecture ("llama.block_count")
// are made from its name: ArchKey(arch, "block_count").
namespace quern::keys {

inline constexpr std::string_view kArchitecture = "general.architecture";
inline constexpr std::string_view kType = "general.type";
inline constexpr std::string_view kName = "general.name";
inline constexpr std::string_view kSizeLabel = "general.size_label";
inline constexpr std::string_view kFileType = "general.file_type";
inline constexpr std::string_view kAlignment = "general.alignment";
inline constexpr std::string_view kQuantizationVersion = "general.quantization_version";

inline constexpr std::string_view kSplitNo = "split.no";
inline constexpr std::string_view kSplitCount = "split.count";
inline constexpr std::string_view kSplitTensors = "split.tensors.count";

inline constexpr std::string_view kTokenizerModel = "tokenizer.ggml.model";
inline constexpr std::string_view kTokenizerPre = "tokenizer.ggml.pre";
inline constexpr std::string_view kTokens = "tokenizer.ggml.tokens";
inline constexpr std::string_view kScores = "tokenizer.ggml.scores";
inline constexpr std::string_view kTokenTypes = "tokenizer.ggml.token_type";
inline constexpr std::string_view kMerges = "tokenizer.ggml.merges";
inline constexpr std::string_view kBosId = "tokenizer.ggml.bos_token_id";
inline constexpr std::string_view kEosId = "tokenizer.ggml.eos_token_id";
inline constexpr std::string_view kEotId = "tokenizer.ggml.eot_token_id";
inline constexpr std::string_view kUnknownId = "tokenizer.ggml.unknown_token_id";
inline constexpr std::string_view kPaddingId = "tokenizer.ggml.padding_token_id";
inline constexpr std::string_view kAddBos = "tokenizer.ggml.add_bos_token";
inline constexpr std::string_view kAddEos = "tokenizer.ggml.add_eos_token";
inline constexpr std::string_view kAddSpacePrefix = "tokenizer.ggml.add_space_prefix";
// Quern's own, for tokenizers of the tokenizers library that put a space before text only where it
// does not begin with one: "first" at the beginning of a text alone, "always" behind special tokens
// too. llama.cpp knows no such rule and puts it always.
inline constexpr std::string_view kSpacePrefixRule = "quern.tokenizer.space_prefix";
inline constexpr std::string_view kChatTemplate = "tokenizer.chat_template";

}  // namespace quern::keys
