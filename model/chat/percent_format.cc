#include "model/chat/percent_format.h"

#include <cmath>

#include "model/chat/format_spec.h"
#include "model/chat/heap.h"
#include "model/chat/text_of.h"

namespace quern::jinja {
namespace {

// One "%..." behind its percent sign: takes what belongs to it from `format`.
class Percent {
 public:
  Percent(Heap& heap, const Value& values) : heap_(heap), values_(values) {}

  std::string Next(std::string_view& format) {
    Value value;
    bool has_value = false;
    if (Takes(format, '(')) {
      const size_t end = format.find(')');
      if (end == format.npos) Refuse("incomplete format key");
      if (!values_.Is(Kind::kDict)) Refuse("format requires a mapping");
      const Value* found = values_.dict().Find(format.substr(0, end));
      if (found == nullptr) Refuse("a format's key is not there: '{}'", format.substr(0, end));
      value = *found;
      has_value = used_ = true;
      format.remove_prefix(end + 1);
    }
    FormatSpec spec;
    for (bool more = true; more;) {
      more = false;
      if (Takes(format, '-')) more = true, spec.align = '<';
      if (Takes(format, '+')) more = true, spec.sign = '+';
      if (Takes(format, ' ')) more = true, spec.sign = spec.sign == '+' ? '+' : ' ';
      if (Takes(format, '#')) more = true, spec.alternate = true;
      if (Takes(format, '0')) more = true, spec.fill = "0";
    }
    spec.width = TakeWidth(format);
    if (Takes(format, '.')) spec.precision = TakePrecision(format);
    if (format.empty()) Refuse("incomplete format");
    spec.type = format[0];
    format.remove_prefix(1);
    if (spec.type == '%') return "%";
    if (!has_value) value = TakeValue();
    return Shown(value, spec);
  }

  void CheckAllUsed() const {
    const bool left = values_.Is(Kind::kTuple)
                          ? next_ < values_.list().items.size()
                          : !used_ && !values_.Is(Kind::kDict) && !values_.Is(Kind::kList);
    if (left) Refuse("not all arguments converted during string formatting");
  }

 private:
  Value TakeValue() {
    if (values_.Is(Kind::kTuple)) {
      if (next_ == values_.list().items.size()) Refuse("not enough arguments for format string");
      return values_.list().items[next_++];
    }
    if (used_) Refuse("not enough arguments for format string");
    used_ = true;
    return values_;
  }

  std::string Shown(const Value& value, FormatSpec spec) {
    if (spec.type == 's' || spec.type == 'r') {
      std::string text;
      if (spec.type == 's') {
        AppendStr(heap_, value, text);
      } else {
        AppendRepr(heap_, value, text);
      }
      spec.fill = " ";
      if (spec.align == '\0') spec.align = '>';
      return FormatText(text, spec);
    }
    if (!value.IsNumber()) {
      Refuse("%{} format: a real number is required, not {}", spec.type, TypeName(value));
    }
    if (spec.fill == "0") spec.align = spec.align == '<' ? '<' : '=';
    if (spec.align == '<') spec.fill = " ";
    if (spec.type == 'i' || spec.type == 'u') spec.type = 'd';
    static constexpr std::string_view kInts = "dxXo", kFloats = "fFeEgG";
    if (kFloats.find(spec.type) != kFloats.npos) return FormatFloat(value.ToDouble(), spec);
    if (kInts.find(spec.type) == kInts.npos) {
      Refuse("unsupported format character '{}'", spec.type);
    }
    if (value.IsInt()) return FormatInt(value.integer(), spec);
    if (!std::isfinite(value.real()) || std::abs(value.real()) > 1e37) {
      Refuse("cannot convert float to integer");
    }
    return FormatInt(static_cast<Int>(value.real()), spec);
  }

  Heap& heap_;
  const Value& values_;
  size_t next_ = 0;
  bool used_ = false;
};

}  // namespace

std::string PercentFormat(Heap& heap, std::string_view format, const Value& values) {
  std::string out;
  Percent percent(heap, values);
  while (!format.empty()) {
    const size_t next = std::min(format.find('%'), format.size());
    out += format.substr(0, next);
    format.remove_prefix(next);
    if (!Takes(format, '%')) break;
    out += percent.Next(format);
    heap.Charge(out.size() / 16 + 64);
  }
  percent.CheckAllUsed();
  return out;
}

}  // namespace quern::jinja
