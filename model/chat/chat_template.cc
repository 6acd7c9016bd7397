#include "model/chat/chat_template.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "model/chat/globals.h"
#include "model/chat/heap.h"
#include "model/chat/machine.h"
#include "model/chat/syntax.h"
#include "model/chat/unicode_text.h"

namespace quern {
namespace {

using jinja::Heap;
using jinja::Kind;
using jinja::Value;

// Templates of the field have up to 20 KB.
constexpr size_t kMaxTemplate = size_t{1} << 22;
constexpr int kMaxDepth = 64;

Value FromJson(Heap& heap, const nlohmann::ordered_json& json, int depth) {
  using Type = nlohmann::ordered_json::value_t;
  if (depth > kMaxDepth) jinja::Refuse("a value is nested deeper than {} levels", kMaxDepth);
  switch (json.type()) {
    case Type::boolean:
      return Value::Bool(json.get<bool>());
    case Type::number_integer:
      return Value::Integer(json.get<int64_t>());
    case Type::number_unsigned:
      return Value::Integer(json.get<uint64_t>());
    case Type::number_float:
      return Value::Float(json.get<double>());
    case Type::string: {
      const auto& text = json.get_ref<const std::string&>();
      if (!jinja::IsValidUtf8(text)) jinja::Refuse("a text is no valid UTF-8");
      return heap.Str(text);
    }
    case Type::array: {
      std::vector<Value> items;
      for (const auto& item : json) items.push_back(FromJson(heap, item, depth + 1));
      return heap.ListOf(std::move(items));
    }
    case Type::object: {
      auto* const dict = heap.New<jinja::Dict>();
      for (const auto& [key, item] : json.items()) {
        dict->Set(heap, heap.Str(key), FromJson(heap, item, depth + 1));
      }
      return {Kind::kDict, dict};
    }
    default:
      return Value::None();
  }
}

}  // namespace

struct ChatTemplate::Parsed {
  std::string name;
  jinja::Syntax syntax;
};

ChatTemplate::ChatTemplate(std::unique_ptr<const Parsed> parsed) : parsed_(std::move(parsed)) {}
ChatTemplate::~ChatTemplate() = default;
ChatTemplate::ChatTemplate(ChatTemplate&&) noexcept = default;

ChatTemplate ChatTemplate::Parse(std::string_view text, std::string name) {
  if (text.size() > kMaxTemplate) {
    Fail(ErrorKind::kBadInput, "{}: the chat template has {} bytes, at most {} are supported", name,
         text.size(), kMaxTemplate);
  }
  if (!jinja::IsValidUtf8(text)) {
    Fail(ErrorKind::kBadInput, "{}: the chat template is no valid UTF-8", name);
  }
  try {
    auto parsed = std::make_unique<Parsed>();
    parsed->syntax = jinja::ParseTemplate(text);
    parsed->name = std::move(name);
    return ChatTemplate(std::move(parsed));
  } catch (const jinja::Refusal& refusal) {
    Fail(ErrorKind::kBadInput, "{}: chat template, {}", name, refusal.what());
  }
}

std::string ChatTemplate::Render(const nlohmann::ordered_json& values,
                                 const ChatTemplateOptions& options) const {
  Heap heap(options.max_bytes, options.max_steps);
  jinja::Machine machine(parsed_->syntax, heap);
  try {
    const Value given = FromJson(heap, values, 0);
    if (!given.Is(Kind::kDict)) jinja::Refuse("the template's variables are no object");
    return machine.Run(given.dict(), jinja::MakeGlobals(machine, options));
  } catch (const jinja::Refusal& refusal) {
    Fail(ErrorKind::kBadInput, "{}: chat template, line {}: {}", parsed_->name, machine.line(),
         refusal.what());
  }
}

}  // namespace quern
