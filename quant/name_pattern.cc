#define PCRE2_CODE_UNIT_WIDTH 8
#include "quant/name_pattern.h"

#include <pcre2.h>

#include "base/ascii.h"
#include "base/error.h"

namespace quern {
namespace {

constexpr uint32_t kMaxSteps = 100000;

// llama-quantize lowers the whole pattern, `\S` too, which turns it into its opposite; what follows
// a backslash is left alone here.
std::string LoweredPattern(std::string_view text) {
  std::string lowered(text);
  for (size_t i = 0; i < lowered.size(); ++i) {
    if (lowered[i] == '\\') {
      ++i;
      continue;
    }
    lowered[i] = Lowered(lowered[i]);
  }
  return lowered;
}

}  // namespace

struct NamePattern::Code {
  pcre2_code* code = nullptr;
  pcre2_match_context* context = nullptr;
  Code() = default;
  Code(const Code&) = delete;
  Code& operator=(const Code&) = delete;
  ~Code() {
    pcre2_match_context_free(context);
    pcre2_code_free(code);
  }
};

NamePattern::NamePattern(std::string_view text) : text_(LoweredPattern(text)) {
  auto code = std::make_shared<Code>();
  int error = 0;
  PCRE2_SIZE offset = 0;
  code->code = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text_.data()), text_.size(),
                             PCRE2_DOLLAR_ENDONLY | PCRE2_ALLOW_EMPTY_CLASS |
                                 PCRE2_MATCH_UNSET_BACKREF | PCRE2_NEVER_BACKSLASH_C,
                             &error, &offset, nullptr);
  if (!code->code) {
    PCRE2_UCHAR message[120] = {};
    pcre2_get_error_message(error, message, sizeof(message));
    Fail(ErrorKind::kUsage, "'{}' is no regular expression: {} at character {}", text,
         reinterpret_cast<const char*>(message), offset);
  }
  code->context = pcre2_match_context_create(nullptr);
  if (!code->context) throw std::bad_alloc();
  pcre2_set_match_limit(code->context, kMaxSteps);
  pcre2_set_depth_limit(code->context, kMaxSteps);
  code_ = std::move(code);
}

bool NamePattern::FoundIn(std::string_view name) const {
  pcre2_match_data* match = pcre2_match_data_create(1, nullptr);
  if (!match) throw std::bad_alloc();
  const int result = pcre2_match(code_->code, reinterpret_cast<PCRE2_SPTR>(name.data()),
                                 name.size(), 0, 0, match, code_->context);
  pcre2_match_data_free(match);
  if (result >= 0) return true;
  if (result == PCRE2_ERROR_NOMATCH) return false;
  Fail(ErrorKind::kUnsupported, "the pattern '{}' takes too long on the name '{}'", text_, name);
}

}  // namespace quern
