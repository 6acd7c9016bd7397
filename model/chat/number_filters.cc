#include <cmath>
#include <optional>

#include "model/chat/bound.h"
#include "model/chat/filters.h"
#include "model/chat/machine.h"
#include "model/chat/numbers.h"

namespace quern::jinja {
namespace {

// int() and float() of an undefined value are an error that the filters do not catch.
void RefuseUndefined(const Value& value) {
  if (value.Is(Kind::kUndefined)) Refuse("{}", value.text());
}

std::optional<Int> Truncated(double value) {
  if (!std::isfinite(value)) return std::nullopt;
  if (std::abs(value) > 1e37) Refuse("an integer is too large");
  return static_cast<Int>(value);
}

Value Abs(Machine&, const Value& value, const Args& args) {
  const Bound bound("abs", args, {});
  RefuseUndefined(value);
  if (!value.IsNumber()) Refuse("bad operand type for abs(): '{}'", TypeName(value));
  if (value.Is(Kind::kFloat)) return Value::Float(std::abs(value.real()));
  return value.integer() < 0 ? Negative(value) : Value::Integer(value.integer());
}

Value ToInt(Machine&, const Value& value, const Args& args) {
  const Bound bound("int", args, {"default", "base"});
  RefuseUndefined(value);
  const bool has_default = !args.at.empty() || bound.Has(0);
  const Value otherwise = has_default ? bound.At(0) : Value::Integer(0);
  if (value.IsInt()) return Value::Integer(value.integer());
  std::optional<Int> number;
  if (value.Is(Kind::kFloat)) {
    number = Truncated(value.real());
  } else if (value.Is(Kind::kString)) {
    const Int base = bound.Integer(1, 10);
    if (base != 0 && (base < 2 || base > 36)) return otherwise;
    number = ParseInt(value.text(), static_cast<int>(base));
    if (!number) {
      const auto real = ParseFloat(value.text());
      if (real) number = Truncated(*real);
    }
  }
  if (number) return Value::Integer(*number);
  return otherwise;
}

Value ToFloat(Machine&, const Value& value, const Args& args) {
  const Bound bound("float", args, {"default"});
  RefuseUndefined(value);
  if (value.IsNumber()) return Value::Float(value.ToDouble());
  if (value.Is(Kind::kString)) {
    if (const auto number = ParseFloat(value.text())) return Value::Float(*number);
  }
  return !args.at.empty() || bound.Has(0) ? bound.At(0) : Value::Float(0);
}

Value Round(Machine&, const Value& value, const Args& args) {
  const Bound bound("round", args, {"precision", "method"});
  RefuseUndefined(value);
  const std::string method = bound.Has(1) ? bound.Text(1) : "common";
  if (method != "common" && method != "ceil" && method != "floor") {
    Refuse("method must be common, ceil or floor");
  }
  if (!value.IsNumber()) Refuse("type {} doesn't define __round__ method", TypeName(value));
  const Int precision = bound.Integer(0, 0);
  if (method == "common") return Rounded(value, precision);
  if (precision > 300 || precision < -300) Refuse("round: the precision is too large");
  const double unit = std::pow(10.0, static_cast<double>(precision));
  const double scaled = value.ToDouble() * unit;
  return Value::Float((method == "ceil" ? std::ceil(scaled) : std::floor(scaled)) / unit);
}

Value FileSize(Machine& machine, const Value& value, const Args& args) {
  const Bound bound("filesizeformat", args, {"binary"});
  const Value number = ToFloat(machine, value, {});
  const bool binary = bound.Flag(0);
  const double bytes = number.real(), base = binary ? 1024 : 1000;
  if (bytes == 1) return machine.heap().Str("1 Byte");
  if (bytes < base) return machine.heap().Str(fmt::format("{:.0f} Bytes", std::trunc(bytes)));
  double unit = base;
  size_t prefix = 0;
  for (; prefix < 7 && bytes >= unit * base; ++prefix) unit *= base;
  return machine.heap().Str(fmt::format("{:.1f} {}{}B", bytes / unit,
                                        binary ? "KMGTPEZY"[prefix] : "kMGTPEZY"[prefix],
                                        binary ? "i" : ""));
}

}  // namespace

std::span<const FilterEntry> NumberFilters() {
  static constexpr FilterEntry kFilters[] = {
      {"abs", Abs},
      {"int", ToInt},
      {"float", ToFloat},
      {"round", Round},
      {"filesizeformat", FileSize},
  };
  return kFilters;
}

}  // namespace quern::jinja
