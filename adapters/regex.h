#pragma once

#include <memory>
#include <optional>
#include <string>
#include <string_view>

namespace quern {

// A regular expression of an adapter's config: somebody else's text, so the steps that a match may
// take are bounded. PCRE2's syntax, which holds what Python's re has for module names.
class Regex {
 public:
  // `where` is the file and key that it stands in, for errors. Error kBadInput where it is no
  // regular expression.
  Regex(const std::string& pattern, const std::string& where);
  ~Regex();
  Regex(Regex&&) noexcept;
  Regex& operator=(Regex&&) noexcept;

  // Whether all of `text` matches. Error kBadInput where that takes too many steps.
  bool FullMatch(std::string_view text) const;
  // The first group, where the beginning of `text` matches.
  std::optional<std::string> FirstGroup(std::string_view text) const;

 private:
  struct Code;
  std::string where_;
  std::unique_ptr<Code> code_;
};

}  // namespace quern
