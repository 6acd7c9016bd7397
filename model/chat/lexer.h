#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "model/chat/value.h"

namespace quern::jinja {

enum class TokenKind {
  kData,
  kBlockBegin,
  kBlockEnd,
  kPrintBegin,
  kPrintEnd,
  kName,
  kString,
  kInteger,
  kFloat,
  kOperator,
  kEnd,
};

struct Token {
  TokenKind kind;
  int line;
  std::string text;  // of data, names, strings (unescaped) and operators
  Int integer = 0;
  double real = 0;
};

// The tokens of a template, kEnd last, with white space taken away as trim_blocks, lstrip_blocks
// and the signs in the tags say. Refuses what is no token, with its line.
std::vector<Token> Lex(std::string_view source);

}  // namespace quern::jinja
