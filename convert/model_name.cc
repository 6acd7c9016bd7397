#include "convert/model_name.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>
#include <cstdlib>
#include <vector>

namespace quern {
namespace {

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsUpper(char c) { return c >= 'A' && c <= 'Z'; }
bool IsLower(char c) { return c >= 'a' && c <= 'z'; }
bool IsAlpha(char c) { return IsUpper(c) || IsLower(c); }
char Lower(char c) { return IsUpper(c) ? static_cast<char>(c + 32) : c; }
char Upper(char c) { return IsLower(c) ? static_cast<char>(c - 32) : c; }

std::string LowerOf(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), Lower);
  return out;
}
std::string UpperOf(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(), Upper);
  return out;
}

// Takes pieces from the front of a lower-case text.
struct Matcher {
  std::string_view rest;
  bool Take(std::string_view text) {
    if (!rest.starts_with(text)) return false;
    rest.remove_prefix(text.size());
    return true;
  }
  bool Digits() {
    const size_t before = rest.size();
    while (!rest.empty() && IsDigit(rest.front())) rest.remove_prefix(1);
    return rest.size() < before;
  }
  bool done() const { return rest.empty(); }
};

// "2", "v0.1", "iter3"
bool IsVersion(std::string_view text) {
  Matcher m{text};
  if (!m.Take("v")) m.Take("iter");
  if (!m.Digits()) return false;
  while (m.Take(".")) {
    if (!m.Digits()) return false;
  }
  return m.done();
}

// "q4_k_m", "iq2", "bf16", "fp32"
bool IsType(std::string_view text) {
  Matcher q{text};
  q.Take("i");
  if (q.Take("q") && !q.done() && IsDigit(q.rest.front())) {
    q.rest.remove_prefix(1);
    const auto word = [](char c) { return IsAlpha(c) || IsDigit(c) || c == '_'; };
    while (q.rest.size() >= 2 && q.rest[0] == '_' && word(q.rest[1])) q.rest.remove_prefix(2);
    if (q.done()) return true;
  }
  Matcher f{text};
  f.Take("b");
  if (!f.Take("f")) return false;
  f.Take("p");
  return (f.Take("16") || f.Take("32")) && f.done();
}

// "7b", "8x7b", "a3b", "1.5b", "7b1", "large"
bool IsSize(std::string_view text) {
  static constexpr std::array<std::string_view, 6> kWords = {"small", "mini", "medium",
                                                             "large", "xl",   "xxl"};
  if (std::find(kWords.begin(), kWords.end(), text) != kWords.end()) return true;
  const auto number = [](Matcher m) {
    if (!m.Digits()) return false;
    if (m.Take(".") || m.Take("_")) {
      if (!m.Digits()) return false;
    }
    if (m.done() || std::string_view("kmbt").find(m.rest.front()) == std::string_view::npos) {
      return false;
    }
    m.rest.remove_prefix(1);
    if (!m.done() && IsDigit(m.rest.front())) m.rest.remove_prefix(1);
    return m.done();
  };
  Matcher plain{text}, active{text}, experts{text};
  return number(plain) || (active.Take("a") && number(active)) ||
         (experts.Digits() && experts.Take("x") && number(experts));
}

bool IsFinetune(std::string_view text) {
  return text == "chat" || text == "instruct" || text == "vision" || text == "lora";
}

enum Kind : unsigned { kBasename = 1, kSize = 2, kFinetune = 4, kVersion = 8, kType = 16 };

struct Part {
  std::string text;
  unsigned kinds = 0;
};

// The number that "7B" or "1.5K" says, if it is one. A letter that is no unit divides by 1000, as
// it does for the reference.
std::optional<double> LabelWeights(const std::string& label) {
  const std::string digits = label.substr(0, label.size() - 1);
  if (digits.empty() ||
      !std::all_of(digits.begin(), digits.end(), [](char c) { return IsDigit(c) || c == '.'; })) {
    return std::nullopt;
  }
  char* end = nullptr;
  const double number = std::strtod(digits.c_str(), &end);
  if (*end != 0) return std::nullopt;
  const size_t unit = std::string_view(" KMBT").find(label.back());
  return number *
         std::pow(1000.0, unit == std::string_view::npos ? -1.0 : static_cast<double>(unit));
}

void AnnotateSize(Part& part, int64_t weights) {
  std::string& text = part.text;
  std::replace(text.begin(), text.end(), '_', '.');
  // "7b1" is 7.1B.
  if (IsDigit(text.back())) {
    const char fraction = text.back(), unit = text[text.size() - 2];
    text = fmt::format("{}.{}{}", text.substr(0, text.size() - 2), fraction, unit);
  }
  if (text.size() > 1 && IsDigit(text[text.size() - 2])) text.back() = Upper(text.back());
  const auto label = weights > 0 ? LabelWeights(text) : std::nullopt;
  const auto total = static_cast<double>(weights);
  if (label && std::abs(*label - total) > std::floor(7 * total / 8)) {
    // Far from the model's size: a context length.
    part.kinds |= kFinetune;
    text.back() = Lower(text.back());
  } else {
    part.kinds |= kSize;
  }
}

std::vector<Part> Annotate(std::string_view name, int64_t weights) {
  std::vector<Part> parts;
  while (!name.empty()) {
    const size_t dash = std::min(name.find('-'), name.size());
    if (dash > 0) parts.push_back({std::string(name.substr(0, dash))});
    name.remove_prefix(std::min(dash + 1, name.size()));
  }
  for (size_t i = 0; i < parts.size(); ++i) {
    const std::string lower = LowerOf(parts[i].text);
    if (IsVersion(lower)) {
      parts[i].kinds |= kVersion;
    } else if (IsType(lower)) {
      parts[i].kinds |= kType;
      parts[i].text = UpperOf(lower);
    } else if (i > 0 && IsSize(lower)) {
      AnnotateSize(parts[i], weights);
    } else if (i > 0 && IsFinetune(lower)) {
      parts[i].kinds |= kFinetune;
    }
  }
  return parts;
}

// A size in words ("small") counts only where no number tells the size.
void DropWordSizes(std::vector<Part>& parts) {
  const bool numbered = std::any_of(parts.begin(), parts.end(), [](const Part& part) {
    return (part.kinds & kSize) && std::any_of(part.text.begin(), part.text.end(), IsDigit);
  });
  if (!numbered) return;
  for (Part& part : parts) {
    if (std::all_of(part.text.begin(), part.text.end(), IsAlpha)) part.kinds &= ~kSize;
  }
}

void FindBasename(std::vector<Part>& parts) {
  bool at_start = true;
  for (Part& part : parts) {
    const bool plain = part.kinds == 0 && IsAlpha(part.text[0]);
    if (at_start && (plain || (part.kinds & kVersion))) {
      part.kinds |= kBasename;
    } else {
      at_start = false;
      if (part.kinds == 0) part.kinds |= kFinetune;
    }
  }
  for (auto part = parts.rbegin(); part != parts.rend(); ++part) {
    if (!(part->kinds & kBasename) || part->kinds == kBasename) break;
    part->kinds &= ~kBasename;
  }
}

template <typename Pick>
std::optional<std::string> Join(const std::vector<Part>& parts, Pick pick) {
  std::vector<std::string> picked;
  for (const Part& part : parts) {
    if (pick(part.kinds)) picked.push_back(part.text);
  }
  if (picked.empty()) return std::nullopt;
  return fmt::format("{}", fmt::join(picked, "-"));
}

std::string Dashed(std::string_view text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return {};
  text = text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
  std::string out(text);
  std::replace(out.begin(), out.end(), ' ', '-');
  std::replace(out.begin(), out.end(), '/', '-');
  return out;
}

}  // namespace

ModelNameParts PartsOfModelId(std::string_view id, int64_t weights) {
  ModelNameParts result;
  if (id.find(' ') != std::string_view::npos) {
    result.name = id;
    return result;
  }
  std::string_view name = id;
  if (const size_t slash = id.find('/'); slash != std::string_view::npos) {
    name = id.substr(slash + 1);
    if (slash > 0 && id.front() != '.') result.organization = id.substr(0, slash);
  }
  result.name = name;
  std::vector<Part> parts = Annotate(name, weights);
  DropWordSizes(parts);
  FindBasename(parts);
  std::vector<Part> sizes;
  for (const Part& part : parts) {
    const bool seen = std::any_of(sizes.begin(), sizes.end(),
                                  [&](const Part& size) { return size.text == part.text; });
    if ((part.kinds & kSize) && !seen) sizes.push_back(part);
  }
  result.size_label = Join(sizes, [](unsigned) { return true; });
  result.finetune = Join(parts, [](unsigned kinds) { return kinds & kFinetune; });
  result.version =
      Join(parts, [](unsigned kinds) { return (kinds & kVersion) && !(kinds & kBasename); });
  if (result.size_label || result.finetune || result.version) {
    result.basename = Join(parts, [](unsigned kinds) { return kinds & kBasename; });
  }
  return result;
}

std::string TitleOf(std::string_view id) {
  std::string out;
  for (size_t i = 0; i < id.size();) {
    size_t end = i;
    while (end < id.size() && id[end] != '-' &&
           !std::isspace(static_cast<unsigned char>(id[end]))) {
      ++end;
    }
    std::string word(id.substr(i, end - i));
    i = end + 1;
    if (word.empty()) continue;
    const bool lower = std::any_of(word.begin(), word.end(), IsLower) &&
                       std::none_of(word.begin(), word.end(), IsUpper);
    const bool version = word[0] == 'v' && IsVersion(word);
    if (lower && !version && !IsDigit(word[0])) {
      for (size_t c = 0; c < word.size(); ++c) {
        if (c == 0 || !IsAlpha(word[c - 1])) word[c] = Upper(word[c]);
      }
    }
    if (!out.empty()) out += ' ';
    out += word;
  }
  return out;
}

std::string SizeLabel(int64_t weights) {
  const auto count = static_cast<double>(weights);
  double scaled = count * 1e-3;
  char unit = 'K';
  if (count > 1e12) {
    scaled = count * 1e-12, unit = 'T';
  } else if (count > 1e9) {
    scaled = count * 1e-9, unit = 'B';
  } else if (count > 1e6) {
    scaled = count * 1e-6, unit = 'M';
  }
  const double rounded = std::nearbyint(scaled);
  const int digits = rounded >= 10 ? 2 : rounded >= 1 ? 1 : 0;
  return fmt::format("{:.{}f}{}", scaled, 2 - digits, unit);
}

std::string FileNameOf(const ModelNameParts& parts, std::string_view type, bool vocab_only) {
  std::string name = parts.basename ? Dashed(*parts.basename)
                     : parts.name   ? Dashed(*parts.name)
                                    : "ggml-model";
  if (parts.size_label && !vocab_only) name += "-" + Dashed(*parts.size_label);
  if (parts.finetune) name += "-" + Dashed(*parts.finetune);
  if (parts.version) name += "-" + Dashed(*parts.version);
  if (vocab_only) return name + "-vocab";
  if (!type.empty()) name += "-" + UpperOf(type);
  return name;
}

}  // namespace quern
