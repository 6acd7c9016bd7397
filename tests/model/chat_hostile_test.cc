#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "model/chat/chat_template.h"

namespace quern {
namespace {

std::string Repeat(const std::string& text, int times) {
  std::string out;
  for (int i = 0; i < times; ++i) out += text;
  return out;
}

std::string Render(const std::string& text) {
  ChatTemplateOptions options;
  options.max_bytes = int64_t{1} << 24;
  options.max_steps = 200'000;
  return ChatTemplate::Parse(text, "hostile").Render({{"n", 3}}, options);
}

void CheckRefused(const std::string& text) {
  CAPTURE(text.substr(0, 200));
  bool refused = false;
  try {
    Render(text);
  } catch (const Error& error) {
    refused = error.kind() == ErrorKind::kBadInput;
  }
  CHECK(refused);
}

TEST_CASE("templates that would take all memory or time are refused") {
  for (const char* text : {
           "{{ 'x' * 10**9 }}",
           "{{ 'x' * 10**30 }}",
           "{{ [0] * 10**9 }}",
           "{{ ([0] * 10000) * 10**15 }}",
           "{{ range(10**9)|list }}",
           "{{ 'x'.center(10**12) }}",
           "{{ 'x'.zfill(10**12) }}",
           "{{ 'x'|indent(10**12, true) }}",
           "{{ '%0999999999d' % 1 }}",
           "{{ '{:999999999}'.format(1) }}",
           "{{ ('a' * 10000).replace('', 'b' * 10000) }}",
           "{{ [1]|batch(10**12, 0)|list }}",
           "{{ [1]|slice(10**12)|list }}",
           "{% for a in range(9999) %}{% for b in range(9999) %}{% endfor %}{% endfor %}",
           "{% set ns = namespace(x='x') %}{% for a in range(99) %}{% set ns.x = ns.x ~ ns.x %}"
           "{% endfor %}",
           "{% set ns = namespace(x=[]) %}{% for a in range(99) %}{% set ns.x = [ns.x, ns.x] %}"
           "{% endfor %}{{ ns.x }}",
           "{% set ns = namespace(x=[]) %}{% for a in range(90) %}{% set ns.x = [ns.x, ns.x] %}"
           "{% endfor %}{{ ns.x|tojson }}",
           "{{ 10**30 * 10**30 }}",
           "{{ 2**999999999 }}",
           "{{ 2.0**99999 }}",
       }) {
    CheckRefused(text);
  }
}

TEST_CASE("recursion ends in an error") {
  CheckRefused("{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}");
  CheckRefused("{% macro m(x) %}{% if x %}{{ m(x)|upper ~ 1 }}{% endif %}{% endmacro %}{{ m(1) }}");
  CheckRefused("{% for x in [1] recursive %}{{ loop([1]) }}{% endfor %}");
  CheckRefused("{% set x = [] %}{% set _ = x.append(x) %}{{ x }}");
  CheckRefused("{% set x = [] %}{% set _ = x.append(x) %}{{ x|tojson }}");
  CheckRefused(
      "{% set x = [] %}{% set _ = x.append(x) %}{% set y = [] %}{% set _ = y.append(y) %}"
      "{{ x == y }}");
  CheckRefused("{% set ns = namespace() %}{% set ns.self = ns %}{{ ns }}");
}

TEST_CASE("nesting of the template itself is bounded") {
  for (const int depth : {101, 100000}) {
    CheckRefused("{{ " + Repeat("(", depth) + "1" + Repeat(")", depth) + " }}");
    CheckRefused("{{ " + Repeat("[", depth) + Repeat("]", depth) + " }}");
    CheckRefused("{{ " + Repeat("-", depth) + "1 }}");
    CheckRefused("{{ " + Repeat("not ", depth) + "1 }}");
    CheckRefused(Repeat("{% if 1 %}", depth) + Repeat("{% endif %}", depth));
    CheckRefused("{{ " + Repeat("1 if 1 else ", depth) + "1 }}");
    CheckRefused("{% set " + Repeat("(", depth) + "a" + Repeat(")", depth) + " = 1 %}");
  }
  CheckRefused("{{ n" + Repeat("|string", 100000) + " }}");
  CheckRefused("{{ n" + Repeat(".a", 100000) + " }}");
  CHECK(Render("{{ 0" + Repeat(" + 1", 5000) + " }}") == "5000");
  CHECK(Render(Repeat("{% if 0 %}{% endif %}", 5000)).empty());
}

TEST_CASE("what is no template is refused") {
  for (const char* text : {"{{",
                           "{{ 1",
                           "{%",
                           "{% if",
                           "{% if 1 %}",
                           "{# no end",
                           "{% raw %}",
                           "{{ 'no end }}",
                           "{{ 1 ) }}",
                           "{{ ( }}",
                           "{{ '\\u12' }}",
                           "{{ '\\ud800' }}",
                           "{% endif %}",
                           "{% for x %}",
                           "{% for in y %}",
                           "{% for loop in [1] %}{% endfor %}",
                           "{% set 1 = 2 %}",
                           "{% unknown %}",
                           "{% break %}",
                           "{% macro m( %}",
                           "{{ 1|nofilter }}",
                           "{{ 1 is notest }}",
                           "{{ a b }}",
                           "{{ 99999999999999999999999999999999999999999999 }}",
                           "{{ f(a=1, a=2) }}",
                           "{{ f(a=1, 2) }}",
                           "{{ \x80 }}",
                           "\xff"}) {
    CheckRefused(text);
  }
}

}  // namespace
}  // namespace quern
