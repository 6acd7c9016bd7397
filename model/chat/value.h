#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

// Values as Python has them, as far as templates can tell. Objects belong to a Heap, or to the
// template that they are literals of.
namespace quern::jinja {

class Heap;

// Wide enough for any integer of JSON; arithmetic that leaves it is refused.
using Int = __int128;

enum class Kind : uint8_t {
  kUndefined,
  kNone,
  kBool,
  kInt,
  kFloat,
  kString,
  kList,
  kTuple,
  kSeries,  // range, view of a dict, generator
  kDict,
  kNamespace,
  kLoop,
  kCallable,
};

struct Object {
  virtual ~Object() = default;
};

struct Text;
struct List;
struct Series;
struct Dict;
struct Loop;
struct Callable;

class Value {
 public:
  Value() : kind_(Kind::kNone), int_(0) {}
  static Value None() { return Value(); }
  static Value Bool(bool value) { return Value(Kind::kBool, Int{value}); }
  static Value Integer(Int value) { return Value(Kind::kInt, value); }
  static Value Float(double value);
  Value(Kind kind, Object* object) : kind_(kind), object_(object) {}

  Kind kind() const { return kind_; }
  bool Is(Kind kind) const { return kind_ == kind; }
  bool IsInt() const { return kind_ == Kind::kInt || kind_ == Kind::kBool; }
  bool IsNumber() const { return IsInt() || kind_ == Kind::kFloat; }
  bool IsListed() const {
    return kind_ == Kind::kList || kind_ == Kind::kTuple || kind_ == Kind::kSeries;
  }

  bool boolean() const { return int_ != 0; }
  Int integer() const { return int_; }  // of kInt and kBool
  double real() const { return real_; }
  double ToDouble() const { return kind_ == Kind::kFloat ? real_ : static_cast<double>(int_); }
  const std::string& text() const;
  const Text& string() const;
  List& list() const;  // of kList, kTuple and kSeries
  Series& series() const;
  Dict& dict() const;  // of kDict and kNamespace
  Loop& loop() const;
  Callable& callable() const;
  const Object* object() const { return object_; }

 private:
  Value(Kind kind, Int value) : kind_(kind), int_(value) {}

  Kind kind_;
  union {
    Int int_;
    double real_;
    Object* object_;
  };
};

// UTF-8 text; also the reason of an undefined value.
struct Text : Object {
  explicit Text(std::string text, bool is_safe = false);
  std::string bytes;
  size_t length;  // in code points
  bool safe;      // Markup: what is added to it with + is escaped
};

struct List : Object {
  explicit List(std::vector<Value> list) : items(std::move(list)) {}
  std::vector<Value> items;
};

// What can be iterated over and is no list. A generator gives each item once.
struct Series : List {
  enum Form { kRange, kView, kGenerator };
  Series(Form is, std::string text, std::vector<Value> list)
      : List(std::move(list)), form(is), shown(std::move(text)) {}
  Form form;
  std::string shown;  // "range(0, 3)", "dict_items"
  size_t taken = 0;   // items that a generator gave already
};

// A dict in the order of insertion.
struct Dict : Object {
  using Entry = std::pair<Value, Value>;
  // The entry's value, or nullptr. Refuses a key that Python cannot hash.
  Value* Find(const Value& key);
  Value* Find(std::string_view key);
  // What is made is charged to the heap.
  void Set(Heap& heap, const Value& key, const Value& value);
  // Takes `key` out, which is there.
  void Erase(Heap& heap, const Value& key);
  void Clear();

  std::vector<Entry> entries;

 private:
  std::map<std::string, size_t, std::less<>> places_;
};

// The arguments of a call. `named` has no name twice.
struct Args {
  std::vector<Value> at;
  std::vector<std::pair<std::string, Value>> named;
};

using NativeFunction = std::function<Value(const Args&)>;

struct Callable : Object {
  Callable(std::string its_name, NativeFunction function)
      : name(std::move(its_name)), call(std::move(function)) {}
  std::string name;
  NativeFunction call;
};

inline const std::string& Value::text() const { return static_cast<Text*>(object_)->bytes; }
inline const Text& Value::string() const { return *static_cast<Text*>(object_); }
inline List& Value::list() const { return *static_cast<List*>(object_); }
inline Series& Value::series() const { return *static_cast<Series*>(object_); }
inline Dict& Value::dict() const { return *static_cast<Dict*>(object_); }
inline Callable& Value::callable() const { return *static_cast<Callable*>(object_); }

// As Python's error messages name its type.
std::string_view TypeName(const Value& value);
bool Truth(const Value& value);
bool Equal(Heap& heap, const Value& a, const Value& b, int depth = 0);
// Whether a < b; refuses types that have no order.
bool Less(Heap& heap, const Value& a, const Value& b, int depth = 0);
// `a in b`.
bool Contains(Heap& heap, const Value& container, const Value& item);
// The items of what can be iterated over; refuses what cannot. A generator is used up.
std::vector<Value> Items(Heap& heap, const Value& value);
bool IsIterable(const Value& value);
// len(); refuses what has none.
size_t Length(const Value& value);

}  // namespace quern::jinja
