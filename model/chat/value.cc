#include "model/chat/value.h"

#include <cmath>
#include <cstring>

#include "model/chat/heap.h"
#include "model/chat/loop.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

// Values nest as deep as JSON and expressions do, and a list may hold itself.
constexpr int kMaxDepth = 100;

// A key's place in the order of the map: text as it is (unless it begins with NUL), other values
// behind a NUL. Equal numbers have one key, whatever their type.
std::string KeyOf(const Value& key, int depth = 0) {
  switch (key.kind()) {
    case Kind::kString:
      return key.text().starts_with('\0') ? std::string("\0s", 2) + key.text() : key.text();
    case Kind::kNone:
      return std::string("\0n", 2);
    case Kind::kFloat:
      if (key.real() != std::floor(key.real()) || std::abs(key.real()) > 1e37) {
        const double real = key.real();
        std::string bytes(sizeof(real), '\0');
        std::memcpy(bytes.data(), &real, sizeof(real));
        return std::string("\0f", 2) + bytes;
      }
      return KeyOf(Value::Integer(static_cast<Int>(key.real())));
    case Kind::kBool:
    case Kind::kInt: {
      const Int number = key.integer();
      std::string bytes(sizeof(number), '\0');
      std::memcpy(bytes.data(), &number, sizeof(number));
      return std::string("\0i", 2) + bytes;
    }
    case Kind::kTuple: {
      if (depth == kMaxDepth) Refuse("a key is nested too deeply");
      std::string bytes("\0t", 2);
      for (const Value& item : key.list().items) {
        const std::string part = KeyOf(item, depth + 1);
        bytes += fmt::format("{}:", part.size()) + part;
      }
      return bytes;
    }
    default:
      Refuse("unhashable type: '{}'", TypeName(key));
  }
}

bool EqualLists(Heap& heap, const std::vector<Value>& a, const std::vector<Value>& b, int depth) {
  if (a.size() != b.size()) return false;
  for (size_t i = 0; i < a.size(); ++i) {
    if (!Equal(heap, a[i], b[i], depth + 1)) return false;
  }
  return true;
}

bool EqualDicts(Heap& heap, Dict& a, Dict& b, int depth) {
  if (a.entries.size() != b.entries.size()) return false;
  for (const auto& [key, value] : a.entries) {
    const Value* other = b.Find(key);
    if (other == nullptr || !Equal(heap, value, *other, depth + 1)) return false;
  }
  return true;
}

// Integers beyond a double's mantissa are compared as such.
long double Wide(const Value& number) {
  return number.Is(Kind::kFloat) ? static_cast<long double>(number.real())
                                 : static_cast<long double>(number.integer());
}

}  // namespace

Value Value::Float(double value) {
  Value made;
  made.kind_ = Kind::kFloat;
  made.real_ = value;
  return made;
}

Text::Text(std::string text, bool is_safe)
    : bytes(std::move(text)), length(CountCodes(bytes)), safe(is_safe) {}

Value* Dict::Find(const Value& key) {
  if (key.Is(Kind::kString) && !key.text().starts_with('\0')) return Find(key.text());
  const auto place = places_.find(KeyOf(key));
  return place == places_.end() ? nullptr : &entries[place->second].second;
}

Value* Dict::Find(std::string_view key) {
  const auto place = places_.find(key);
  return place == places_.end() ? nullptr : &entries[place->second].second;
}

void Dict::Set(Heap& heap, const Value& key, const Value& value) {
  std::string place = KeyOf(key);
  const auto found = places_.find(place);
  if (found != places_.end()) {
    entries[found->second].second = value;
    return;
  }
  heap.Charge(place.size() + sizeof(Entry) + 64);
  places_.emplace(std::move(place), entries.size());
  entries.emplace_back(key, value);
}

void Dict::Erase(Heap& heap, const Value& key) {
  heap.Step(static_cast<int64_t>(entries.size()));
  const auto place = places_.find(KeyOf(key));
  const size_t index = place->second;
  places_.erase(place);
  entries.erase(entries.begin() + static_cast<ptrdiff_t>(index));
  for (auto& [text, at] : places_) {
    if (at > index) --at;
  }
}

void Dict::Clear() {
  entries.clear();
  places_.clear();
}

std::string_view TypeName(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return "Undefined";
    case Kind::kNone:
      return "NoneType";
    case Kind::kBool:
      return "bool";
    case Kind::kInt:
      return "int";
    case Kind::kFloat:
      return "float";
    case Kind::kString:
      return "str";
    case Kind::kList:
      return "list";
    case Kind::kTuple:
      return "tuple";
    case Kind::kSeries: {
      const Series& series = value.series();
      if (series.form == Series::kRange) return "range";
      return series.form == Series::kGenerator ? std::string_view("generator") : series.shown;
    }
    case Kind::kDict:
      return "dict";
    case Kind::kNamespace:
      return "Namespace";
    case Kind::kLoop:
      return "LoopContext";
    case Kind::kCallable:
      return "function";
  }
  return "object";
}

bool Truth(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return false;
    case Kind::kBool:
    case Kind::kInt:
      return value.integer() != 0;
    case Kind::kFloat:
      return value.real() != 0;
    case Kind::kString:
      return !value.text().empty();
    case Kind::kList:
    case Kind::kTuple:
      return !value.list().items.empty();
    case Kind::kSeries:
      return value.series().form == Series::kGenerator || !value.list().items.empty();
    case Kind::kDict:
      return !value.dict().entries.empty();
    default:
      return true;
  }
}

bool Equal(Heap& heap, const Value& a, const Value& b, int depth) {
  heap.Step();
  if (depth > kMaxDepth) Refuse("values to compare are nested too deeply");
  if (a.IsNumber() && b.IsNumber()) {
    return a.IsInt() && b.IsInt() ? a.integer() == b.integer() : Wide(a) == Wide(b);
  }
  if (a.kind() != b.kind()) return false;
  switch (a.kind()) {
    case Kind::kUndefined:
    case Kind::kNone:
      return true;
    case Kind::kString:
      return a.text() == b.text();
    case Kind::kList:
    case Kind::kTuple:
      return a.object() == b.object() || EqualLists(heap, a.list().items, b.list().items, depth);
    case Kind::kSeries:
      if (a.object() == b.object()) return true;
      return a.series().form == Series::kRange && b.series().form == Series::kRange &&
             EqualLists(heap, a.list().items, b.list().items, depth);
    case Kind::kDict:
      return a.object() == b.object() || EqualDicts(heap, a.dict(), b.dict(), depth);
    default:
      return a.object() == b.object();
  }
}

bool Less(Heap& heap, const Value& a, const Value& b, int depth) {
  heap.Step();
  if (depth > kMaxDepth) Refuse("values to compare are nested too deeply");
  if (a.IsNumber() && b.IsNumber()) {
    return a.IsInt() && b.IsInt() ? a.integer() < b.integer() : Wide(a) < Wide(b);
  }
  if (a.Is(Kind::kString) && b.Is(Kind::kString)) return a.text() < b.text();
  for (const Value& value : {a, b}) {
    if (value.Is(Kind::kUndefined)) Refuse("{}", value.text());
  }
  const bool lists = a.kind() == b.kind() && (a.Is(Kind::kList) || a.Is(Kind::kTuple));
  if (!lists) {
    Refuse("'<' not supported between instances of '{}' and '{}'", TypeName(a), TypeName(b));
  }
  const auto &left = a.list().items, &right = b.list().items;
  for (size_t i = 0; i < left.size() && i < right.size(); ++i) {
    if (!Equal(heap, left[i], right[i], depth + 1)) return Less(heap, left[i], right[i], depth + 1);
  }
  return left.size() < right.size();
}

bool Contains(Heap& heap, const Value& container, const Value& item) {
  switch (container.kind()) {
    case Kind::kString:
      if (item.Is(Kind::kUndefined)) Refuse("{}", item.text());
      if (!item.Is(Kind::kString)) {
        Refuse("'in <string>' requires string as left operand, not {}", TypeName(item));
      }
      heap.Step(static_cast<int64_t>(container.text().size() / 64));
      return container.text().find(item.text()) != std::string::npos;
    case Kind::kDict:
      return container.dict().Find(item) != nullptr;
    case Kind::kUndefined:
      return false;
    case Kind::kList:
    case Kind::kTuple:
      for (const Value& one : container.list().items) {
        if (Equal(heap, one, item)) return true;
      }
      return false;
    case Kind::kSeries: {
      Series& series = container.series();
      const bool once = series.form == Series::kGenerator;
      for (size_t i = once ? series.taken : 0; i < series.items.size(); ++i) {
        if (once) series.taken = i + 1;
        if (Equal(heap, series.items[i], item)) return true;
      }
      return false;
    }
    default:
      Refuse("argument of type '{}' is not iterable", TypeName(container));
  }
}

bool IsIterable(const Value& value) {
  return value.IsListed() || value.Is(Kind::kString) || value.Is(Kind::kDict) ||
         value.Is(Kind::kUndefined) || value.Is(Kind::kLoop);
}

std::vector<Value> Items(Heap& heap, const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return {};
    case Kind::kList:
    case Kind::kTuple:
      heap.ChargeValues(value.list().items.size());
      return value.list().items;
    case Kind::kSeries: {
      Series& series = value.series();
      heap.ChargeValues(series.items.size());
      if (series.form != Series::kGenerator) return series.items;
      const auto first = series.items.begin() + static_cast<ptrdiff_t>(series.taken);
      series.taken = series.items.size();
      return {first, series.items.end()};
    }
    case Kind::kString: {
      const std::string& text = value.text();
      std::vector<Value> codes;
      for (size_t at = 0; at < text.size();) {
        const size_t width = Utf8Width(text[at]);
        codes.push_back(heap.Str(text.substr(at, width)));
        at += width;
      }
      return codes;
    }
    case Kind::kDict: {
      heap.ChargeValues(value.dict().entries.size());
      std::vector<Value> keys;
      for (const auto& entry : value.dict().entries) keys.push_back(entry.first);
      return keys;
    }
    default:
      Refuse("'{}' object is not iterable", TypeName(value));
  }
}

size_t Length(const Value& value) {
  switch (value.kind()) {
    case Kind::kUndefined:
      return 0;
    case Kind::kString:
      return value.string().length;
    case Kind::kDict:
      return value.dict().entries.size();
    case Kind::kLoop:
      return value.loop().Length();
    case Kind::kSeries:
      if (value.series().form == Series::kGenerator) break;
      [[fallthrough]];
    case Kind::kList:
    case Kind::kTuple:
      return value.list().items.size();
    default:
      break;
  }
  Refuse("object of type '{}' has no len()", TypeName(value));
}

}  // namespace quern::jinja
