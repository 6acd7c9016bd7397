#include "base/json_text.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/error.h"

namespace quern {
namespace {

std::string RefusalOf(std::string_view text) {
  try {
    ParseJson(text, "c.json");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kBadInput);
    return error.what();
  }
  return "accepted";
}

std::string Nested(int depth) { return std::string(depth, '[') + std::string(depth, ']'); }

TEST_CASE("json is parsed") {
  const nlohmann::json json = ParseJson(R"({"a": {"b": [1, 2.5, "x"]}, "c": {"b": null}})", "c");
  CHECK(json["a"]["b"][1] == 2.5);
  CHECK(json["c"]["b"].is_null());
}

TEST_CASE("ordered json keeps the order of keys") {
  CHECK(ParseOrderedJson(R"({"z": 1, "a": 2})", "c").dump() == R"({"z":1,"a":2})");
  std::string many = "{\"k\": 0";
  for (int i = 0; i < 10000; ++i) many += ",\"" + std::to_string(i) + "\":0";
  CHECK_THROWS_AS(ParseOrderedJson(many + "}", "c"), Error);
}

TEST_CASE("json that breaks a rule is refused with the file's name") {
  CHECK(RefusalOf(R"({"a": 1, "b": {"a": 2, "a": 3}})") ==
        "c.json: JSON has the key 'a' twice in one object");
  CHECK(RefusalOf(Nested(kMaxJsonDepth)) == "accepted");
  CHECK(RefusalOf(Nested(kMaxJsonDepth + 1)) == "c.json: JSON is nested deeper than 64 levels");
  CHECK(RefusalOf(std::string(5'000'000, '[')) == "c.json: JSON is nested deeper than 64 levels");
  for (const char* text :
       {"", "{", "{\"a\"", "{} x", "[1,]", "\"\xff\"", "{\"a\": 1e999}", "nul"}) {
    CAPTURE(text);
    CHECK(RefusalOf(text).starts_with("c.json: is no valid JSON: "));
  }
}

}  // namespace
}  // namespace quern
