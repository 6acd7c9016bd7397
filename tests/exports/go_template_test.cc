#include "exports/go_template.h"

#include <doctest/doctest.h>

#include <string>

#include "base/error.h"
#include "exports/go_writer.h"

namespace quern {
namespace {

const Conversation kChat = {{"system", "be kind"}, {"user", "a\tb"}, {"assistant", ""}};

std::string Render(const std::string& text, const Conversation& chat = kChat) {
  return GoTemplate::Parse(text, "t").Render(CollateForOllama(chat, "2026-08-21"));
}

TEST_CASE("Go templates: text, trimming, comments and constants") {
  CHECK(Render("a {{- \"x\" -}} b") == "axb");
  CHECK(Render("a {{/* note */}} b{{- /* c */ -}} d") == "a  bd");
  CHECK(Render("{{ \"\\u00e9\\n\\x41\\\"\" }}{{ `raw\\n` }}") == "\u00e9\nA\"raw\\n");
  CHECK(Render("}} { }{{ 7 }}{{ -3 }}{{ true }}") == "}} { }7-3true");
}

TEST_CASE("Go templates: messages, variables and scopes") {
  CHECK(Render("{{ range $i, $m := .Messages }}{{ $i }}{{ $m.Role }}:{{ .Content }};{{ end }}") ==
        "0system:be kind;1user:a\tb;2assistant:;");
  CHECK(Render("{{ .System }}{{ range .Messages }}{{ $.System }}{{ end }}") ==
        "be kindbe kindbe kindbe kind");
  CHECK(Render("{{ $n := 1 }}{{ if true }}{{ $n := 2 }}{{ $n }}{{ end }}{{ $n }}") == "21");
  CHECK(Render("{{ $n := 1 }}{{ if true }}{{ $n = 2 }}{{ end }}{{ $n }}") == "2");
  CHECK(Render("{{ if .System }}y{{ else }}n{{ end }}", {{"user", "x"}}) == "n");
  CHECK(Render("{{ if eq 1 2 }}a{{ else if eq 1 3 1 }}b{{ else }}c{{ end }}") == "b");
  CHECK(Render("{{ range .Messages }}x{{ else }}none{{ end }}", {}) == "none");
  CHECK(Render("{{ define \"t\" }}[{{ . }}]{{ end }}{{ template \"t\" .System }}") == "[be kind]");
}

TEST_CASE("Go templates: functions") {
  CHECK(Render("{{ len .System }} {{ index .System 0 }} {{ slice .System 3 }}") == "7 98 kind");
  CHECK(Render("{{ slice .System 1 2 }}{{ len (slice .Messages 1) }}{{ currentDate }}") ==
        "e22026-08-21");
}

TEST_CASE("Go templates: what Go refuses, and what is beyond the part that is known") {
  for (const char* text :
       {"{{ .Nothing }}", "{{ slice .System 9 }}", "{{ index .System 7 }}", "{{ eq 1 \"1\" }}",
        "{{ $x }}", "{{ template \"none\" . }}", "{{ .Messages }}",
        "{{ define \"t\" }}{{ template \"t\" . }}{{ end }}{{ template \"t\" . }}"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(Render(text), Error);
  }
  for (const char* text :
       {"{{ if true }}", "{{ end }}", "{{ else }}", "{{ \"open }}", "{{ json . }}", "{{ 1 | len }}",
        "{{ with .System }}{{ end }}", "{{", "{{/* open", "{{ 010 }}", "{{ 1.5 }}",
        "{{ if true }}{{ define \"x\" }}{{ end }}{{ end }}", "{{ \"\\q\" }}", "{{ break }}"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(GoTemplate::Parse(text, "t"), Error);
  }
}

TEST_CASE("messages are joined as Ollama joins them") {
  const auto values = CollateForOllama({{"system", "a"},
                                        {"system", "b"},
                                        {"user", "c"},
                                        {"user", "d"},
                                        {"tool", "e"},
                                        {"tool", "f"},
                                        {"system", "g"}},
                                       "");
  CHECK(values.system == "a\n\nb\n\ng");
  CHECK(
      values.messages ==
      Conversation{
          {"system", "a\n\nb"}, {"user", "c\n\nd"}, {"tool", "e"}, {"tool", "f"}, {"system", "g"}});
}

TEST_CASE("literal text comes back whatever is in it") {
  for (const char* text :
       {"plain", "{", "{{", "{{{", "{{{{", "a{{b}}c", "x{\n", "\"\"\"", "\"\"\"\"", "\xC2\xA0",
        "{\xC2\xA0", "tab\tand\nline ", " \n ", "\\\"`", "\xE2\x80\x8B{"}) {
    CAPTURE(text);
    GoWriter writer;
    writer.Control("$x := 1");
    writer.Text(text);
    writer.Print("$x");
    writer.Text(text);
    writer.Control("if $x");
    writer.Text(text);
    writer.Control("end");
    const std::string made = writer.Take();
    CAPTURE(made);
    CHECK(Render(made) == std::string(text) + "1" + text + text);
    CHECK(made.find("\"\"\"") == std::string::npos);
  }
}

}  // namespace
}  // namespace quern
