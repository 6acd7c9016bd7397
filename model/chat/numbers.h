#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "model/chat/value.h"

// Numbers in Python's notation and arithmetic.
namespace quern::jinja {

// The value of a digit of bases up to 36; 99 for what is none.
int DigitValue(char c);
// As int(text, base) reads it: a sign, white space around, single underscores between digits; base
// 0 takes prefixes. None where it is no number or too large.
std::optional<Int> ParseInt(std::string_view text, int base);
// As float(text) reads it.
std::optional<double> ParseFloat(std::string_view text);

std::string IntText(Int value, int base = 10);
// repr(): the shortest that reads back the same.
std::string FloatText(double value);

// Python's operators + - * / // % ** on numbers; `op` is the operator's text.
Value Arithmetic(std::string_view op, const Value& a, const Value& b);
Value Negative(const Value& value);
// round(value, digits) of Python: to even, of the exact binary value.
Value Rounded(const Value& value, Int digits);

}  // namespace quern::jinja
