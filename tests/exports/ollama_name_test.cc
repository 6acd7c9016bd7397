#include "exports/ollama_name.h"

#include <doctest/doctest.h>

#include <string>

#include "base/error.h"

namespace quern {
namespace {

TEST_CASE("names of models have four parts, of which three have a default") {
  CHECK(ParseOllamaName("mine").Path() == "registry.ollama.ai/library/mine/latest");
  CHECK(ParseOllamaName("mine:q4_K_M").Path() == "registry.ollama.ai/library/mine/q4_K_M");
  CHECK(ParseOllamaName("me/mine").Path() == "registry.ollama.ai/me/mine/latest");
  CHECK(ParseOllamaName("hf.co:443/me/mine-2.5:x").Path() == "hf.co:443/me/mine-2.5/x");
  CHECK(ParseOllamaName("mine").Text() == "mine:latest");
  CHECK(ParseOllamaName("me/mine:a").Text() == "me/mine:a");
  CHECK(ParseOllamaName("h.x/library/mine:a").Text() == "h.x/library/mine:a");
}

TEST_CASE("no name leads out of a store") {
  for (const std::string text :
       {"",          ":",        "mine:",  ":tag", "/",      "a//b",        "/etc/passwd",
        "..",        "../x",     "a/../b", "x:..", "x:../y", "../../a/b:c", "a/b/c/d",
        "a b",       "a\nb",     "a\\b",   "-a",   ".a",     "a:b:c",       "n.s/m",
        "h/n/m:t@x", "\xC3\xA9", "m:t/",   "..:t"}) {
    CAPTURE(text);
    CHECK_THROWS_AS(ParseOllamaName(text), Error);
  }
  CHECK_THROWS_AS(ParseOllamaName(std::string(81, 'a')), Error);
  CHECK_THROWS_AS(ParseOllamaName(std::string("a\0b", 3)), Error);
}

}  // namespace
}  // namespace quern
