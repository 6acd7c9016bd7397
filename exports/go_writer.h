#pragma once

#include <string>
#include <string_view>

namespace quern {

// Writes the text of a Go template. Literal text is written as it is where the template's language
// and that of a Modelfile around it let it through, and as {{ "quoted" }} where they do not.
class GoWriter {
 public:
  void Text(std::string_view text) { pending_ += text; }
  // {{ action }}, which writes something in its place.
  void Print(std::string_view action);
  // {{ action }}, which writes nothing: on a line of its own where the text around it allows it.
  void Control(std::string_view action);
  std::string Take();

 private:
  void Flush();

  std::string out_, pending_;
};

// A string constant in double quotes.
std::string GoQuoted(std::string_view text);

}  // namespace quern
