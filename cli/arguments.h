#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace CLI {
class App;
class Option;
}  // namespace CLI

// What a command takes from its command line. A thin layer over CLI11, whose headers cost each file
// that includes them seven seconds of compiling.
namespace quern::cli {

// One option or positional word, to be told more about.
class Argument {
 public:
  explicit Argument(CLI::Option* option) : option_(option) {}

  Argument Required() const;
  Argument ShowDefault() const;                  // in --help, as it stands when this is called
  Argument Kind(const std::string& name) const;  // what --help calls its value: FILE, N ...
  Argument Group(const std::string& title) const;

  // How many words it takes, and how.
  Argument Words(int least, int most) const;
  Argument Repeated() const;                 // one word each time it is given
  Argument Separated(char separator) const;  // one word holds several values

  // What its values must be.
  Argument NonNegative() const;
  Argument Positive() const;
  Argument Within(int64_t least, int64_t most) const;
  Argument Among(const std::vector<std::string>& values) const;
  Argument Folder() const;  // one that exists

 private:
  CLI::Option* option_;
};

class Arguments {
 public:
  explicit Arguments(CLI::App* app) : app_(app) {}

  // `names` as "-c,--ctx-size", or "FILE" for a word without an option. T is one of the types
  // listed in arguments.cc.
  template <class T>
  Argument Option(const std::string& names, T& value, const std::string& help) const;
  // `take` gets the word, and fails with ErrorKind::kUsage where it is none of its kind.
  Argument Parsed(const std::string& names, std::function<void(const std::string&)> take,
                  const std::string& help) const;
  Argument Flag(const std::string& names, bool& value, const std::string& help) const;
  // Of the options added to the result, exactly one must be given.
  Arguments ExactlyOne(const std::string& title, const std::string& help) const;
  void Footer(const std::string& text) const;

  // Options that most commands have.
  void Threads(int& threads) const;  // -t, --threads; as ThreadLimit takes them
  void Quiet(bool& quiet) const;     // -q, --quiet; as MakeProgress takes it

 private:
  CLI::App* app_;
};

}  // namespace quern::cli
