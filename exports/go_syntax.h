#pragma once

#include <cstdint>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

// What a template of Go's text/template is made of, as far as Quern knows it (go_template.h).
namespace quern::go {

struct Expr {
  enum Kind { kDot, kVariable, kText, kInt, kBool, kCall };
  Kind kind = kDot;
  std::string text = {};                 // of kText; the name of kVariable ("" is $) and kCall
  int64_t number = 0;                    // of kInt and kBool
  std::vector<std::string> fields = {};  // ".Role" behind a dot or a variable
  std::vector<Expr> args = {};           // of kCall
};

struct Node {
  enum Kind { kText, kPrint, kDeclare, kAssign, kIf, kRange, kTemplate };
  Kind kind = kText;
  std::string text = {};                 // of kText; the name of kDeclare, kAssign and kTemplate
  std::string index = {}, element = {};  // the variables of kRange, where it names any
  Expr expr = {};                        // the pipeline
  std::vector<Node> body = {}, otherwise = {};  // of kIf and kRange
};

struct Syntax {
  std::vector<Node> main;
  std::map<std::string, std::vector<Node>> defined;
};

// Errors are kUnsupported and begin with `name` and the line.
Syntax ParseGoTemplate(std::string_view text, const std::string& name);

}  // namespace quern::go
