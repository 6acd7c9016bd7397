#pragma once

#include <cstdint>
#include <filesystem>
#include <memory>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace quern {

// A token that was put into a vocabulary after its training.
struct AddedToken {
  int64_t id = 0;
  std::string text;
  bool special = false;
};

// The optional files of a tokenizer beside its vocabulary; of one file alone there are none.
// Each is parsed once. Errors are kBadInput.
class TokenizerFiles {
 public:
  // `path`: a folder, or a single file, which then is the tokenizer's.
  explicit TokenizerFiles(const std::filesystem::path& path);
  ~TokenizerFiles();
  TokenizerFiles(const TokenizerFiles&) = delete;
  TokenizerFiles& operator=(const TokenizerFiles&) = delete;

  // The file of this name in the folder, or an empty path.
  std::filesystem::path PathOf(const std::string& name) const;
  // The parsed JSON file of this name, or nullptr.
  const nlohmann::json* Json(const std::string& name) const;
  // The name of the file, for errors.
  std::string NameOf(const std::string& name) const;
  // tokenizer.model and tokenizer.json: in the folder, or the single file.
  std::filesystem::path sentencepiece() const { return sentencepiece_; }
  const nlohmann::json* tokenizer_json() const;
  std::string tokenizer_json_name() const { return tokenizer_json_.string(); }

  // added_tokens.json, then added_tokens_decoder of tokenizer_config.json, each by id.
  std::vector<AddedToken> LegacyAddedTokens() const;
  std::vector<AddedToken> ConfigAddedTokens() const;
  // added_tokens of tokenizer.json, by id.
  std::vector<AddedToken> JsonAddedTokens() const;

 private:
  struct Cache;
  const nlohmann::json* Parsed(const std::filesystem::path& path) const;

  std::filesystem::path folder_, sentencepiece_, tokenizer_json_;
  std::unique_ptr<Cache> cache_;
};

// Whether a token that is not marked as special is one by its looks: "<|...|>", "<pad>" and the
// like (models exist whose files forget to say so).
bool LooksSpecial(std::string_view text);

}  // namespace quern
