// The data files of hellaswag, winogrande and multiple-choice, whole and hostile.
#include "model/eval/choice_tasks.h"

#include <doctest/doctest.h>

#include <cstring>

#include "base/error.h"

namespace quern {
namespace {

// The kind of the error of `parse`; kGate, which none has, where it accepts.
template <typename Parse>
ErrorKind KindOf(Parse parse) {
  try {
    parse();
  } catch (const Error& error) {
    return error.kind();
  }
  return ErrorKind::kGate;
}

void Put(std::string& out, uint32_t value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof value);
}
void Put(std::string& out, std::string_view text) {
  Put(out, static_cast<uint32_t>(text.size()));
  out += text;
}

// One question with two answers, the second right, and none with several right ones.
std::string Question() {
  std::string out;
  Put(out, "Who");
  Put(out, 2);
  Put(out, "me");
  Put(out, "you");
  Put(out, 0);
  Put(out, 1);
  Put(out, 0);
  return out;
}

std::vector<ChoiceTask> Parse(const std::string& bytes, int64_t count = 0) {
  return ParseMultipleChoice(std::as_bytes(std::span(bytes)), count, "file");
}

TEST_CASE("a task of HellaSwag is a context with four endings") {
  const auto tasks = ParseHellaswag("Cook: He\n2\r\na\nb\nc\nd\n", 400, "file");
  REQUIRE(tasks.size() == 1);
  CHECK(tasks[0].texts ==
        std::vector<std::string>{"Cook: He a", "Cook: He b", "Cook: He c", "Cook: He d"});
  CHECK(tasks[0].right == std::vector<bool>{false, false, true, false});
  for (const char* bad :
       {"", "a\n1\nb\nc\nd", "a\n4\nb\nc\nd\ne", "a\n-1\nb\nc\nd\ne", "a\n1x\nb\nc\nd\ne",
        "a\n\nb\nc\nd\ne", "a\n99999999999999999999\nb\nc\nd\ne"}) {
    CAPTURE(bad);
    CHECK(KindOf([&] { ParseHellaswag(bad, 0, "file"); }) == ErrorKind::kBadInput);
  }
}

TEST_CASE("a sentence of Winogrande may stand in quotes") {
  const auto tasks = ParseWinogrande(
      "0,Sarah met Ann so _ sat.,Sarah,Ann,2\n"
      "1,\"Yes, _ went\",he,she,1",
      0, "file");
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[0].texts[1] == "Sarah met Ann so Ann sat.");
  CHECK(tasks[0].heads[0] == "Sarah met Ann so Sarah");
  CHECK(tasks[0].right == std::vector<bool>{false, true});
  CHECK(tasks[1].texts[0] == "Yes, he went");
  for (const char* bad : {"", "\n", "0,a _ b,c,d", "0,a b,c,d,1", "0,a _ b,c,d,3", "0,a _ b,c,d,",
                          "0,\"a _ b,c,d,1", ",,,,", "0,\",c,d,1,\"_\""}) {
    CAPTURE(bad);
    CHECK(KindOf([&] { ParseWinogrande(bad, 0, "file"); }) == ErrorKind::kBadInput);
  }
}

TEST_CASE("questions with several answers; lies about lengths, counts and places are refused") {
  std::string two;
  Put(two, 2);
  Put(two, 12);
  Put(two, static_cast<uint32_t>(12 + Question().size()));
  two += Question() + Question();
  const auto tasks = Parse(two);
  REQUIRE(tasks.size() == 2);
  CHECK(tasks[1].texts == std::vector<std::string>{"Who me", "Who you"});
  CHECK(tasks[1].right == std::vector<bool>{false, true});
  CHECK(Parse(two, 1).size() == 1);

  for (size_t size = 0; size < two.size(); ++size) {
    CAPTURE(size);
    CHECK(KindOf([&] { Parse(two.substr(0, size)); }) == ErrorKind::kBadInput);
  }
  // Each number of the first question in turn; its question mark is a place of no use to a reader
  // of all, and the labels are free.
  for (const size_t at : {size_t{0}, size_t{12}, size_t{19}, size_t{23}, size_t{29}, size_t{44}}) {
    for (const uint32_t lie : {101U, 0x7FFFFFFFU, 0xFFFFFFFFU}) {
      std::string changed = two;
      std::memcpy(changed.data() + at, &lie, sizeof lie);
      CAPTURE(at);
      CHECK(KindOf([&] { Parse(changed); }) == ErrorKind::kBadInput);
    }
  }
  std::string places = two;
  for (const size_t at : {4, 8}) std::memset(places.data() + at, 0xFF, 4);
  CHECK(KindOf([&] { Parse(places, 1); }) == ErrorKind::kBadInput);
}

}  // namespace
}  // namespace quern
