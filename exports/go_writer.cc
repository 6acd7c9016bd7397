#include "exports/go_writer.h"

#include <fmt/format.h>

#include <utility>

#include "model/chat/unicode_text.h"

namespace quern {
namespace {

constexpr std::string_view kSpace = " \t\r\n";

// Ollama's parser of Modelfiles drops what is not printable, and ends a text at three quotes.
bool IsPlain(std::string_view character) {
  if (character == "\n" || character == "\t" || character == " ") return true;
  return jinja::IsPrintable(jinja::Decode(character)[0]);
}

// How many bytes from the start of `text` must be quoted: braces and quotes that mean something.
size_t MarkAt(std::string_view text) {
  if (text.starts_with("{{")) return 2;
  if (text == "{") return 1;  // the next action's braces would follow
  if (text.starts_with("\"\"\"")) return 3;
  return 0;
}

}  // namespace

std::string GoQuoted(std::string_view text) {
  std::string out = "\"";
  for (size_t i = 0; i < text.size();) {
    const std::string_view character = text.substr(i, jinja::Utf8Width(text[i]));
    i += character.size();
    if (character == "\n") {
      out += "\\n";
    } else if (character == "\t") {
      out += "\\t";
    } else if (character == "\r") {
      out += "\\r";
    } else if (character == "\"") {
      // Not \", of which two and a closing quote would end a Modelfile's text.
      out += "\\x22";
    } else if (character == "\\") {
      out += "\\\\";
    } else if (IsPlain(character)) {
      out += character;
    } else {
      const auto code = static_cast<uint32_t>(jinja::Decode(character)[0]);
      out += code < 0x10000 ? fmt::format("\\u{:04x}", code) : fmt::format("\\U{:08x}", code);
    }
  }
  return out + "\"";
}

void GoWriter::Flush() {
  std::string quoted;
  const auto close = [&] {
    if (quoted.empty()) return;
    if (out_.ends_with('{')) {  // of the text: three braces would not be read as one and two
      out_.pop_back();
      quoted.insert(0, 1, '{');
    }
    out_ += "{{ " + GoQuoted(quoted) + " }}";
    quoted.clear();
  };
  for (size_t i = 0; i < pending_.size();) {
    const std::string_view rest = std::string_view(pending_).substr(i);
    const size_t mark = MarkAt(rest);
    const size_t width = mark > 0 ? mark : jinja::Utf8Width(rest[0]);
    if (mark > 0 || !IsPlain(rest.substr(0, width))) {
      quoted += rest.substr(0, width);
    } else {
      close();
      out_ += rest.substr(0, width);
    }
    i += width;
  }
  close();
  pending_.clear();
}

void GoWriter::Print(std::string_view action) {
  Flush();
  out_ += fmt::format("{{{{ {} }}}}", action);
}

void GoWriter::Control(std::string_view action) {
  Flush();
  // A trim marker would take the text's own white space with the line end.
  if (!out_.empty() && kSpace.find(out_.back()) == std::string_view::npos) {
    out_ += fmt::format("\n{{{{- {} }}}}", action);
  } else {
    out_ += fmt::format("{{{{ {} }}}}", action);
  }
}

std::string GoWriter::Take() {
  Flush();
  return std::move(out_);
}

}  // namespace quern
