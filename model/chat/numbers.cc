#include "model/chat/numbers.h"

#include <algorithm>
#include <cmath>
#include <cstdlib>
#include <limits>

#include "model/chat/heap.h"
#include "model/chat/unicode_text.h"

namespace quern::jinja {
namespace {

constexpr Int kMaxInt = static_cast<Int>(~static_cast<unsigned __int128>(0) >> 1);

[[noreturn]] void TooLarge() { Refuse("an integer is too large"); }

Int FloorDivide(Int a, Int b) {
  if (b == -1) {
    if (a < -kMaxInt) TooLarge();
    return -a;
  }
  const Int quotient = a / b;
  return a % b != 0 && (a % b < 0) != (b < 0) ? quotient - 1 : quotient;
}

Int Modulo(Int a, Int b) {
  if (b == -1) return 0;
  const Int rest = a % b;
  return rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest;
}

double FloatModulo(double a, double b) {
  const double rest = std::fmod(a, b);
  if (rest == 0) return std::copysign(0.0, b);
  return (rest < 0) != (b < 0) ? rest + b : rest;
}

Value Power(const Value& a, const Value& b) {
  if (!a.IsInt() || !b.IsInt() || b.integer() < 0) {
    const double base = a.ToDouble(), exponent = b.ToDouble();
    if (base == 0 && exponent < 0) Refuse("0.0 cannot be raised to a negative power");
    const double power = std::pow(base, exponent);
    if (std::isnan(power) && !std::isnan(base) && !std::isnan(exponent)) {
      Refuse("a negative number cannot be raised to a fraction here");
    }
    if (std::isinf(power) && !std::isinf(base) && !std::isinf(exponent)) {
      Refuse("a power is too large");
    }
    return Value::Float(power);
  }
  Int base = a.integer(), result = 1;
  for (Int exponent = b.integer(); exponent > 0; exponent >>= 1) {
    if ((exponent & 1) != 0 && __builtin_mul_overflow(result, base, &result)) TooLarge();
    if (exponent > 1 && __builtin_mul_overflow(base, base, &base)) TooLarge();
  }
  return Value::Integer(result);
}

Value IntArithmetic(char op, Int a, Int b) {
  Int result = 0;
  bool overflow = false;
  switch (op) {
    case '+':
      overflow = __builtin_add_overflow(a, b, &result);
      break;
    case '-':
      overflow = __builtin_sub_overflow(a, b, &result);
      break;
    case '*':
      overflow = __builtin_mul_overflow(a, b, &result);
      break;
    default:
      if (b == 0) Refuse("integer division or modulo by zero");
      result = op == '%' ? Modulo(a, b) : FloorDivide(a, b);
  }
  if (overflow) TooLarge();
  return Value::Integer(result);
}

Value FloatArithmetic(char op, double a, double b) {
  switch (op) {
    case '+':
      return Value::Float(a + b);
    case '-':
      return Value::Float(a - b);
    case '*':
      return Value::Float(a * b);
    default:
      if (b == 0) Refuse("float division by zero");
      if (op == '%') return Value::Float(FloatModulo(a, b));
      return Value::Float(std::floor((a - FloatModulo(a, b)) / b + 0.5));
  }
}

// Digits without the underscores between them; none where one stands elsewhere.
std::optional<std::string> WithoutUnderscores(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '_') {
      out += text[i];
    } else if (i == 0 || i + 1 == text.size() || DigitValue(text[i - 1]) > 35 ||
               DigitValue(text[i + 1]) > 35) {
      return std::nullopt;
    }
  }
  return out;
}

}  // namespace

int DigitValue(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'z') return c - 'a' + 10;
  if (c >= 'A' && c <= 'Z') return c - 'A' + 10;
  return 99;
}

std::optional<Int> ParseInt(std::string_view text, int base) {
  text = StripSpace(text);
  const bool negative = text.starts_with('-');
  if (negative || text.starts_with('+')) text.remove_prefix(1);
  if (text.size() > 2 && text[0] == '0') {
    const char mark = static_cast<char>(text[1] | 0x20);
    const int marked = mark == 'x' ? 16 : mark == 'o' ? 8 : mark == 'b' ? 2 : 99;
    if (marked == base || (base == 0 && marked != 99)) {
      text.remove_prefix(text[2] == '_' ? 3 : 2);
      base = marked;
    }
  }
  if (base == 0) base = 10;
  const auto digits = WithoutUnderscores(text);
  if (!digits || digits->empty()) return std::nullopt;
  Int value = 0;
  for (const char c : *digits) {
    const int digit = DigitValue(c);
    if (digit >= base || __builtin_mul_overflow(value, Int{base}, &value) ||
        __builtin_add_overflow(value, Int{digit}, &value)) {
      return std::nullopt;
    }
  }
  return negative ? -value : value;
}

std::optional<double> ParseFloat(std::string_view text) {
  const auto digits = WithoutUnderscores(StripSpace(text));
  if (!digits || digits->empty()) return std::nullopt;
  std::string lower = Lower(*digits);
  const size_t start = lower[0] == '-' || lower[0] == '+';
  const std::string body = lower.substr(start);
  const bool special = body == "inf" || body == "infinity" || body == "nan";
  if (!special && body.find_first_not_of("0123456789.e+-") != body.npos) return std::nullopt;
  char* end = nullptr;
  const double value = std::strtod(lower.c_str(), &end);
  if (end != lower.c_str() + lower.size()) return std::nullopt;
  return value;
}

std::string IntText(Int value, int base) {
  const bool negative = value < 0;
  auto rest =
      negative ? -static_cast<unsigned __int128>(value) : static_cast<unsigned __int128>(value);
  std::string out;
  do {
    out += "0123456789abcdefghijklmnopqrstuvwxyz"[static_cast<size_t>(rest % base)];
    rest /= base;
  } while (rest != 0);
  if (negative) out += '-';
  std::reverse(out.begin(), out.end());
  return out;
}

std::string FloatText(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  std::string text = fmt::format("{}", value);
  if (text.find_first_of(".e") == text.npos) text += ".0";
  return text;
}

Value Arithmetic(std::string_view op, const Value& a, const Value& b) {
  if (op == "**") return Power(a, b);
  if (op == "/") {
    if (b.ToDouble() == 0) Refuse("division by zero");
    return Value::Float(a.ToDouble() / b.ToDouble());
  }
  const char which = op == "//" ? '/' : op[0];
  if (a.IsInt() && b.IsInt()) return IntArithmetic(which, a.integer(), b.integer());
  return FloatArithmetic(which, a.ToDouble(), b.ToDouble());
}

Value Negative(const Value& value) {
  if (value.Is(Kind::kFloat)) return Value::Float(-value.real());
  if (value.integer() < -kMaxInt) TooLarge();
  return Value::Integer(-value.integer());
}

Value Rounded(const Value& value, Int digits) {
  if (value.IsInt()) {
    if (digits >= 0) return Value::Integer(value.integer());
    if (digits < -37) return Value::Integer(0);
    Int unit = 1;
    for (Int i = digits; i < 0; ++i) unit *= 10;
    const Int floor = FloorDivide(value.integer(), unit);
    const Int rest = Modulo(value.integer(), unit);
    const bool up = rest * 2 > unit || (rest * 2 == unit && (floor & 1) != 0);
    return IntArithmetic('*', floor + (up ? 1 : 0), unit);
  }
  const double real = value.real();
  if (!std::isfinite(real) || digits > 323) return value;
  if (digits < -308) return Value::Float(std::copysign(0.0, real));
  if (digits >= 0) {
    return Value::Float(
        std::strtod(fmt::format("{:.{}f}", real, static_cast<int>(digits)).c_str(), nullptr));
  }
  const double unit = std::pow(10.0, static_cast<double>(-digits));
  return Value::Float(std::nearbyint(real / unit) * unit);
}

}  // namespace quern::jinja
