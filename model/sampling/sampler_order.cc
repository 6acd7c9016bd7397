#include "model/sampling/sampler_order.h"

#include <algorithm>
#include <array>

#include "base/error.h"

namespace quern {
namespace {

struct Entry {
  SamplerStep step;
  std::string_view name;
  char letter;
  std::string_view other_name;
};

// In the default order.
constexpr std::array kEntries = {
    Entry{SamplerStep::kPenalties, "penalties", 'e', "penalties"},
    Entry{SamplerStep::kDry, "dry", 'd', "dry"},
    Entry{SamplerStep::kTopNSigma, "top_n_sigma", 's', "topnsigma"},
    Entry{SamplerStep::kTopK, "top_k", 'k', "topk"},
    Entry{SamplerStep::kTypical, "typ_p", 'y', "typ"},
    Entry{SamplerStep::kTopP, "top_p", 'p', "nucleus"},
    Entry{SamplerStep::kMinP, "min_p", 'm', "minp"},
    Entry{SamplerStep::kXtc, "xtc", 'x', "xtc"},
    Entry{SamplerStep::kTemperature, "temperature", 't', "temp"},
};

std::string Plain(std::string_view name) {
  std::string plain;
  for (const char c : name) {
    if (c == '_' || c == '-' || c == ' ') continue;
    plain += c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c;
  }
  return plain;
}

}  // namespace

std::vector<SamplerStep> DefaultSamplerOrder() {
  std::vector<SamplerStep> order;
  for (const Entry& entry : kEntries) order.push_back(entry.step);
  return order;
}

std::vector<SamplerStep> ParseSamplerNames(std::string_view names) {
  std::vector<SamplerStep> order;
  while (!names.empty()) {
    const size_t end = std::min(names.find(';'), names.size());
    const std::string name = Plain(names.substr(0, end));
    const auto found = std::find_if(kEntries.begin(), kEntries.end(), [&](const Entry& entry) {
      return name == Plain(entry.name) || name == entry.other_name;
    });
    if (found == kEntries.end()) {
      Fail(ErrorKind::kUsage, "'{}' is no sampler; there are {}", names.substr(0, end),
           DefaultSamplerNames());
    }
    order.push_back(found->step);
    names.remove_prefix(std::min(end + 1, names.size()));
  }
  return order;
}

std::vector<SamplerStep> ParseSamplerLetters(std::string_view letters) {
  std::vector<SamplerStep> order;
  for (const char letter : letters) {
    const auto found = std::find_if(kEntries.begin(), kEntries.end(),
                                    [&](const Entry& entry) { return entry.letter == letter; });
    if (found == kEntries.end()) {
      Fail(ErrorKind::kUsage, "'{}' is no sampler's letter; there are {}, for {}", letter,
           DefaultSamplerLetters(), DefaultSamplerNames());
    }
    order.push_back(found->step);
  }
  return order;
}

std::string DefaultSamplerNames() {
  std::string names;
  for (const Entry& entry : kEntries) names += (names.empty() ? "" : ";") + std::string(entry.name);
  return names;
}

std::string DefaultSamplerLetters() {
  std::string letters;
  for (const Entry& entry : kEntries) letters += entry.letter;
  return letters;
}

}  // namespace quern
