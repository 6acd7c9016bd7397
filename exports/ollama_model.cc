#include "exports/ollama_model.h"

#include <algorithm>
#include <charconv>
#include <cmath>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <optional>

#include "base/error.h"
#include "base/json_text.h"
#include "gguf/keys.h"

namespace quern {
namespace {

enum class Kind { kInt, kNumber };

// Ollama's parameters of one value (api/types.go, August 2026), and what generation_config.json and
// the GGUF keys call them.
struct Rule {
  std::string_view name;
  Kind kind;
  std::string_view field, key;
};
constexpr Rule kRules[] = {
    {"temperature", Kind::kNumber, "temperature", "general.sampling.temp"},
    {"top_k", Kind::kInt, "top_k", "general.sampling.top_k"},
    {"top_p", Kind::kNumber, "top_p", "general.sampling.top_p"},
    {"min_p", Kind::kNumber, "min_p", "general.sampling.min_p"},
    {"typical_p", Kind::kNumber, "typical_p", ""},
    {"repeat_penalty", Kind::kNumber, "repetition_penalty", "general.sampling.penalty_repeat"},
    {"repeat_last_n", Kind::kInt, "", "general.sampling.penalty_last_n"},
    {"presence_penalty", Kind::kNumber, "", ""},
    {"frequency_penalty", Kind::kNumber, "", ""},
    {"num_ctx", Kind::kInt, "", ""},
    {"num_predict", Kind::kInt, "", ""},
    {"num_keep", Kind::kInt, "", ""},
    {"num_batch", Kind::kInt, "", ""},
    {"num_gpu", Kind::kInt, "", ""},
    {"num_thread", Kind::kInt, "", ""},
    {"seed", Kind::kInt, "", ""},
};

// Ollama's names of general.file_type (fs/ggml/type.go, August 2026).
constexpr std::string_view kFileTypes[] = {
    "F32",   "F16",     "Q4_0",      "Q4_1",   "",       "",        "",       "Q8_0",   "Q5_0",
    "Q5_1",  "Q2_K",    "Q3_K_S",    "Q3_K_M", "Q3_K_L", "Q4_K_S",  "Q4_K_M", "Q5_K_S", "Q5_K_M",
    "Q6_K",  "IQ2_XXS", "IQ2_XS",    "Q2_K_S", "IQ3_XS", "IQ3_XXS", "IQ1_S",  "IQ4_NL", "IQ3_S",
    "IQ3_M", "IQ2_S",   "IQ2_M",     "IQ4_XS", "IQ1_M",  "BF16",    "",       "",       "",
    "TQ1_0", "TQ2_0",   "MXFP4_MOE", "NVFP4",  "Q1_0"};

// Ollama keeps numbers as float32.
std::optional<std::string> NumberText(Kind kind, double value) {
  if (!std::isfinite(value) || std::fabs(value) > 1e9) return std::nullopt;
  if (kind == Kind::kInt) {
    if (value != std::floor(value)) return std::nullopt;
    return fmt::format("{}", static_cast<int64_t>(value));
  }
  const auto text = fmt::format("{}", static_cast<float>(value));
  return text.ends_with(".0") ? text.substr(0, text.size() - 2) : text;
}

// 6.8M, 7B: as Ollama's HumanNumber writes them.
std::string SizeText(uint64_t count) {
  const auto number = static_cast<double>(count);
  const auto write = [](double value, int decimals, char unit) {
    return fmt::format("{:.{}f}{}", value, value == std::floor(value) ? 0 : decimals, unit);
  };
  if (count >= 1000000000) return write(number / 1e9, 1, 'B');
  if (count >= 1000000) return write(number / 1e6, 2, 'M');
  if (count >= 1000) return fmt::format("{:.0f}K", number / 1e3);
  return fmt::format("{}", count);
}

}  // namespace

void SetOllamaParameter(std::string_view name, std::string_view value, OllamaModel& model) {
  if (name == "stop") {
    if (value.empty()) Fail(ErrorKind::kUsage, "stop: the text is empty");
    model.stops.emplace_back(value);
    return;
  }
  const auto rule = std::find_if(std::begin(kRules), std::end(kRules),
                                 [&](const Rule& one) { return one.name == name; });
  if (rule == std::end(kRules)) {
    std::string names = "stop";
    for (const Rule& one : kRules) names += fmt::format(", {}", one.name);
    Fail(ErrorKind::kUsage, "'{}' is no parameter of Ollama's: {}", name, names);
  }
  double number = 0;
  const auto result = std::from_chars(value.data(), value.data() + value.size(), number);
  const bool is_whole = result.ec == std::errc() && result.ptr == value.data() + value.size();
  const auto text = is_whole ? NumberText(rule->kind, number) : std::nullopt;
  if (!text) {
    Fail(ErrorKind::kUsage, "{}: '{}' is no {}", name, value,
         rule->kind == Kind::kInt ? "whole number" : "number");
  }
  model.parameters[std::string(name)] = *text;
}

OllamaModel DescribeForOllama(const GgufModel& model) {
  const Metadata& metadata = model.metadata();
  OllamaModel described;
  described.family = metadata.NeedText(keys::kArchitecture);
  uint64_t elements = 0;
  for (const TensorInfo& tensor : model.tensors()) {
    elements += static_cast<uint64_t>(tensor.elements());
  }
  described.size = SizeText(elements);
  const int64_t type = metadata.Int(keys::kFileType).value_or(-1);
  const bool is_known = type >= 0 && type < static_cast<int64_t>(std::size(kFileTypes)) &&
                        !kFileTypes[static_cast<size_t>(type)].empty();
  described.file_type = is_known ? kFileTypes[static_cast<size_t>(type)] : "unknown";
  for (const Rule& rule : kRules) {
    const auto value = rule.key.empty() ? std::nullopt : metadata.Number(rule.key);
    const auto text = value ? NumberText(rule.kind, *value) : std::nullopt;
    if (text) described.parameters[std::string(rule.name)] = *text;
  }
  return described;
}

void ReadGenerationConfig(std::string_view text, const std::string& name, OllamaModel& model) {
  const auto config = ParseJson(text, name);
  if (!config.is_object()) Fail(ErrorKind::kBadInput, "{}: is no JSON object", name);
  // Numbers for sampling that the model is not to use.
  if (const auto sample = config.find("do_sample"); sample != config.end() && *sample == false) {
    return;
  }
  for (const Rule& rule : kRules) {
    const auto value = rule.field.empty() ? config.end() : config.find(rule.field);
    if (value == config.end() || !value->is_number()) continue;
    const auto number = NumberText(rule.kind, value->get<double>());
    if (!number) Fail(ErrorKind::kBadInput, "{}: {} is {}", name, rule.field, value->dump());
    model.parameters[std::string(rule.name)] = *number;
  }
}

std::vector<std::string> OllamaStops(const GgufModel& model, std::string_view answer_end) {
  const Metadata& metadata = model.metadata();
  std::vector<std::string> stops;
  const Array* const tokens = metadata.FindArray(keys::kTokens);
  if (tokens == nullptr) return stops;
  const auto& texts = tokens->strings();
  const auto add = [&stops](const std::string& text) {
    if (!text.empty() && std::find(stops.begin(), stops.end(), text) == stops.end()) {
      stops.push_back(text);
    }
  };
  for (const std::string_view key : {keys::kEosId, keys::kEotId}) {
    const auto id = metadata.Int(key);
    if (id && *id >= 0 && static_cast<uint64_t>(*id) < texts.size()) {
      add(texts[static_cast<size_t>(*id)]);
    }
  }
  const Array* const types = metadata.FindArray(keys::kTokenTypes);
  if (types == nullptr || answer_end.empty()) return stops;
  const auto kinds = types->ToInts();
  constexpr int64_t kControl = 3, kUserDefined = 4;
  std::string best;
  for (size_t i = 0; i < texts.size() && i < kinds.size(); ++i) {
    if (kinds[i] != kControl && kinds[i] != kUserDefined) continue;
    if (answer_end.starts_with(texts[i]) && texts[i].size() > best.size()) best = texts[i];
  }
  // A token of white space would end an answer at its first line.
  if (best.find_first_not_of(" \t\r\n") != std::string::npos) add(best);
  return stops;
}

}  // namespace quern
