#include <algorithm>

#include "model/chat/bound.h"
#include "model/chat/machine.h"
#include "model/chat/methods.h"
#include "model/chat/unicode_text.h"

// Methods of text that search it or take it apart.
namespace quern::jinja {
namespace {

// The part of the text that optional arguments `from` and `to` (of `bound`, at `index`) choose, and
// where it begins, in code points. False where they leave nothing, not even the empty text.
struct Part {
  std::string_view text;
  Int start = 0;
  bool is_there = true;
};

Part PartOf(Machine& machine, const Value& self, const Bound& bound, size_t index) {
  const Int length = static_cast<Int>(self.string().length);
  Int from = bound.Has(index) ? bound.Integer(index) : 0;
  Int to = bound.Has(index + 1) ? bound.Integer(index + 1) : length;
  if (from < 0) from = std::max<Int>(from + length, 0);
  if (to < 0) to = std::max<Int>(to + length, 0);
  to = std::min(to, length);
  const std::string& text = self.text();
  machine.heap().Step(static_cast<int64_t>(1 + text.size() / 64));
  if (from > to) return {{}, 0, false};
  const size_t begin = ByteOf(text, static_cast<size_t>(from));
  const std::string_view rest = std::string_view(text).substr(begin);
  return {rest.substr(0, ByteOf(rest, static_cast<size_t>(to - from))), from, true};
}

template <bool last, bool refuses>
Value Find(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("find", args, {"sub", "start", "end"}, 1);
  const Part part = PartOf(machine, self, bound, 1);
  const std::string& what = bound.Text(0);
  size_t at = std::string_view::npos;
  if (part.is_there) at = last ? part.text.rfind(what) : part.text.find(what);
  if (at != part.text.npos) {
    return Value::Integer(part.start + static_cast<Int>(CountCodes(part.text.substr(0, at))));
  }
  if (refuses) Refuse("substring not found");
  return Value::Integer(-1);
}

Value Count(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("count", args, {"sub", "start", "end"}, 1);
  const Part part = PartOf(machine, self, bound, 1);
  return Value::Integer(part.is_there ? static_cast<Int>(CountOf(part.text, bound.Text(0))) : 0);
}

template <bool prefix>
Value HasEnd(Machine& machine, const Value& self, const Args& args) {
  const Bound bound(prefix ? "startswith" : "endswith", args, {"affix", "start", "end"}, 1);
  const Part part = PartOf(machine, self, bound, 1);
  const auto has = [&](const Value& affix) {
    if (!affix.Is(Kind::kString)) {
      Refuse("startswith and endswith need str or a tuple of str, not {}", TypeName(affix));
    }
    return part.is_there &&
           (prefix ? part.text.starts_with(affix.text()) : part.text.ends_with(affix.text()));
  };
  const Value affix = bound.At(0);
  if (!affix.Is(Kind::kTuple)) return Value::Bool(has(affix));
  const auto& items = affix.list().items;
  return Value::Bool(std::any_of(items.begin(), items.end(), has));
}

Value ListOfParts(Machine& machine, const std::vector<std::string_view>& parts) {
  std::vector<Value> items;
  items.reserve(parts.size());
  for (const std::string_view part : parts) items.push_back(machine.heap().Str(std::string(part)));
  return machine.heap().ListOf(std::move(items));
}

// Where the first white space of `text` begins, or its end; `last`: where the last one ends.
size_t SpaceIn(std::string_view text, bool last) {
  if (last) {
    for (size_t at = text.size(); at > 0;) {
      const size_t end = at--;
      while (at > 0 && (text[at] & 0xC0) == 0x80) --at;
      if (StripSpace(text.substr(at, end - at)).empty()) return end;
    }
    return 0;
  }
  for (size_t at = 0; at < text.size();) {
    const size_t width = Utf8Width(text[at]);
    if (StripSpace(text.substr(at, width)).empty()) return at;
    at += width;
  }
  return text.size();
}

std::vector<std::string_view> SplitAtSpace(std::string_view text, Int limit, bool from_end) {
  std::vector<std::string_view> parts;
  text = StripSpace(text, from_end ? Side::kRight : Side::kLeft);
  while (!text.empty()) {
    if (limit >= 0 && static_cast<Int>(parts.size()) == limit) {
      parts.push_back(StripSpace(text, from_end ? Side::kRight : Side::kLeft));
      break;
    }
    const size_t cut = SpaceIn(text, from_end);
    parts.push_back(from_end ? text.substr(cut) : text.substr(0, cut));
    text = from_end ? StripSpace(text.substr(0, cut), Side::kRight)
                    : StripSpace(text.substr(cut), Side::kLeft);
  }
  return parts;
}

std::vector<std::string_view> SplitAt(std::string_view text, std::string_view separator, Int limit,
                                      bool from_end) {
  std::vector<std::string_view> parts;
  while (limit < 0 || static_cast<Int>(parts.size()) < limit) {
    const size_t at = from_end ? text.rfind(separator) : text.find(separator);
    if (at == text.npos) break;
    parts.push_back(from_end ? text.substr(at + separator.size()) : text.substr(0, at));
    text = from_end ? text.substr(0, at) : text.substr(at + separator.size());
  }
  parts.push_back(text);
  return parts;
}

template <bool from_end>
Value Split(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("split", args, {"sep", "maxsplit"});
  const Int limit = bound.Integer(1, -1);
  machine.heap().Charge(self.text().size());
  std::vector<std::string_view> parts;
  if (bound.Has(0)) {
    if (bound.Text(0).empty()) Refuse("empty separator");
    parts = SplitAt(self.text(), bound.Text(0), limit, from_end);
  } else {
    parts = SplitAtSpace(self.text(), limit, from_end);
  }
  if (from_end) std::reverse(parts.begin(), parts.end());
  return ListOfParts(machine, parts);
}

Value Lines(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("splitlines", args, {"keepends"});
  machine.heap().Charge(self.text().size());
  return ListOfParts(machine, SplitLines(self.text(), bound.Flag(0)));
}

template <bool last>
Value Partition(Machine& machine, const Value& self, const Args& args) {
  const Bound bound("partition", args, {"sep"}, 1);
  const std::string_view text = self.text();
  const std::string& separator = bound.Text(0);
  if (separator.empty()) Refuse("empty separator");
  Heap& heap = machine.heap();
  const size_t at = last ? text.rfind(separator) : text.find(separator);
  if (at == text.npos) {
    const Value empty = heap.Str(""), whole = heap.Str(std::string(text));
    return heap.TupleOf(last ? std::vector<Value>{empty, empty, whole}
                             : std::vector<Value>{whole, empty, empty});
  }
  return heap.TupleOf({heap.Str(std::string(text.substr(0, at))), heap.Str(separator),
                       heap.Str(std::string(text.substr(at + separator.size())))});
}

template <bool upper>
Value IsCase(Machine& machine, const Value& self, const Args& args) {
  const Bound bound(upper ? "isupper" : "islower", args, {});
  machine.heap().Charge(self.text().size() * sizeof(char32_t));
  bool cased = false;
  for (const char32_t code : Decode(self.text())) {
    if (IsTitle(code) || (upper ? IsLower(code) : IsUpper(code))) return Value::Bool(false);
    cased |= upper ? IsUpper(code) : IsLower(code);
  }
  return Value::Bool(cased);
}

}  // namespace

std::span<const MethodEntry> SearchMethods() {
  static constexpr MethodEntry kMethods[] = {
      {"find", Find<false, false>},
      {"rfind", Find<true, false>},
      {"index", Find<false, true>},
      {"rindex", Find<true, true>},
      {"count", Count},
      {"startswith", HasEnd<true>},
      {"endswith", HasEnd<false>},
      {"split", Split<false>},
      {"rsplit", Split<true>},
      {"splitlines", Lines},
      {"partition", Partition<false>},
      {"rpartition", Partition<true>},
      {"isupper", IsCase<true>},
      {"islower", IsCase<false>},
  };
  return kMethods;
}

}  // namespace quern::jinja
