#include "exports/ollama_name.h"

#include "base/error.h"

namespace quern {
namespace {

bool IsWord(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '_';
}

// `more` are the signs that a part may have behind its first letter.
bool IsPart(std::string_view part, size_t limit, std::string_view more) {
  if (part.empty() || part.size() > limit || !IsWord(part[0])) return false;
  for (const char c : part) {
    if (!IsWord(c) && more.find(c) == std::string_view::npos) return false;
  }
  return true;
}

}  // namespace

std::filesystem::path OllamaName::Path() const {
  return std::filesystem::path(host) / name_space / model / tag;
}

std::string OllamaName::Text() const {
  const OllamaName usual;
  std::string text = model + ":" + tag;
  if (host != usual.host) return host + "/" + name_space + "/" + text;
  return name_space == usual.name_space ? text : name_space + "/" + text;
}

OllamaName ParseOllamaName(std::string_view text) {
  OllamaName name;
  std::string_view rest = text;
  const size_t colon = rest.rfind(':'), slash = rest.rfind('/');
  if (colon != std::string_view::npos && (slash == std::string_view::npos || colon > slash)) {
    name.tag = rest.substr(colon + 1);
    rest = rest.substr(0, colon);
  }
  const auto take = [&rest](std::string& part) {
    const size_t at = rest.rfind('/');
    part = rest.substr(at == std::string_view::npos ? 0 : at + 1);
    rest = at == std::string_view::npos ? std::string_view() : rest.substr(0, at);
    return at != std::string_view::npos;
  };
  if (take(name.model) && take(name.name_space)) name.host = rest;
  if (!IsPart(name.host, 350, "-.:") || !IsPart(name.name_space, 80, "-") ||
      !IsPart(name.model, 80, "-.") || !IsPart(name.tag, 80, "-.")) {
    Fail(
        ErrorKind::kUsage,
        "'{}' is no name of a model: [HOST/][NAMESPACE/]MODEL[:TAG] is wanted, of letters, digits, "
        "'_', '-' and '.'",
        text);
  }
  return name;
}

}  // namespace quern
