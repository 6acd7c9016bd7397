#include "exports/modelfile.h"

#include "base/error.h"
#include "model/chat/unicode_text.h"

namespace quern {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

bool IsKept(char32_t code) {
  return code == '\n' || code == '\r' || code == '\t' || jinja::IsPrintable(code);
}

void CheckQuotable(std::string_view what, std::string_view text) {
  if (!jinja::IsValidUtf8(text)) {
    Fail(ErrorKind::kUnsupported, "Modelfile: {} is no valid UTF-8", what);
  }
  for (const char32_t code : jinja::Decode(text)) {
    if (IsKept(code)) continue;
    Fail(ErrorKind::kUnsupported, "Modelfile: {} holds U+{:04X}, which Ollama's parser drops", what,
         static_cast<uint32_t>(code));
  }
  for (size_t at = text.find("\"\"\""); at != std::string_view::npos;
       at = text.find("\"\"\"", at + 1)) {
    const size_t next = text.find_first_not_of(" \t", at + 3);
    if (next == std::string_view::npos || (text[next] != '\n' && text[next] != '\r')) continue;
    Fail(ErrorKind::kUnsupported,
         "Modelfile: {} has \"\"\" at a line's end, where Ollama's parser ends the text", what);
  }
}

std::string Quoted(std::string_view what, std::string_view text) {
  CheckQuotable(what, text);
  const bool is_plain = text.find_first_of("\"\r\n") == std::string_view::npos;
  const std::string_view quotes = is_plain ? "\"" : "\"\"\"";
  return fmt::format("{}{}{}", quotes, text, quotes);
}

// A licence without its form feeds and the like, which the parser drops anyway.
std::string Printable(std::string_view text) {
  if (!jinja::IsValidUtf8(text)) {
    Fail(ErrorKind::kUnsupported, "Modelfile: LICENSE is no valid UTF-8");
  }
  std::u32string kept;
  for (const char32_t code : jinja::Decode(text)) {
    if (IsKept(code)) kept += code;
  }
  return jinja::Encode(kept);
}

}  // namespace

bool IsModelfileName(std::string_view name) {
  if (name.empty() || !jinja::IsValidUtf8(name)) return false;
  if (kSpace.find(name.back()) != std::string_view::npos) return false;
  for (const char32_t code : jinja::Decode(name)) {
    if (!jinja::IsPrintable(code) || code == '"' || code == '/') return false;
  }
  return true;
}

std::string ModelfileText(const OllamaModel& model, std::string_view weights) {
  QUERN_CHECK(IsModelfileName(weights));
  std::string text = fmt::format("FROM ./{}\n", weights);
  if (!model.chat_template.empty()) {
    CheckQuotable("TEMPLATE", model.chat_template);
    text += fmt::format("\nTEMPLATE \"\"\"{}\"\"\"\n", model.chat_template);
  }
  if (!model.system.empty()) text += "\nSYSTEM " + Quoted("SYSTEM", model.system) + "\n";
  if (!model.parameters.empty() || !model.stops.empty()) text += "\n";
  for (const auto& [name, value] : model.parameters) {
    text += fmt::format("PARAMETER {} {}\n", name, value);
  }
  for (const std::string& stop : model.stops) {
    text += "PARAMETER stop " + Quoted("PARAMETER stop", stop) + "\n";
  }
  for (const std::string& license : model.licenses) {
    text += "\nLICENSE " + Quoted("LICENSE", Printable(license)) + "\n";
  }
  return text;
}

}  // namespace quern
