#include "cli/arguments.h"

#include <CLI/CLI.hpp>
#include <cstdint>
#include <optional>
#include <utility>

namespace quern::cli {

Argument Argument::Required() const { return Argument(option_->required()); }
Argument Argument::ShowDefault() const { return Argument(option_->capture_default_str()); }
Argument Argument::Kind(const std::string& name) const {
  return Argument(option_->type_name(name));
}
Argument Argument::Group(const std::string& title) const { return Argument(option_->group(title)); }

Argument Argument::Words(int least, int most) const {
  return Argument(option_->expected(least, most));
}
Argument Argument::Repeated() const { return Argument(option_->allow_extra_args(false)); }
Argument Argument::Separated(char separator) const {
  return Argument(option_->delimiter(separator));
}

Argument Argument::NonNegative() const { return Argument(option_->check(CLI::NonNegativeNumber)); }
Argument Argument::Positive() const { return Argument(option_->check(CLI::PositiveNumber)); }
Argument Argument::Within(int64_t least, int64_t most) const {
  return Argument(option_->check(CLI::Range(least, most)));
}
Argument Argument::Among(const std::vector<std::string>& values) const {
  return Argument(option_->check(CLI::IsMember(values)));
}
Argument Argument::Folder() const { return Argument(option_->check(CLI::ExistingDirectory)); }

template <class T>
Argument Arguments::Option(const std::string& names, T& value, const std::string& help) const {
  return Argument(app_->add_option(names, value, help));
}

#define QUERN_ARGUMENT_OF(...)                                                      \
  template Argument Arguments::Option(const std::string& names, __VA_ARGS__& value, \
                                      const std::string& help) const;
QUERN_ARGUMENT_OF(int)
QUERN_ARGUMENT_OF(int64_t)
QUERN_ARGUMENT_OF(uint64_t)
QUERN_ARGUMENT_OF(float)
QUERN_ARGUMENT_OF(double)
QUERN_ARGUMENT_OF(std::string)
QUERN_ARGUMENT_OF(std::optional<double>)
QUERN_ARGUMENT_OF(std::optional<std::string>)
QUERN_ARGUMENT_OF(std::vector<int32_t>)
QUERN_ARGUMENT_OF(std::vector<std::string>)
#undef QUERN_ARGUMENT_OF

Argument Arguments::Parsed(const std::string& names, std::function<void(const std::string&)> take,
                           const std::string& help) const {
  return Argument(app_->add_option_function<std::string>(names, std::move(take), help));
}

Argument Arguments::Flag(const std::string& names, bool& value, const std::string& help) const {
  return Argument(app_->add_flag(names, value, help));
}

Arguments Arguments::ExactlyOne(const std::string& title, const std::string& help) const {
  CLI::App* group = app_->add_option_group(title, help);
  group->require_option(1);
  return Arguments(group);
}

void Arguments::Footer(const std::string& text) const { app_->footer(text); }

void Arguments::Threads(int& threads) const {
  Option("-t,--threads", threads, "Threads; 0 or -1: all cores (all)").Within(-1, 1 << 16);
}

void Arguments::Quiet(bool& quiet) const { Flag("-q,--quiet", quiet, "No progress"); }

}  // namespace quern::cli
