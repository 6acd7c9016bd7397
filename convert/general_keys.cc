#include "convert/general_keys.h"

#include <algorithm>
#include <array>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "convert/json_fields.h"
#include "convert/model_card.h"
#include "gguf/keys.h"

namespace quern {
namespace fs = std::filesystem;
using nlohmann::json;
namespace {

// A parent model or a data set, by its fields "name", "organization", "repo_url", ...
using Origin = std::map<std::string, std::string, std::less<>>;

// Everything that is known of the model as a work. Texts go by their key without "general.".
struct Work {
  std::map<std::string, std::string, std::less<>> texts;
  std::optional<std::vector<Origin>> base_models, datasets;
  std::optional<std::vector<std::string>> tags, languages;

  void Offer(const std::string& key, const std::optional<std::string>& value) {
    if (value) texts.try_emplace(key, *value);
  }
  std::optional<std::string> Text(std::string_view key) const {
    const auto found = texts.find(key);
    return found == texts.end() ? std::nullopt : std::optional(found->second);
  }
};

// The texts in the order in which they are written; a card's names for them, first one wins.
struct TextRule {
  std::string_view key;
  std::array<std::string_view, 4> card;
};
constexpr TextRule kTexts[] = {
    {"name", {"name", "model_name"}},
    {"author", {"author", "model_author", "model_creator"}},
    {"version", {"version", "model_version"}},
    {"organization", {"organization", "model_organization"}},
    {"finetune", {"finetune", "model_finetune"}},
    {"basename", {"basename", "model_basename", "model_type"}},
    {"description", {"description", "model_description"}},
    {"quantized_by", {}},
    {"size_label", {"size_label", "model_size_label"}},
    {"license", {"license"}},
    {"license.name", {"license_name"}},
    {"license.link", {"license_link"}},
    {"url", {}},
    {"doi", {}},
    {"uuid", {}},
    {"repo_url", {}},
    {"source.url", {"url", "model_url"}},
    {"source.doi", {"doi", "model_doi"}},
    {"source.uuid", {"uuid", "model_uuid"}},
    {"source.repo_url", {"repo_url", "model_repo_url"}},
};

constexpr std::string_view kOriginFields[] = {
    "name", "author", "version", "organization", "description", "url", "doi", "uuid", "repo_url"};

// generation_config.json's names of the sampling keys, in the order in which they are written.
enum class Kind { kText, kInt, kNumber };
struct SamplingRule {
  std::string_view key, field;
  Kind kind;
};
constexpr SamplingRule kSampling[] = {
    {"sequence", "sequence", Kind::kText},
    {"top_k", "top_k", Kind::kInt},
    {"top_p", "top_p", Kind::kNumber},
    {"min_p", "min_p", Kind::kNumber},
    {"xtc_probability", "xtc_probability", Kind::kNumber},
    {"xtc_threshold", "xtc_threshold", Kind::kNumber},
    {"temp", "temperature", Kind::kNumber},
    {"penalty_last_n", "penalty_last_n", Kind::kInt},
    {"penalty_repeat", "penalty_repeat", Kind::kNumber},
    {"mirostat", "mirostat", Kind::kInt},
    {"mirostat_tau", "mirostat_tau", Kind::kNumber},
    {"mirostat_eta", "mirostat_eta", Kind::kNumber},
};

std::optional<std::string> Title(const std::optional<std::string>& id) {
  if (!id) return std::nullopt;
  return TitleOf(*id);
}

void OfferNameParts(std::string_view id, int64_t weights, Work& work) {
  const ModelNameParts parts = PartsOfModelId(id, weights);
  work.Offer("name", Title(parts.name));
  work.Offer("organization", Title(parts.organization));
  work.Offer("basename", parts.basename);
  work.Offer("finetune", parts.finetune);
  work.Offer("version", parts.version);
  work.Offer("size_label", parts.size_label);
}

// "org/name" of a HF address, or of an id that is none.
std::optional<std::string_view> HubId(std::string_view origin) {
  const bool address = origin.starts_with("http://") || origin.starts_with("https://") ||
                       origin.starts_with("ssh://");
  if (!address) return origin;
  for (const std::string_view hub : {"https://huggingface.co/", "http://huggingface.co/"}) {
    if (!origin.starts_with(hub)) continue;
    const std::string_view id = origin.substr(hub.size());
    const size_t slash = id.find('/');
    const bool two = slash != std::string_view::npos && slash > 0 && slash + 1 < id.size() &&
                     id.find('/', slash + 1) == std::string_view::npos;
    if (two) return id;
  }
  return std::nullopt;
}

Origin OriginOf(const std::string& text, int64_t weights) {
  Origin origin;
  const auto id = HubId(text);
  const bool address = !id || id->size() != text.size();
  if (address) origin["repo_url"] = text;
  if (!id) return origin;
  const ModelNameParts parts = PartsOfModelId(*id, weights);
  if (parts.name) origin["name"] = TitleOf(*parts.name);
  if (parts.organization) origin["organization"] = TitleOf(*parts.organization);
  if (parts.version) origin["version"] = *parts.version;
  if (!address && parts.organization) {
    origin["repo_url"] =
        fmt::format("https://huggingface.co/{}/{}", *parts.organization, *parts.name);
  }
  return origin;
}

const CardField* FindField(const ModelCard& card, std::initializer_list<std::string_view> names) {
  for (const std::string_view name : names) {
    if (const auto found = card.find(name); found != card.end()) return &found->second;
  }
  return nullptr;
}

void Append(const CardField* field, std::optional<std::vector<std::string>>& list) {
  if (!field) return;
  if (!list) list.emplace();
  list->insert(list->end(), field->values.begin(), field->values.end());
}

void OfferCard(const ModelCard& card, int64_t weights, Work& work) {
  for (const TextRule& rule : kTexts) {
    for (const std::string_view name : rule.card) {
      const CardField* field = name.empty() ? nullptr : FindField(card, {name});
      if (!field || (field->is_list && rule.key != "license")) continue;
      work.Offer(std::string(rule.key), fmt::format("{}", fmt::join(field->values, ",")));
    }
  }
  const auto origins = [&](const CardField* field, std::optional<std::vector<Origin>>& list) {
    if (!field) return;
    list.emplace();
    for (const std::string& id : field->values) list->push_back(OriginOf(id, weights));
  };
  origins(FindField(card, {"base_model", "base_models", "base_model_sources"}), work.base_models);
  origins(FindField(card, {"datasets", "dataset", "dataset_sources"}), work.datasets);
  Append(FindField(card, {"tags"}), work.tags);
  Append(FindField(card, {"pipeline_tag"}), work.tags);
  Append(FindField(card, {"languages"}), work.languages);
  Append(FindField(card, {"language"}), work.languages);
}

std::optional<std::vector<Origin>> OriginList(const JsonFields& fields, std::string_view key) {
  const json* array = fields.Array(key);
  if (!array) return std::nullopt;
  std::vector<Origin> list;
  for (const json& item : *array) {
    const JsonFields entry(item, fmt::format("{}: {}", fields.name(), key));
    Origin& origin = list.emplace_back();
    for (const std::string_view field : kOriginFields) {
      if (auto text = entry.Text(field)) origin[std::string(field)] = *std::move(text);
    }
  }
  return list;
}

std::optional<std::vector<std::string>> TextList(const JsonFields& fields, std::string_view key) {
  const json* array = fields.Array(key);
  if (!array) return std::nullopt;
  std::vector<std::string> list;
  for (const json& item : *array) {
    if (!item.is_string()) fields.FailType(key, "an array of strings", item);
    list.push_back(item.get<std::string>());
  }
  return list;
}

// Before anything else is offered: who comes first stays.
void OfferOverrides(const JsonFields& fields, Work& work) {
  for (const TextRule& rule : kTexts) {
    work.Offer(std::string(rule.key), fields.Text(fmt::format("general.{}", rule.key)));
  }
}

// Lists are replaced as a whole.
void ReplaceLists(const JsonFields& fields, Work& work) {
  if (auto list = OriginList(fields, "general.base_models")) work.base_models = std::move(list);
  if (auto list = OriginList(fields, "general.datasets")) work.datasets = std::move(list);
  if (auto list = TextList(fields, "general.tags")) work.tags = std::move(list);
  if (auto list = TextList(fields, "general.languages")) work.languages = std::move(list);
}

void SetSamplingKeys(const JsonFields* config, const JsonFields* overrides, Metadata& keys) {
  for (const SamplingRule& rule : kSampling) {
    const std::string key = fmt::format("general.sampling.{}", rule.key);
    const bool overridden = overrides && overrides->Has(key);
    const JsonFields* from = overridden ? overrides : config;
    const std::string field = overridden ? key : std::string(rule.field);
    if (!from || !from->Has(field)) continue;
    switch (rule.kind) {
      case Kind::kText:
        keys.Set(key, *from->Text(field));
        break;
      case Kind::kInt:
        keys.Set(key, static_cast<int32_t>(*from->Int(field, INT32_MIN)));
        break;
      case Kind::kNumber:
        keys.Set(key, static_cast<float>(*from->Number(field)));
        break;
    }
  }
}

void SetOrigins(std::string_view kind, const std::optional<std::vector<Origin>>& origins,
                Metadata& keys) {
  if (!origins) return;
  keys.Set(fmt::format("general.{}.count", kind), static_cast<uint32_t>(origins->size()));
  for (size_t i = 0; i < origins->size(); ++i) {
    for (const std::string_view field : kOriginFields) {
      if (const auto found = (*origins)[i].find(field); found != (*origins)[i].end()) {
        keys.Set(fmt::format("general.{}.{}.{}", kind, i, field), found->second);
      }
    }
  }
}

// Many folders have a generation_config.json that is none; the weights do not depend on it.
std::optional<json> ReadGenerationConfig(const fs::path& folder, Progress& progress) {
  const fs::path path = folder / "generation_config.json";
  if (!fs::is_regular_file(path)) return std::nullopt;
  try {
    return ParseJson(ReadFile(path), path.string());
  } catch (const Error& error) {
    progress.Note(fmt::format("left out: {}", error.what()));
    return std::nullopt;
  }
}

// "model" of "../x/model/" too.
std::string FolderName(const fs::path& folder) {
  fs::path path = fs::absolute(folder).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  return path.filename().string();
}

Work WorkOf(const GeneralSources& sources, const JsonFields* overrides) {
  Work work;
  if (overrides) OfferOverrides(*overrides, work);
  if (const fs::path readme = sources.folder / "README.md"; fs::is_regular_file(readme)) {
    OfferCard(ParseModelCard(ReadFile(readme)), sources.weights, work);
  }
  // A path on somebody's computer is no name.
  const std::string& id = sources.name_or_path;
  if (!id.empty() && std::count(id.begin(), id.end(), '/') <= 1) {
    OfferNameParts(id, sources.weights, work);
  }
  OfferNameParts(FolderName(sources.folder), sources.weights, work);
  if (sources.weights > 0) work.Offer("size_label", SizeLabel(sources.weights));
  if (overrides) ReplaceLists(*overrides, work);
  return work;
}

}  // namespace

ModelNameParts SetGeneralKeys(std::string_view arch, const GeneralSources& sources,
                              Progress& progress, Metadata& keys) {
  std::optional<json> override_text;
  if (!sources.overrides.empty()) {
    override_text = ParseJson(ReadFile(sources.overrides), sources.overrides.string());
  }
  const auto generation = ReadGenerationConfig(sources.folder, progress);
  std::optional<JsonFields> config, overrides;
  if (generation) {
    config.emplace(*generation, (sources.folder / "generation_config.json").string());
  }
  if (override_text) overrides.emplace(*override_text, sources.overrides.string());
  const Work work = WorkOf(sources, overrides ? &*overrides : nullptr);

  keys.Set(keys::kArchitecture, std::string(arch));
  keys.Set(keys::kType, "model");
  SetSamplingKeys(config ? &*config : nullptr, overrides ? &*overrides : nullptr, keys);
  for (const TextRule& rule : kTexts) {
    if (const auto text = work.Text(rule.key)) keys.Set(fmt::format("general.{}", rule.key), *text);
  }
  SetOrigins("base_model", work.base_models, keys);
  SetOrigins("dataset", work.datasets, keys);
  if (work.tags) keys.Set("general.tags", Array(*work.tags));
  if (work.languages) keys.Set("general.languages", Array(*work.languages));
  return {.name = work.Text("name"),
          .organization = work.Text("organization"),
          .basename = work.Text("basename"),
          .finetune = work.Text("finetune"),
          .version = work.Text("version"),
          .size_label = work.Text("size_label")};
}

}  // namespace quern
