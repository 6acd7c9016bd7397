#include "tests/ptx/steps.h"

#include <algorithm>
#include <cfenv>
#include <cmath>
#include <cstring>
#include <map>
#include <string>

#include "kernels/half.h"
#include "tests/ptx/thread-inl.h"

namespace quern::ptx {
namespace {

template <class... Types>
struct List {};
using Whole = List<int16_t, uint16_t, int32_t, uint32_t, int64_t, uint64_t>;

template <class T>
std::string NameOf() {
  const std::string bits = std::to_string(8 * sizeof(T));
  if (std::is_floating_point_v<T>) return "f" + bits;
  return (std::is_signed_v<T> ? "s" : "u") + bits;
}
template <class T>
std::string BitsOf() {
  return "b" + std::to_string(8 * sizeof(T));
}

// What arithmetic makes of no number, on a GPU.
float Canonical(float value) {
  return value == value ? value : std::bit_cast<float>(uint32_t{0x7fffffff});
}

// T op(T, ...) of as many operands as it takes.
template <class T, auto op>
void One(Thread& t, const Instruction& i) {
  t.Put(i.to[0], op(t.Get<T>(i.from[0])));
}
template <class T, auto op>
void Two(Thread& t, const Instruction& i) {
  t.Put(i.to[0], op(t.Get<T>(i.from[0]), t.Get<T>(i.from[1])));
}
template <class T, auto op>
void Three(Thread& t, const Instruction& i) {
  t.Put(i.to[0], op(t.Get<T>(i.from[0]), t.Get<T>(i.from[1]), t.Get<T>(i.from[2])));
}
// The second operand is a number of bits.
template <class T, auto op>
void Shift(Thread& t, const Instruction& i) {
  t.Put(i.to[0], static_cast<T>(op(t.Get<T>(i.from[0]), t.Get<uint32_t>(i.from[1]))));
}
template <class To, class From>
void Convert(Thread& t, const Instruction& i) {
  t.Put(i.to[0], static_cast<To>(t.Get<From>(i.from[0])));
}
template <class Wide, class T>
void MultiplyWide(Thread& t, const Instruction& i) {
  t.Put(i.to[0], static_cast<Wide>(t.Get<T>(i.from[0])) * static_cast<Wide>(t.Get<T>(i.from[1])));
}
template <class Wide, class T>
void MultiplyAddWide(Thread& t, const Instruction& i) {
  t.Put(i.to[0], static_cast<Wide>(t.Get<T>(i.from[0])) * static_cast<Wide>(t.Get<T>(i.from[1])) +
                     t.Get<Wide>(i.from[2]));
}
template <class T>
void Select(Thread& t, const Instruction& i) {
  t.Put(i.to[0], t.Get<T>(t.Get<bool>(i.from[2]) ? i.from[0] : i.from[1]));
}
void Copy(Thread& t, const Instruction& i) { t.Put(i.to[0], t.Get<uint64_t>(i.from[0])); }

// Wraps, as unsigned numbers do.
template <class T, auto op>
constexpr auto kWrapping =
    [](auto... values) { return static_cast<T>(op(static_cast<uint64_t>(values)...)); };

// The quotient of the least number and -1 wraps.
template <class T>
T Divide(T a, T b) {
  if (b == 0) throw Fault("a division by 0");
  if (std::is_signed_v<T> && b == static_cast<T>(-1))
    return static_cast<T>(0 - static_cast<uint64_t>(a));
  return static_cast<T>(a / b);
}
template <class T>
T Remainder(T a, T b) {
  if (b == 0) throw Fault("a division by 0");
  if (std::is_signed_v<T> && b == static_cast<T>(-1)) return 0;
  return static_cast<T>(a % b);
}

// A float's nearest whole number towards zero, the nearest that there is, 0 for no number.
int32_t Truncate(float value) {
  if (value != value) return 0;
  if (value >= 2147483648.0F) return INT32_MAX;
  if (value < -2147483648.0F) return INT32_MIN;
  return static_cast<int32_t>(value);
}

// The order in which min and max choose: -0 before 0. What is no number they never choose, unless
// both are none.
bool Smaller(float a, float b) { return a < b || (a == b && std::signbit(a) && !std::signbit(b)); }
float Least(float a, float b) {
  if (a != a) return Canonical(b);
  return Smaller(b, a) ? b : a;
}
float Largest(float a, float b) {
  if (a != a) return Canonical(b);
  return Smaller(a, b) ? b : a;
}

float MultiplyAddDown(float a, float b, float c) {
  const int before = std::fegetround();
  std::fesetround(FE_DOWNWARD);
  // Not moved before the change of the rounding, nor behind the next.
  volatile float va = a, vb = b, vc = c;
  volatile float result = std::fma(va, vb, vc);
  std::fesetround(before);
  return result;
}

uint32_t Permute(uint32_t a, uint32_t b, uint32_t selectors) {
  const uint64_t bytes = uint64_t{b} << 32 | a;
  uint32_t result = 0;
  for (int k = 0; k < 4; ++k) {
    const uint32_t selector = selectors >> (4 * k) & 15;
    auto byte = static_cast<uint8_t>(bytes >> (8 * (selector & 7)));
    if (selector & 8) byte = byte & 0x80 ? 0xff : 0;
    result |= uint32_t{byte} << (8 * k);
  }
  return result;
}

template <class T>
void Insert(Thread& t, const Instruction& i) {
  const uint32_t from = t.Get<uint32_t>(i.from[2]) & 0xff, bits = t.Get<uint32_t>(i.from[3]) & 0xff;
  const uint64_t ones = bits >= 64 ? ~uint64_t{0} : (uint64_t{1} << bits) - 1;
  const uint64_t mask = from >= 64 ? 0 : ones << from;
  const uint64_t value = from >= 64 ? 0 : t.Get<uint64_t>(i.from[0]) << from;
  t.Put(i.to[0], static_cast<T>((t.Get<T>(i.from[1]) & ~mask) | (value & mask)));
}

using Steps = std::map<std::string, Step, std::less<>>;

template <class T>
void AddWhole(Steps& steps) {
  const std::string type = NameOf<T>();
  steps["add." + type] = Two<T, kWrapping<T, [](uint64_t a, uint64_t b) { return a + b; }>>;
  steps["sub." + type] = Two<T, kWrapping<T, [](uint64_t a, uint64_t b) { return a - b; }>>;
  steps["mul.lo." + type] = Two<T, kWrapping<T, [](uint64_t a, uint64_t b) { return a * b; }>>;
  steps["mad.lo." + type] =
      Three<T, kWrapping<T, [](uint64_t a, uint64_t b, uint64_t c) { return a * b + c; }>>;
  steps["neg." + type] = One<T, kWrapping<T, [](uint64_t a) { return 0 - a; }>>;
  steps["div." + type] = Two<T, Divide<T>>;
  steps["rem." + type] = Two<T, Remainder<T>>;
  steps["min." + type] = Two<T, [](T a, T b) { return std::min(a, b); }>;
  steps["max." + type] = Two<T, [](T a, T b) { return std::max(a, b); }>;
  steps["shr." + type] = Shift<T, [](T a, uint32_t n) {
    return n >= 8 * sizeof(T) ? static_cast<T>(a < T{0} ? -1 : 0) : static_cast<T>(a >> n);
  }>;
  steps["selp." + type] = Select<T>;
  steps["mov." + type] = Copy;
  steps["cvt.rn.f32." + type] = Convert<float, T>;
}
template <class T>
void AddBits(Steps& steps) {
  const std::string type = BitsOf<T>();
  steps["and." + type] = Two<T, [](T a, T b) { return static_cast<T>(a & b); }>;
  steps["or." + type] = Two<T, [](T a, T b) { return static_cast<T>(a | b); }>;
  steps["xor." + type] = Two<T, [](T a, T b) { return static_cast<T>(a ^ b); }>;
  steps["not." + type] = One<T, [](T a) { return static_cast<T>(~a); }>;
  steps["shl." + type] = Shift<T, [](T a, uint32_t n) {
    return n >= 8 * sizeof(T) ? T{0} : static_cast<T>(uint64_t{a} << n);
  }>;
  steps["selp." + type] = Select<T>;
  steps["mov." + type] = Copy;
  steps["bfi." + type] = Insert<T>;
  steps["setp.eq." + type] = Two<T, [](T a, T b) { return a == b; }>;
  steps["setp.ne." + type] = Two<T, [](T a, T b) { return a != b; }>;
}
template <class T>
void AddCompares(Steps& steps) {
  const std::string type = NameOf<T>();
  steps["setp.eq." + type] = Two<T, [](T a, T b) { return a == b; }>;
  steps["setp.ne." + type] = Two<T, [](T a, T b) { return (a < b || a > b); }>;
  steps["setp.lt." + type] = Two<T, [](T a, T b) { return a < b; }>;
  steps["setp.le." + type] = Two<T, [](T a, T b) { return a <= b; }>;
  steps["setp.gt." + type] = Two<T, [](T a, T b) { return (a > b); }>;
  steps["setp.ge." + type] = Two<T, [](T a, T b) { return (a >= b); }>;
}
template <class To, class... From>
void AddConversions(Steps& steps, List<From...>) {
  ((steps["cvt." + NameOf<To>() + "." + NameOf<From>()] = Convert<To, From>), ...);
}
template <class Wide, class T>
void AddWide(Steps& steps) {
  steps["mul.wide." + NameOf<T>()] = MultiplyWide<Wide, T>;
  steps["mad.wide." + NameOf<T>()] = MultiplyAddWide<Wide, T>;
}

void AddFloats(Steps& steps) {
  steps["add.rn.f32"] = Two<float, [](float a, float b) { return Canonical(a + b); }>;
  steps["sub.rn.f32"] = Two<float, [](float a, float b) { return Canonical(a - b); }>;
  steps["mul.rn.f32"] = Two<float, [](float a, float b) { return Canonical(a * b); }>;
  steps["div.rn.f32"] = Two<float, [](float a, float b) { return Canonical(a / b); }>;
  steps["rcp.rn.f32"] = One<float, [](float a) { return Canonical(1 / a); }>;
  steps["sqrt.rn.f32"] = One<float, [](float a) { return Canonical(std::sqrt(a)); }>;
  steps["fma.rm.f32"] =
      Three<float, [](float a, float b, float c) { return Canonical(MultiplyAddDown(a, b, c)); }>;
  steps["abs.f32"] = One<float, [](float a) { return std::fabs(a); }>;
  steps["neg.f32"] = One<float, [](float a) { return -a; }>;
  steps["min.f32"] = Two<float, Least>;
  steps["max.f32"] = Two<float, Largest>;
  steps["mov.f32"] = Copy;
  steps["selp.f32"] = Select<float>;
  steps["cvt.rzi.s32.f32"] = One<float, Truncate>;
  steps["cvt.rn.f32.f64"] = Convert<float, double>;
  steps["cvt.f32.f16"] = One<uint16_t, [](uint16_t a) { return Canonical(HalfToFloat(a)); }>;
  AddCompares<float>(steps);
  // Those that hold of what is no number too, and those that ask for it.
  const auto add = [&]<auto compares>(const char* name) {
    steps[name] = Two<float, [](float a, float b) { return a != a || b != b || compares(a, b); }>;
  };
  add.template operator()<[](float a, float b) { return a == b; }>("setp.equ.f32");
  add.template operator()<[](float a, float b) { return a != b; }>("setp.neu.f32");
  add.template operator()<[](float a, float b) { return a < b; }>("setp.ltu.f32");
  add.template operator()<[](float a, float b) { return a <= b; }>("setp.leu.f32");
  add.template operator()<[](float a, float b) { return (a > b); }>("setp.gtu.f32");
  add.template operator()<[](float a, float b) { return (a >= b); }>("setp.geu.f32");
  add.template operator()<[](float, float) { return false; }>("setp.nan.f32");
  steps["setp.num.f32"] = Two<float, [](float a, float b) { return a == a && b == b; }>;
}

void AddOthers(Steps& steps) {
  steps["and.pred"] = Two<bool, [](bool a, bool b) { return a && b; }>;
  steps["or.pred"] = Two<bool, [](bool a, bool b) { return a || b; }>;
  steps["xor.pred"] = Two<bool, [](bool a, bool b) { return a != b; }>;
  steps["not.pred"] = One<bool, [](bool a) { return !a; }>;
  steps["mov.pred"] = Copy;
  steps["prmt.b32"] = Three<uint32_t, Permute>;
  // Addresses are the processor's own, but for shared memory, where a number of the thread's window
  // becomes one of them.
  for (const char* name :
       {"cvta.to.global.u64", "cvta.to.local.u64", "cvta.local.u64", "cvta.global.u64"}) {
    steps[name] = Copy;
  }
  steps["cvta.shared.u64"] = [](Thread& t, const Instruction& i) {
    t.Put(i.to[0], t.SharedBegin() + t.Get<uint64_t>(i.from[0]));
  };
  steps["bra"] = [](Thread& t, const Instruction& i) { t.Branch(i.target); };
  steps["bar.sync"] = [](Thread& t, const Instruction&) { t.Wait(); };
  steps["ret"] = [](Thread& t, const Instruction&) { t.End(); };
  steps["trap"] = [](Thread&, const Instruction& i) {
    throw Fault("line " + std::to_string(i.line) + ": trap");
  };
}

template <class... Types>
void AddAll(Steps& steps, List<Types...> all) {
  (AddWhole<Types>(steps), ...);
  (AddCompares<Types>(steps), ...);
  (AddConversions<Types>(steps, List<int8_t, uint8_t, Types...>()), ...);
  AddConversions<int8_t>(steps, all);
  AddConversions<uint8_t>(steps, all);
}

Steps AllSteps() {
  Steps steps;
  AddAll(steps, Whole());
  AddBits<uint16_t>(steps);
  AddBits<uint32_t>(steps);
  AddBits<uint64_t>(steps);
  AddWide<int32_t, int16_t>(steps);
  AddWide<uint32_t, uint16_t>(steps);
  AddWide<int64_t, int32_t>(steps);
  AddWide<uint64_t, uint32_t>(steps);
  AddFloats(steps);
  AddOthers(steps);
  return steps;
}

}  // namespace

Step StepOf(std::string_view name) {
  static const Steps kSteps = AllSteps();
  const auto found = kSteps.find(name);
  return found == kSteps.end() ? nullptr : found->second;
}

void Pack(Thread& thread, const Instruction& i) {
  uint64_t value = 0;
  for (int k = i.count - 1; k >= 0; --k) {
    const uint64_t ones = (uint64_t{1} << (8 * i.bytes)) - 1;
    value = value << (8 * i.bytes) | (thread.Get<uint64_t>(i.from[k]) & ones);
  }
  thread.Put(i.to[0], value);
}

void Unpack(Thread& thread, const Instruction& i) {
  auto value = thread.Get<uint64_t>(i.from[0]);
  for (int k = 0; k < i.count; ++k, value >>= 8 * i.bytes) thread.Put(i.to[k], value);
}

void Load(Thread& thread, const Instruction& i) {
  const uint8_t* from = thread.Access(i, false);
  for (int k = 0; k < i.count; ++k) {
    uint64_t value = 0;
    std::memcpy(&value, from + k * i.bytes, i.bytes);
    const int unused = 64 - 8 * i.bytes;
    if (i.is_signed) value = static_cast<uint64_t>(static_cast<int64_t>(value << unused) >> unused);
    thread.Put(i.to[k], value);
  }
}

void Store(Thread& thread, const Instruction& i) {
  uint8_t* to = thread.Access(i, true);
  for (int k = 0; k < i.count; ++k) {
    const auto value = thread.Get<uint64_t>(i.from[k]);
    std::memcpy(to + k * i.bytes, &value, i.bytes);
  }
}

}  // namespace quern::ptx
