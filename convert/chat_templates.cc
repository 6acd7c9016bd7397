#include <algorithm>
#include <cctype>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/file.h"
#include "convert/special_tokens.h"
#include "gguf/keys.h"

namespace quern {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

struct Template {
  std::string name, text;
};

// Letters and digits alone, for the name becomes part of a key.
std::string KeyName(std::string name) {
  for (char& c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) || static_cast<unsigned char>(c) > 127)
      c = '_';
  }
  return name;
}

// A template, or a list of {"name", "template"}; nothing where it is neither.
std::optional<std::vector<Template>> FromJson(const json& value) {
  if (value.is_string()) return std::vector<Template>{{"default", value.get<std::string>()}};
  if (!value.is_array()) return std::nullopt;
  std::vector<Template> list;
  for (const json& item : value) {
    const bool whole = item.is_object() && item.contains("name") && item["name"].is_string() &&
                       item.contains("template") && item["template"].is_string();
    if (!whole) continue;
    list.push_back({KeyName(item["name"].get<std::string>()), item["template"].get<std::string>()});
  }
  return list;
}

std::vector<Template> FromFiles(const fs::path& main) {
  std::vector<Template> list = {{"default", ReadFile(main)}};
  const fs::path folder = main.parent_path() / "additional_chat_templates";
  if (!fs::is_directory(folder)) return list;
  std::vector<fs::path> more;
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.is_regular_file() && entry.path().extension() == ".jinja") {
      more.push_back(entry.path());
    }
  }
  std::sort(more.begin(), more.end());
  for (const fs::path& path : more) list.push_back({KeyName(path.stem().string()), ReadFile(path)});
  return list;
}

std::vector<Template> Templates(const TokenizerFiles& files, Progress& progress) {
  const json* config = files.Json("tokenizer_config.json");
  if (config && config->is_object() && config->contains("chat_template")) {
    const json& value = (*config)["chat_template"];
    if (auto list = FromJson(value)) return *std::move(list);
    if (!value.is_null()) {
      progress.Note(fmt::format("{}: chat_template is no template, it is left out",
                                files.NameOf("tokenizer_config.json")));
    }
    return {};
  }
  // A folder without tokenizer_config.json has its template all the same.
  if (const fs::path jinja = files.PathOf("chat_template.jinja"); !jinja.empty()) {
    return FromFiles(jinja);
  }
  const json* file = files.Json("chat_template.json");
  if (file && file->is_object() && file->contains("chat_template")) {
    return FromJson((*file)["chat_template"]).value_or(std::vector<Template>());
  }
  return {};
}

}  // namespace

void SetChatTemplateKeys(const TokenizerFiles& files, Progress& progress, Metadata& keys) {
  const std::vector<Template> list = Templates(files, progress);
  std::vector<std::string> names;
  for (const Template& entry : list) {
    if (entry.name.empty() || entry.name == "default") continue;
    keys.Set(fmt::format("{}.{}", keys::kChatTemplate, entry.name), entry.text);
    if (std::find(names.begin(), names.end(), entry.name) == names.end()) {
      names.push_back(entry.name);
    }
  }
  if (!names.empty()) keys.Set("tokenizer.chat_templates", Array(names));
  for (const Template& entry : list) {
    if (entry.name == "default") keys.Set(keys::kChatTemplate, entry.text);
  }
}

}  // namespace quern
