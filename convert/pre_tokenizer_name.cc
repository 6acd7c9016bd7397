#include "convert/pre_tokenizer_name.h"

#include <algorithm>
#include <array>
#include <nlohmann/json.hpp>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "convert/json_fields.h"

namespace quern {
using nlohmann::json;
namespace {

// A step of a pre-tokenizer in one spelling: the expression of a split, or one of these.
constexpr std::string_view kBytes = "<bytes>";              // bytes to letters, no more
constexpr std::string_view kGpt2 = "<gpt2>";                // GPT-2's own expression, then the same
constexpr std::string_view kPunctuation = "<punctuation>";  // runs of punctuation
constexpr std::string_view kDigit = R"(\p{N})";
constexpr std::string_view kDigits = R"(\p{N}+)";
// Stands in a table's step for any text: a long list of letters.
constexpr std::string_view kAnything = "<...>";

// The expressions, as tokenizer.json files have them; line ends are spelled \r and \n.
constexpr std::string_view kLlama3 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen2 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kQwen35 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?[\p{L}\p{M}]+|\p{N}| ?[^\s\p{L}\p{M}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kTekken =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kGpt4o =
    R"([^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kSeedCoder =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1}| ?[^\s\p{L}\p{N}\r\n]+|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kDeepSeek3 =
    R"([!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kMiniCpm5 =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}+| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr std::string_view kBloom = R"( ?[^(\s|.,!?…。，、।۔،)]+)";
constexpr std::string_view kLineEnd = R"([\r\n])";
constexpr std::string_view kCjkOrHangul = "[一-龥ࠀ-一가-퟿]+";
constexpr std::string_view kCjkOrKana = "[一-龥぀-ゟ゠-ヿ]+";
constexpr std::string_view kDeepSeekLetters =
    R"(\s?[A-Za-zµÀ-ÖØ-öø-ƺƼ-ƿǄ-ʓʕ-ʯ<...>𞤀-𞥃]+)";
constexpr std::string_view kDeepSeekMarks = R"(\s?[!-/:-~<...>]+)";

struct Row {
  std::string_view name;
  std::array<std::string_view, 7> steps;  // the unused ones are empty
};

// Of names that llama.cpp treats alike the first stands for all: refact, smollm and command-r cut
// as starcoder does.
constexpr Row kRows[] = {
    {"gpt-2", {kGpt2}},
    {"starcoder", {kDigit, kGpt2}},
    {"llama-bpe", {kLlama3, kBytes}},
    {"qwen2", {kQwen2, kBytes}},
    {"qwen35", {kQwen35, kBytes}},
    {"tekken", {kTekken, kBytes}},
    {"gpt-4o", {kGpt4o, kBytes}},
    {"seed-coder", {kSeedCoder, kBytes}},
    {"minicpm5", {R"(\p{N}{1,3})", kMiniCpm5, kBytes}},
    {"deepseek-v3", {R"(\p{N}{1,3})", kCjkOrKana, kDeepSeek3, kBytes}},
    {"deepseek-coder", {kLineEnd, R"(\s?\p{L}+)", R"(\s?\p{P}+)", kCjkOrHangul, kDigit, kBytes}},
    {"deepseek-llm",
     {kLineEnd, kDeepSeekLetters, kDeepSeekMarks, R"(\s+$)", kCjkOrHangul, kDigit, kBytes}},
    {"deepseek-llm",
     {kLineEnd, kDeepSeekLetters, kDeepSeekMarks, R"(\s+$)", kCjkOrHangul, kDigits, kBytes}},
    {"falcon", {kPunctuation, kGpt2, kDigits, "[0-9][0-9][0-9]"}},
    {"poro-chat", {kBloom, kBytes}},
    {"viking", {kBloom, kDigit, kBytes}},
};

void ReplaceAll(std::string& text, std::string_view from, std::string_view to) {
  for (size_t at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size())) {
    text.replace(at, from.size(), to);
  }
}

// The same expression is spelled in several ways.
std::string Spelled(std::string regex) {
  ReplaceAll(regex, "\r", R"(\r)");
  ReplaceAll(regex, "\n", R"(\n)");
  ReplaceAll(regex, "(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])",
             "(?i:'s|'t|'re|'ve|'m|'ll|'d)");
  return regex;
}

std::string SplitStep(const JsonFields& step) {
  const JsonFields pattern = step.NeedObject("pattern");
  std::string regex = Spelled(pattern.Text("Regex").value_or(""));
  if (regex.empty()) regex = fmt::format("'{}'", pattern.NeedText("String"));
  // Either the matches are the words, or all that is not between them: the same where the
  // expression leaves nothing out, as all of the table's do that are used so.
  const auto behavior = step.NeedText("behavior");
  const bool invert = step.Bool("invert").value_or(false);
  const bool plain = (behavior == "Isolated" && !invert) || (behavior == "Removed" && invert);
  return plain ? regex : fmt::format("{} ({}{})", regex, invert ? "inverted, " : "", behavior);
}

std::string StepOf(const JsonFields& step) {
  const std::string type = step.NeedText("type");
  if (type == "Split") return SplitStep(step);
  if (type == "Digits") {
    return std::string(step.Bool("individual_digits").value_or(false) ? kDigit : kDigits);
  }
  if (type == "Punctuation" && step.Text("behavior").value_or("Isolated") == "Contiguous") {
    return std::string(kPunctuation);
  }
  if (type == "ByteLevel" && !step.Bool("add_prefix_space").value_or(false)) {
    return std::string(step.Bool("use_regex").value_or(true) ? kGpt2 : kBytes);
  }
  return step.Has("behavior") ? fmt::format("{} ({})", type, step.NeedText("behavior")) : type;
}

std::vector<std::string> StepsOf(const JsonFields& pre_tokenizer) {
  if (pre_tokenizer.NeedText("type") != "Sequence") return {StepOf(pre_tokenizer)};
  const json* list = pre_tokenizer.Array("pretokenizers");
  if (!list) {
    Fail(ErrorKind::kBadInput, "{}: 'pretokenizers' is missing", pre_tokenizer.name());
  }
  std::vector<std::string> steps;
  for (const json& step : *list) steps.push_back(StepOf(JsonFields(step, pre_tokenizer.name())));
  return steps;
}

bool Matches(std::string_view wanted, std::string_view step) {
  const size_t hole = wanted.find(kAnything);
  if (hole == std::string_view::npos) return wanted == step;
  const std::string_view tail = wanted.substr(hole + kAnything.size());
  return step.size() >= hole + tail.size() && step.starts_with(wanted.substr(0, hole)) &&
         step.ends_with(tail);
}

bool Matches(const Row& row, const std::vector<std::string>& steps) {
  const auto end = std::find(row.steps.begin(), row.steps.end(), std::string_view());
  return std::equal(row.steps.begin(), end, steps.begin(), steps.end(),
                    [](std::string_view a, std::string_view b) { return Matches(a, b); });
}

}  // namespace

std::string PreTokenizerName(const json& tokenizer, const std::string& file) {
  const JsonFields fields(tokenizer, file);
  const auto pre_tokenizer = fields.Object("pre_tokenizer");
  if (!pre_tokenizer) {
    Fail(ErrorKind::kUnsupported,
         "{}: has no pre_tokenizer, so nothing tells how text is cut into words (--pre NAME names "
         "the way)",
         file);
  }
  const std::vector<std::string> steps = StepsOf(*pre_tokenizer);
  for (const Row& row : kRows) {
    if (Matches(row, steps)) return std::string(row.name);
  }
  Fail(
      ErrorKind::kUnsupported,
      "{}: llama.cpp has no name for this pre-tokenizer: {} (--pre NAME chooses one that cuts text "
      "in the same way)",
      file, fmt::join(steps, ", then "));
}

}  // namespace quern
