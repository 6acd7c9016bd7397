#pragma once

#include <fmt/format.h>

#include <stdexcept>
#include <string>
#include <utility>

namespace quern {

// What went wrong, by who has to act; the value is the program's exit code.
// A defect of ours is no Error: it is a std::logic_error (QUERN_CHECK) and exits with 1.
enum class ErrorKind {
  kUsage = 2,        // the command line cannot mean anything
  kBadInput = 3,     // a file is unreadable, truncated or contradicts itself
  kUnsupported = 4,  // a model, tensor or option that Quern does not handle
  kOutput = 5,       // no space, or an output that cannot be written
  kNonFinite = 6,    // NaN or Inf among the weights
  kGate = 7,         // a quality threshold is not met
};

// Says file, thing, wanted, got:
// "model.gguf: tensor 'blk.0.attn_q.weight' ends at byte 812, the file has 640".
class Error : public std::runtime_error {
 public:
  Error(ErrorKind kind, const std::string& message) : std::runtime_error(message), kind_(kind) {}
  ErrorKind kind() const { return kind_; }

 private:
  ErrorKind kind_;
};

template <typename... Args>
[[noreturn]] void Fail(ErrorKind kind, fmt::format_string<Args...> format, Args&&... args) {
  throw Error(kind, fmt::format(format, std::forward<Args>(args)...));
}

// For what only a defect of ours can break; never for input.
#define QUERN_CHECK(condition)                                                               \
  do {                                                                                       \
    if (!(condition)) {                                                                      \
      throw std::logic_error(                                                                \
          ::fmt::format("{}:{}: defect: {} does not hold", __FILE__, __LINE__, #condition)); \
    }                                                                                        \
  } while (false)

}  // namespace quern
