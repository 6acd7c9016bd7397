#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

// The parts that a text in PTX is made of. What is not as it should be is a Fault.

namespace quern::ptx {

inline constexpr std::string_view kBlanks = " \t\r\n";

// Where `what` stands, which has to be there.
size_t Find(std::string_view text, std::string_view what, size_t from = 0);

std::string_view Trimmed(std::string_view text);

// By the commas that stand in no brackets.
std::vector<std::string_view> Split(std::string_view text);

std::vector<std::string_view> SplitDots(std::string_view name);

// Bytes of a type's value, "s32".
int BytesOf(std::string_view type);

int64_t Number(std::string_view text);

// ".shared .align 4 .b8 name[4096]", also with "= {...}".
struct Array {
  std::string name;
  size_t align = 1;
  int element_bytes = 1;
  size_t bytes = 0;
  std::vector<std::string_view> values;

  explicit Array(std::string_view text);
};

}  // namespace quern::ptx
