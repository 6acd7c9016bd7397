#include "convert/tokenizer_files.h"

#include <algorithm>
#include <charconv>
#include <map>
#include <memory>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "convert/json_fields.h"

namespace quern {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

constexpr int64_t kMaxId = int64_t{1} << 22;

void SortById(std::vector<AddedToken>& tokens) {
  std::stable_sort(tokens.begin(), tokens.end(),
                   [](const AddedToken& a, const AddedToken& b) { return a.id < b.id; });
}

int64_t IdOf(const std::string& text, const std::string& file) {
  int64_t id = -1;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), id);
  if (error != std::errc() || end != text.data() + text.size() || id < 0 || id > kMaxId) {
    Fail(ErrorKind::kBadInput, "{}: added_tokens_decoder: '{}' is no token's id", file, text);
  }
  return id;
}

// A single file is JSON where it begins like it.
bool IsJsonFile(const fs::path& path) {
  const InputFile file(path);
  std::byte first[64] = {};
  const size_t count = std::min<uint64_t>(file.size(), sizeof(first));
  file.ReadAt(0, std::span(first, count));
  for (size_t i = 0; i < count; ++i) {
    const auto c = static_cast<char>(first[i]);
    if (c != ' ' && c != '\n' && c != '\t' && c != '\r') return c == '{';
  }
  return false;
}

}  // namespace

struct TokenizerFiles::Cache {
  std::map<fs::path, std::unique_ptr<json>> files;
};

TokenizerFiles::TokenizerFiles(const fs::path& path) : cache_(std::make_unique<Cache>()) {
  if (!fs::is_directory(path)) {
    (IsJsonFile(path) ? tokenizer_json_ : sentencepiece_) = path;
    return;
  }
  folder_ = path;
  sentencepiece_ = PathOf("tokenizer.model");
  tokenizer_json_ = PathOf("tokenizer.json");
}

TokenizerFiles::~TokenizerFiles() = default;

fs::path TokenizerFiles::PathOf(const std::string& name) const {
  if (folder_.empty()) return {};
  const fs::path path = folder_ / name;
  return fs::is_regular_file(path) ? path : fs::path();
}

const json* TokenizerFiles::Parsed(const fs::path& path) const {
  if (path.empty()) return nullptr;
  auto& entry = cache_->files[path];
  if (!entry) entry = std::make_unique<json>(ParseJson(ReadFile(path), path.string()));
  return entry.get();
}

const json* TokenizerFiles::Json(const std::string& name) const { return Parsed(PathOf(name)); }
const json* TokenizerFiles::tokenizer_json() const { return Parsed(tokenizer_json_); }
std::string TokenizerFiles::NameOf(const std::string& name) const {
  return (folder_ / name).string();
}

std::vector<AddedToken> TokenizerFiles::LegacyAddedTokens() const {
  std::vector<AddedToken> tokens;
  const json* file = Json("added_tokens.json");
  if (!file) return tokens;
  const JsonFields fields(*file, NameOf("added_tokens.json"));
  for (const auto& [text, id] : file->items()) {
    if (!id.is_number_integer()) fields.FailType(text, "an integer", id);
    tokens.push_back({.id = *fields.Int(text, 0, kMaxId), .text = text});
  }
  SortById(tokens);
  return tokens;
}

std::vector<AddedToken> TokenizerFiles::ConfigAddedTokens() const {
  std::vector<AddedToken> tokens;
  const json* file = Json("tokenizer_config.json");
  if (!file) return tokens;
  const std::string name = NameOf("tokenizer_config.json");
  const auto decoder = JsonFields(*file, name).Object("added_tokens_decoder");
  if (!decoder) return tokens;
  for (const auto& [id, token] : file->at("added_tokens_decoder").items()) {
    const JsonFields fields(token, decoder->name());
    tokens.push_back({.id = IdOf(id, name),
                      .text = fields.NeedText("content"),
                      .special = fields.Bool("special").value_or(false)});
  }
  SortById(tokens);
  return tokens;
}

std::vector<AddedToken> TokenizerFiles::JsonAddedTokens() const {
  std::vector<AddedToken> tokens;
  const json* file = tokenizer_json();
  const json* list =
      file ? JsonFields(*file, tokenizer_json_name()).Array("added_tokens") : nullptr;
  if (!list) return tokens;
  for (const json& token : *list) {
    const JsonFields fields(token, tokenizer_json_name() + ": added_tokens");
    tokens.push_back({.id = fields.NeedInt("id", 0, kMaxId),
                      .text = fields.NeedText("content"),
                      .special = fields.Bool("special").value_or(false)});
  }
  SortById(tokens);
  return tokens;
}

bool LooksSpecial(std::string_view text) {
  for (const std::string_view known : {"<pad>", "<mask>", "<2mass>", "[@BOS@]"}) {
    if (text == known) return true;
  }
  return (text.starts_with("<|") && text.ends_with("|>")) ||
         (text.starts_with("<｜") && text.ends_with("｜>")) ||
         (text.starts_with("<unused") && text.ends_with(">"));
}

}  // namespace quern
