#include "model/text_stream.h"

#include <doctest/doctest.h>

namespace quern {
namespace {

// What is let out when the text comes byte by byte, a bar behind each piece.
std::string Pieces(TextStream& stream, std::string_view text) {
  std::string out;
  for (const char byte : text) {
    const std::string piece = stream.Add(std::string_view(&byte, 1));
    if (!piece.empty()) out += piece + "|";
  }
  return out + stream.Finish();
}

TEST_CASE("characters come whole") {
  TextStream stream;
  CHECK(Pieces(stream, "a\xC3\xA9\xE2\x82\xAC\xF0\x9F\x8C\xBEz") ==
        "a|\xC3\xA9|\xE2\x82\xAC|\xF0\x9F\x8C\xBE|z|");
}

TEST_CASE("a cut character comes at the end, and bytes that are none at once") {
  TextStream cut;
  CHECK(Pieces(cut, "a\xE2\x82") == "a|\xE2\x82");
  TextStream wrong;
  CHECK(Pieces(wrong, "\x82\xFFz") == "\x82|\xFF|z|");
}

TEST_CASE("nothing of a stop string is let out") {
  TextStream stream({"", "</s>", "User:"});
  CHECK(Pieces(stream, "a</b>User:more") == "a|</b|>|");
  CHECK(stream.stop() == "User:");
  CHECK(stream.text() == "a</b>");
  TextStream whole({"stop"});
  CHECK(whole.Add("go on, stop, go on") == "go on, ");
  CHECK(whole.Add("more").empty());
  CHECK(whole.Finish().empty());
}

TEST_CASE("the beginning of a stop string that is none comes at the end") {
  TextStream stream({"aab"});
  CHECK(Pieces(stream, "aaab") == "a|");
  TextStream other({"aab"});
  CHECK(Pieces(other, "caa") == "c|aa");
}

}  // namespace
}  // namespace quern
