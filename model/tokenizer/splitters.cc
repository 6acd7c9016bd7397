#include "model/tokenizer/splitters.h"

#include <algorithm>

namespace quern {
namespace {

struct CodeRange {
  char32_t first, last;
};

// [A-Za-zµÀ-ÖØ-öø-ƺ...] of deepseek-llm's pre-tokenizer.
constexpr CodeRange kAlphabets[] = {
    {0x41, 0x5A},       {0x61, 0x7A},       {0xB5, 0xB5},       {0xC0, 0xD6},
    {0xD8, 0xF6},       {0xF8, 0x1BA},      {0x1BC, 0x1BF},     {0x1C4, 0x293},
    {0x295, 0x2AF},     {0x370, 0x373},     {0x376, 0x376},     {0x377, 0x377},
    {0x37B, 0x37D},     {0x37F, 0x37F},     {0x386, 0x386},     {0x388, 0x38A},
    {0x38C, 0x38C},     {0x38E, 0x3A1},     {0x3A3, 0x3F5},     {0x3F7, 0x481},
    {0x48A, 0x52F},     {0x531, 0x556},     {0x10A0, 0x10C5},   {0x13A0, 0x13F5},
    {0x13F8, 0x13FD},   {0x1C90, 0x1CBA},   {0x1CBD, 0x1CBF},   {0x1D00, 0x1D2B},
    {0x1D6B, 0x1D77},   {0x1D79, 0x1D9A},   {0x1E00, 0x1F15},   {0x1F18, 0x1F1D},
    {0x1F20, 0x1F45},   {0x1F48, 0x1F4D},   {0x1F50, 0x1F57},   {0x1F59, 0x1F59},
    {0x1F5B, 0x1F5B},   {0x1F5D, 0x1F5D},   {0x1F5F, 0x1F7D},   {0x1F80, 0x1FB4},
    {0x1FB6, 0x1FBC},   {0x1FBE, 0x1FBE},   {0x1FC2, 0x1FC4},   {0x1FC6, 0x1FCC},
    {0x1FD0, 0x1FD3},   {0x1FD6, 0x1FDB},   {0x1FE0, 0x1FEC},   {0x1FF2, 0x1FF4},
    {0x1FF6, 0x1FFC},   {0x2102, 0x2102},   {0x2107, 0x2107},   {0x210A, 0x2113},
    {0x2115, 0x2115},   {0x2119, 0x211D},   {0x2124, 0x2124},   {0x2126, 0x2126},
    {0x2128, 0x2128},   {0x212A, 0x212D},   {0x212F, 0x2134},   {0x2139, 0x2139},
    {0x213C, 0x213F},   {0x2145, 0x2149},   {0x214E, 0x214E},   {0x2183, 0x2183},
    {0x2184, 0x2184},   {0x2C00, 0x2C7B},   {0x2C7E, 0x2CE4},   {0x2CEB, 0x2CEE},
    {0x2CF2, 0x2CF2},   {0x2CF3, 0x2CF3},   {0xA640, 0xA66D},   {0xA680, 0xA69B},
    {0xA722, 0xA76F},   {0xA771, 0xA787},   {0xA78B, 0xA78E},   {0xAB70, 0xABBF},
    {0xFB00, 0xFB06},   {0xFB13, 0xFB17},   {0xFF21, 0xFF3A},   {0xFF41, 0xFF5A},
    {0x10400, 0x1044F}, {0x104B0, 0x104D3}, {0x104D8, 0x104FB}, {0x10C80, 0x10CB2},
    {0x10CC0, 0x10CF2}, {0x118A0, 0x118DF}, {0x1E900, 0x1E943}};
constexpr CodeRange kMarks[] = {{0x21, 0x2F},     {0x3A, 0x7E},     {0x2018, 0x201F},
                                {0x3000, 0x3002}, {0xFF01, 0xFF0F}, {0xFF1A, 0xFF5E}};
constexpr CodeRange kCjk[] = {{0x800, 0x9FA5}, {0xAC00, 0xD7FF}};

template <size_t N>
bool IsIn(const CodeRange (&ranges)[N], char32_t code) {
  const auto after = std::upper_bound(std::begin(ranges), std::end(ranges), code,
                                      [](char32_t c, const CodeRange& r) { return c < r.first; });
  return after != std::begin(ranges) && code <= std::prev(after)->last;
}

bool IsNewline(char32_t code) { return code == '\r' || code == '\n'; }
bool IsOneOf(std::string_view ascii, char32_t code) {
  return code < 128 && ascii.find(static_cast<char>(code)) != std::string_view::npos;
}

// The characters of a stretch; beyond its end there are none, of no class.
struct View {
  const Characters& text;
  size_t end;

  bool Has(size_t at) const { return at < end; }
  char32_t code(size_t at) const { return at < end ? text.codes[at] : U'\0'; }
  bool Is(size_t at, CharClass kind) const { return at < end && text.classes[at] == kind; }
  bool IsLetter(size_t at) const { return Is(at, CharClass::kLetter); }
  bool IsNumber(size_t at) const { return Is(at, CharClass::kNumber); }
  bool IsSpace(size_t at) const { return Is(at, CharClass::kSpace); }
  bool IsOther(size_t at) const {  // [^\s\p{L}\p{N}]
    return at < end && !IsLetter(at) && !IsNumber(at) && !IsSpace(at);
  }
};

// Splits at the matches of a pattern: match(view, at) tells where a match that begins at `at` ends,
// or `at` where none does.
template <typename Match>
void SplitAtMatches(const Characters& text, Range stretch, std::vector<Range>& out,
                    const Match& match) {
  const View view = {text, stretch.end};
  size_t rest = stretch.begin;
  for (size_t at = stretch.begin; at < stretch.end;) {
    const size_t end = match(view, at);
    if (end == at) {
      ++at;
      continue;
    }
    if (rest < at) out.push_back({rest, at});
    out.push_back({at, end});
    rest = at = end;
  }
  if (rest < stretch.end) out.push_back({rest, stretch.end});
}

// X+, or with `spaced` \s?X+, where is_x(view, at) tells X; no X is white space.
template <bool spaced, typename IsX>
void SplitRuns(const Characters& text, Range stretch, std::vector<Range>& out, const IsX& is_x) {
  SplitAtMatches(text, stretch, out, [&](const View& view, size_t at) {
    size_t end = spaced && view.IsSpace(at) ? at + 1 : at;
    if (!view.Has(end) || !is_x(view, end)) return at;
    while (view.Has(end) && is_x(view, end)) ++end;
    return end;
  });
}

template <typename IsX>
void SplitSingles(const Characters& text, Range stretch, std::vector<Range>& out, const IsX& is_x) {
  SplitAtMatches(text, stretch, out,
                 [&](const View& view, size_t at) { return is_x(view, at) ? at + 1 : at; });
}

// 's|'t|'re|'ve|'m|'ll|'d at `at`: its end, or `at`.
size_t ContractionEnd(const View& view, size_t at, bool any_case) {
  if (view.code(at) != '\'') return at;
  const auto lower = [&](size_t i) {
    const char32_t c = view.code(i);
    return any_case && c >= 'A' && c <= 'Z' ? c + 32 : c;
  };
  const char32_t first = lower(at + 1), second = lower(at + 2);
  if (first == 's' || first == 't' || first == 'm' || first == 'd') return at + 2;
  const bool two = (first == 'r' && second == 'e') || (first == 'v' && second == 'e') ||
                   (first == 'l' && second == 'l');
  return two ? at + 3 : at;
}

// \s+(?!\S)|\s+ at white space: all of it, but for the last where something follows a longer run.
size_t SpaceEnd(const View& view, size_t at) {
  size_t end = at;
  while (view.IsSpace(end)) ++end;
  return end - at > 1 && view.Has(end) ? end - 1 : end;
}

size_t Gpt2End(const View& view, size_t at) {
  if (const size_t end = ContractionEnd(view, at, false); end != at) return end;
  size_t end = at + (view.code(at) == ' ' ? 1 : 0);
  const auto run = [&](auto is) {
    while ((view.*is)(end)) ++end;
    return end;
  };
  if (view.IsLetter(end)) return run(&View::IsLetter);
  if (view.IsNumber(end)) return run(&View::IsNumber);
  if (view.IsOther(end)) return run(&View::IsOther);
  return SpaceEnd(view, at);
}

template <int max_digits>
size_t Llama3End(const View& view, size_t at) {
  if (const size_t end = ContractionEnd(view, at, true); end != at) return end;
  const bool may_lead = !IsNewline(view.code(at)) && !view.IsNumber(at);
  if (view.IsLetter(at) || (may_lead && view.IsLetter(at + 1))) {
    size_t end = at + 1;
    while (view.IsLetter(end)) ++end;
    return end;
  }
  if (view.IsNumber(at)) {
    size_t end = at + 1;
    while (end - at < max_digits && view.IsNumber(end)) ++end;
    return end;
  }
  size_t end = at + (view.code(at) == ' ' ? 1 : 0);
  if (view.IsOther(end)) {
    while (view.IsOther(end)) ++end;
    while (view.Has(end) && IsNewline(view.code(end))) ++end;
    return end;
  }
  size_t behind_newline = at;
  for (size_t i = at; view.IsSpace(i); ++i) {
    if (IsNewline(view.code(i))) behind_newline = i + 1;
  }
  return behind_newline > at ? behind_newline : SpaceEnd(view, at);
}

bool IsPunctuation(const View& view, size_t at) { return view.Is(at, CharClass::kPunctuation); }
bool IsNumber(const View& view, size_t at) { return view.IsNumber(at); }

}  // namespace

void SplitGpt2(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitAtMatches(text, stretch, out, Gpt2End);
}

template <int max_digits>
void SplitLlama3(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitAtMatches(text, stretch, out, Llama3End<max_digits>);
}
template void SplitLlama3<1>(const Characters&, Range, std::vector<Range>&);
template void SplitLlama3<3>(const Characters&, Range, std::vector<Range>&);

void SplitNewlines(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitSingles(text, stretch, out,
               [](const View& view, size_t at) { return IsNewline(view.code(at)); });
}

void SplitNumbers(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitRuns<false>(text, stretch, out, IsNumber);
}

void SplitSingleNumbers(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitSingles(text, stretch, out, IsNumber);
}

void SplitDigitTriples(const Characters& text, Range stretch, std::vector<Range>& out) {
  const auto is_digit = [](const View& view, size_t at) {
    return view.code(at) >= '0' && view.code(at) <= '9';
  };
  SplitAtMatches(text, stretch, out, [&](const View& view, size_t at) {
    const bool three = is_digit(view, at) && is_digit(view, at + 1) && is_digit(view, at + 2);
    return three ? at + 3 : at;
  });
}

void SplitTrailingSpaces(const Characters& text, Range stretch, std::vector<Range>& out) {
  size_t begin = stretch.end;
  while (begin > stretch.begin && text.classes[begin - 1] == CharClass::kSpace) --begin;
  if (stretch.begin < begin) out.push_back({stretch.begin, begin});
  if (begin < stretch.end) out.push_back({begin, stretch.end});
}

void SplitSpacedLetters(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitRuns<true>(text, stretch, out,
                  [](const View& view, size_t at) { return view.IsLetter(at); });
}

void SplitSpacedPunctuation(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitRuns<true>(text, stretch, out, IsPunctuation);
}

void SplitSpacedAlphabets(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitRuns<true>(text, stretch, out,
                  [](const View& view, size_t at) { return IsIn(kAlphabets, view.code(at)); });
}

// The ideographic space of the list matches nothing: the reference makes it a vertical tab before
// it matches.
void SplitSpacedMarks(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitRuns<true>(text, stretch, out,
                  [](const View& view, size_t at) { return IsIn(kMarks, view.code(at)); });
}

void SplitCjk(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitRuns<false>(text, stretch, out,
                   [](const View& view, size_t at) { return IsIn(kCjk, view.code(at)); });
}

void SplitFalconPunctuation(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitRuns<false>(text, stretch, out, [](const View& view, size_t at) {
    return IsPunctuation(view, at) || IsOneOf("$+<=>^~|`", view.code(at));
  });
}

void SplitDefaultPunctuation(const Characters& text, Range stretch, std::vector<Range>& out) {
  SplitRuns<false>(text, stretch, out, [](const View& view, size_t at) {
    return IsPunctuation(view, at) || IsOneOf("$+<=>^~|", view.code(at));
  });
}

}  // namespace quern
