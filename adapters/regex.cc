#include "adapters/regex.h"

#define PCRE2_CODE_UNIT_WIDTH 8
#include <pcre2.h>

#include "base/error.h"

namespace quern {
namespace {

// Far more than any sane pattern takes on a module's name; about 10 ms.
constexpr uint32_t kMatchLimit = 100000;
constexpr uint32_t kHeapLimitKib = 4096;
constexpr uint32_t kParensLimit = 50;
constexpr size_t kMaxPattern = 65536;

PCRE2_SPTR Units(std::string_view text) { return reinterpret_cast<PCRE2_SPTR>(text.data()); }

std::string ErrorText(int code) {
  PCRE2_UCHAR text[256];
  pcre2_get_error_message(code, text, sizeof(text));
  return reinterpret_cast<const char*>(text);
}

template <auto kFree>
struct Freed {
  template <typename T>
  void operator()(T* pointer) const {
    kFree(pointer);
  }
};
using MatchData = std::unique_ptr<pcre2_match_data, Freed<pcre2_match_data_free>>;
using CompileContext = std::unique_ptr<pcre2_compile_context, Freed<pcre2_compile_context_free>>;

}  // namespace

struct Regex::Code {
  std::unique_ptr<pcre2_code, Freed<pcre2_code_free>> code;
  std::unique_ptr<pcre2_match_context, Freed<pcre2_match_context_free>> context;

  // Whether `text` matches from its beginning; the groups are left in `data`.
  bool Match(std::string_view text, uint32_t options, pcre2_match_data* data,
             const std::string& where) const {
    const int result = pcre2_match(code.get(), Units(text), text.size(), 0,
                                   PCRE2_ANCHORED | options, data, context.get());
    if (result == PCRE2_ERROR_NOMATCH) return false;
    if (result < 0) {
      Fail(ErrorKind::kBadInput, "{}: matching '{}' failed: {}", where, text, ErrorText(result));
    }
    return true;
  }
};

Regex::Regex(const std::string& pattern, const std::string& where)
    : where_(where), code_(std::make_unique<Code>()) {
  if (pattern.size() > kMaxPattern) {
    Fail(ErrorKind::kBadInput, "{}: the pattern has {} bytes, at most {} are taken", where,
         pattern.size(), kMaxPattern);
  }
  const CompileContext compile(pcre2_compile_context_create(nullptr));
  pcre2_set_parens_nest_limit(compile.get(), kParensLimit);
  int error = 0;
  PCRE2_SIZE offset = 0;
  code_->code.reset(pcre2_compile(Units(pattern), pattern.size(), PCRE2_NEVER_BACKSLASH_C, &error,
                                  &offset, compile.get()));
  if (!code_->code) {
    Fail(ErrorKind::kBadInput, "{}: '{}' is no regular expression, at byte {}: {}", where, pattern,
         offset, ErrorText(error));
  }
  code_->context.reset(pcre2_match_context_create(nullptr));
  pcre2_set_match_limit(code_->context.get(), kMatchLimit);
  pcre2_set_heap_limit(code_->context.get(), kHeapLimitKib);
}

Regex::~Regex() = default;
Regex::Regex(Regex&&) noexcept = default;
Regex& Regex::operator=(Regex&&) noexcept = default;

bool Regex::FullMatch(std::string_view text) const {
  const MatchData data(pcre2_match_data_create_from_pattern(code_->code.get(), nullptr));
  return code_->Match(text, PCRE2_ENDANCHORED, data.get(), where_);
}

std::optional<std::string> Regex::FirstGroup(std::string_view text) const {
  const MatchData data(pcre2_match_data_create_from_pattern(code_->code.get(), nullptr));
  if (!code_->Match(text, 0, data.get(), where_)) return std::nullopt;
  if (pcre2_get_ovector_count(data.get()) < 2) return std::nullopt;
  const PCRE2_SIZE* range = pcre2_get_ovector_pointer(data.get());
  if (range[2] == PCRE2_UNSET) return std::nullopt;
  return std::string(text.substr(range[2], range[3] - range[2]));
}

}  // namespace quern
