#include "model/arch/arch.h"

#include <charconv>

#include "model/arch/families.h"

namespace quern {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kBias = ".bias";

// The layer's number where `name` is `pattern` with a number for "{}"; -1 for a pattern without
// one.
std::optional<int> MatchPattern(std::string_view pattern, std::string_view name) {
  const size_t hole = pattern.find("{}");
  if (hole == std::string_view::npos) {
    if (pattern.empty() || pattern != name) return std::nullopt;
    return -1;
  }
  const std::string_view head = pattern.substr(0, hole), tail = pattern.substr(hole + 2);
  if (name.size() <= head.size() + tail.size() || !name.starts_with(head) ||
      !name.ends_with(tail)) {
    return std::nullopt;
  }
  const std::string_view digits = name.substr(head.size(), name.size() - head.size() - tail.size());
  int layer = 0;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), layer);
  const bool plain = digits == "0" || digits.front() != '0';
  if (error != std::errc() || end != digits.data() + digits.size() || layer < 0 || !plain) {
    return std::nullopt;
  }
  return layer;
}

std::optional<TensorPlace> PlaceOf(const Arch& arch, std::string_view name,
                                   std::string_view TensorRule::*pattern) {
  const bool is_bias = name.ends_with(kBias);
  const std::string_view ending = is_bias ? kBias : kWeight;
  if (!name.ends_with(ending)) return std::nullopt;
  name.remove_suffix(ending.size());
  for (const TensorRule& rule : arch.tensors) {
    if (is_bias && !rule.bias) continue;
    if (const auto layer = MatchPattern(rule.*pattern, name)) {
      return TensorPlace{&rule, *layer, is_bias};
    }
  }
  return std::nullopt;
}

std::string Fill(std::string_view pattern, const TensorPlace& place) {
  std::string name(pattern);
  if (const size_t hole = name.find("{}"); hole != std::string::npos) {
    name.replace(hole, 2, std::to_string(place.layer));
  }
  return name.append(place.is_bias ? kBias : kWeight);
}

}  // namespace

const Arch* FindArch(std::string_view gguf) {
  for (const Arch& arch : AllArchs()) {
    if (arch.gguf == gguf) return &arch;
  }
  return nullptr;
}

const Arch* FindArchByHfClass(std::string_view hf_class) {
  for (const Arch& arch : AllArchs()) {
    for (const std::string_view name : arch.hf_classes) {
      if (name == hf_class) return &arch;
    }
  }
  return nullptr;
}

std::span<const Arch> AllArchs() { return kFamilies; }

std::optional<TensorPlace> PlaceOfGguf(const Arch& arch, std::string_view name) {
  return PlaceOf(arch, name, &TensorRule::gguf);
}

std::optional<TensorPlace> PlaceOfHf(const Arch& arch, std::string_view name) {
  return PlaceOf(arch, name, &TensorRule::hf);
}

std::string GgufName(const TensorPlace& place) { return Fill(place.rule->gguf, place); }
std::string HfName(const TensorPlace& place) { return Fill(place.rule->hf, place); }

}  // namespace quern
