#include "tests/ptx/program.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cstring>
#include <map>

#include "tests/ptx/steps.h"
#include "tests/ptx/text.h"

namespace quern::ptx {
namespace {

// A declaration, a label with its colon, or an instruction, without blanks at its ends.
struct Statement {
  std::string text;
  int line;
};

Unit UnitOf(const Instruction& made, std::string_view name) {
  if (made.count > 0) {
    switch (made.space) {
      case Space::kShared:
        return Unit::kShared;
      case Space::kLocal:
        return Unit::kLocal;
      case Space::kParameter:
        return Unit::kFree;
      default:
        return made.step == Load || made.step == Store ? Unit::kGlobal : Unit::kFree;
    }
  }
  const auto parts = SplitDots(name);
  const std::string_view op = parts[0];
  const bool is_float = parts.back() == "f32";
  if (op == "mov" || op == "cvta" || (op == "cvt" && name.find("f32") == name.npos)) {
    return Unit::kFree;
  }
  if (is_float && (op == "abs" || op == "neg")) return Unit::kFree;
  if (is_float && (op == "add" || op == "sub" || op == "mul" || op == "fma")) return Unit::kFloat;
  const bool rare = op == "div" || op == "rcp" || op == "sqrt" || op == "cvt";
  if (rare || op == "bra" || op == "ret" || op == "bar") return Unit::kOther;
  return Unit::kWhole;
}

class Parser {
 public:
  explicit Parser(std::string_view text) : text_(text) {}

  Program Run() {
    while (!Rest().empty()) {
      line_ = LineOf(at_);
      try {
        const size_t end = std::min(text_.find_first_of(";(\n", at_), text_.size());
        const std::string_view head = text_.substr(at_, end - at_);
        if (head.find(".entry") != head.npos) {
          Entry();
        } else if (head.starts_with(".version") || head.starts_with(".target") ||
                   head.starts_with(".address_size")) {
          at_ = end;
        } else {
          Declare(Trimmed(text_.substr(at_, Find(text_, ";", at_) - at_)));
          at_ = Find(text_, ";", at_) + 1;
        }
      } catch (const std::exception& error) {
        throw Fault(fmt::format("line {}: {}", line_, error.what()));
      }
    }
    return std::move(program_);
  }

 private:
  // Goes on to what is neither blank nor comment.
  std::string_view Rest() {
    for (;;) {
      at_ = std::min(text_.find_first_not_of(kBlanks, at_), text_.size());
      if (!text_.substr(at_).starts_with("//")) return text_.substr(at_);
      at_ = std::min(text_.find('\n', at_), text_.size());
    }
  }
  int LineOf(size_t at) {
    for (; counted_ < at; ++counted_) counted_lines_ += text_[counted_] == '\n';
    return counted_lines_;
  }

  // What stands outside of kernels.
  void Declare(std::string_view text) {
    const Array array(text);
    if (text.find(".extern") != text.npos) {
      extern_shared_ = array.name;
    } else if (text.find(".shared") != text.npos) {
      shared_.push_back(array);
    } else if (text.find(".global") != text.npos) {
      auto& words = program_.arrays.emplace_back((array.bytes + 7) / 8);
      for (size_t i = 0; i < array.values.size(); ++i) {
        const int64_t value = Number(array.values[i]);
        std::memcpy(
            reinterpret_cast<char*>(words.data()) + i * static_cast<size_t>(array.element_bytes),
            &value, static_cast<size_t>(array.element_bytes));
      }
      globals_[array.name] = reinterpret_cast<uint64_t>(words.data());
    } else {
      throw Fault(fmt::format("unknown: '{}'", text));
    }
  }

  void Entry() {
    kernel_ = Kernel();
    kernel_.registers.resize(Kernel::kSpecials);
    registers_ = {{"%tid.x", Kernel::kThread},
                  {"%ctaid.x", Kernel::kBlock},
                  {"%ntid.x", Kernel::kThreads},
                  {"%SP", Kernel::kLocalMemory},
                  {"%SPL", Kernel::kLocalMemory}};
    constants_.clear();
    labels_.clear();
    jumps_.clear();
    const size_t name = Find(text_, ".entry", at_) + 6, open = Find(text_, "(", name);
    const size_t close = Find(text_, ")", open), body = Find(text_, "{", close);
    kernel_.name = Trimmed(text_.substr(name, open - name));
    const std::string_view parameters = text_.substr(open + 1, close - open - 1);
    symbols_ = globals_;
    if (parameters.find(".param") != parameters.npos) {
      const Array array(parameters);
      symbols_[array.name] = 0;
      kernel_.parameter_bytes = array.bytes;
    }
    at_ = body + 1;
    Body();
    for (const auto& [instruction, label] : jumps_) {
      if (!labels_.contains(label)) throw Fault(fmt::format("no label {}", label));
      kernel_.instructions[instruction].target = labels_[label];
    }
    program_.kernels.push_back(std::move(kernel_));
  }

  void Body() {
    std::vector<Statement> statements;
    int depth = 1;
    while (true) {
      const std::string_view rest = Rest();
      if (rest.empty()) throw Fault("a kernel without an end");
      if (rest[0] == '{') ++depth;
      if (rest[0] == '}' && --depth == 0) break;
      if (rest[0] == '{' || rest[0] == '}') {
        ++at_;
        continue;
      }
      const size_t end = Find(rest, rest[0] == '$' ? ":" : ";");
      std::string text(rest.substr(0, end + (rest[0] == '$')));
      for (const char blank : kBlanks) std::replace(text.begin(), text.end(), blank, ' ');
      statements.push_back({std::move(text), LineOf(at_)});
      at_ += end + 1;
    }
    ++at_;
    // Shared memory in the order of its declarations: the module's, the kernel's, the launch's.
    for (const Array& array : shared_) {
      const auto uses = [&](const Statement& s) { return s.text.find(array.name) != s.text.npos; };
      if (std::ranges::any_of(statements, uses)) AddShared(array);
    }
    for (const Statement& s : statements) {
      if (s.text.starts_with(".shared")) AddShared(Array(s.text));
    }
    kernel_.shared_bytes = (kernel_.shared_bytes + 15) / 16 * 16;
    if (!extern_shared_.empty()) symbols_[extern_shared_] = kernel_.shared_bytes;
    for (const Statement& s : statements) {
      line_ = s.line;
      Take(s.text);
    }
  }

  void AddShared(const Array& array) {
    kernel_.shared_bytes = (kernel_.shared_bytes + array.align - 1) / array.align * array.align;
    symbols_[array.name] = kernel_.shared_bytes;
    kernel_.shared_bytes += array.bytes;
  }

  void Take(std::string_view text) {
    if (text[0] == '$') {
      labels_[std::string(text.substr(0, text.size() - 1))] =
          static_cast<uint32_t>(kernel_.instructions.size());
    } else if (text.starts_with(".local")) {
      const Array array(text);
      kernel_.local_bytes = array.bytes;
      registers_[array.name] = Kernel::kLocalMemory;
    } else if (text[0] != '.') {
      kernel_.instructions.push_back(Decode(text));
    }
  }

  Instruction Decode(std::string_view text) {
    Instruction made;
    made.line = line_;
    if (text[0] == '@') {
      const size_t blank = text.find(' ');
      made.wanted = text[1] != '!';
      made.guard = Register(text.substr(made.wanted ? 1 : 2, blank - (made.wanted ? 1 : 2)));
      text = Trimmed(text.substr(blank));
    }
    const size_t blank = std::min(text.find(' '), text.size());
    const std::string_view name = text.substr(0, blank);
    const std::vector<std::string_view> operands = Split(text.substr(blank));
    DecodeOperation(name, operands, made);
    made.unit = UnitOf(made, name);
    return made;
  }

  void DecodeOperation(std::string_view name, const std::vector<std::string_view>& operands,
                       Instruction& made) {
    if (name.starts_with("ld.") || name.starts_with("st.")) {
      return DecodeAccess(name, operands, made);
    }
    if (name.starts_with("bra")) {
      jumps_.emplace_back(kernel_.instructions.size(), operands.at(0));
      made.step = StepOf("bra");
      return;
    }
    if (name.starts_with("mov.b") && operands.size() == 2 &&
        (operands[0][0] == '{' || operands[1][0] == '{')) {
      return DecodeVectorMove(BytesOf(name.substr(4)), operands, made);
    }
    made.step = StepOf(name);
    if (!made.step) throw Fault(fmt::format("unknown: '{}'", name));
    if (operands.empty() || name == "bar.sync") return;
    if (operands[0][0] != '%') throw Fault(fmt::format("'{}' is no register", operands[0]));
    made.to[0] = Register(operands[0]);
    if (operands.size() > 6) throw Fault(fmt::format("too many operands of '{}'", name));
    for (size_t k = 1; k < operands.size(); ++k) made.from[k - 1] = Register(operands[k]);
  }

  // "{%r1, %r2}" into registers; returns how many.
  uint8_t Registers(std::string_view vector, uint32_t (&registers)[5]) {
    const auto names = Split(vector.substr(1, vector.size() - 2));
    if (names.size() < 2 || names.size() > 4) throw Fault(fmt::format("'{}'", vector));
    for (size_t k = 0; k < names.size(); ++k) registers[k] = Register(names[k]);
    return static_cast<uint8_t>(names.size());
  }

  // "mov.b32 %r1, {%rs1, %rs2}", or the other way round.
  void DecodeVectorMove(int bytes, const std::vector<std::string_view>& operands,
                        Instruction& made) {
    const bool packs = operands[1][0] == '{';
    made.step = packs ? Pack : Unpack;
    (packs ? made.to : made.from)[0] = Register(operands[packs ? 0 : 1]);
    made.count = Registers(operands[packs ? 1 : 0], packs ? made.from : made.to);
    made.bytes = static_cast<uint8_t>(bytes / made.count);
  }

  // "ld.shared.v2.u16 {%rs1, %rs2}, [%r3+4]".
  void DecodeAccess(std::string_view name, const std::vector<std::string_view>& operands,
                    Instruction& made) {
    const bool loads = name[0] == 'l';
    made.step = loads ? Load : Store;
    const std::vector<std::string_view> parts = SplitDots(name);
    made.count = 1;
    for (const std::string_view part : parts) {
      if (part == "global") made.space = Space::kGlobal;
      if (part == "shared") made.space = Space::kShared;
      if (part == "local") made.space = Space::kLocal;
      if (part == "param") made.space = Space::kParameter;
      if (part == "v2") made.count = 2;
      if (part == "v4") made.count = 4;
    }
    made.bytes = static_cast<uint8_t>(BytesOf(parts.back()));
    made.is_signed = parts.back()[0] == 's';
    const std::string_view values = operands.at(loads ? 0 : 1);
    std::string_view address = operands.at(loads ? 1 : 0);
    if (values[0] != '{') {
      (loads ? made.to : made.from)[0] = Register(values);
    } else if (Registers(values, loads ? made.to : made.from) != made.count) {
      throw Fault(fmt::format("'{}'", values));
    }
    address = address.substr(1, address.size() - 2);
    const size_t plus = std::min(address.find('+'), address.size());
    made.base = Register(Trimmed(address.substr(0, plus)));
    if (plus < address.size()) made.offset = Number(address.substr(plus + 1));
  }

  // The number of a register, which is new where the name is.
  uint32_t Register(std::string_view operand) {
    const auto added = [&](uint64_t value) {
      kernel_.registers.push_back(value);
      return static_cast<uint32_t>(kernel_.registers.size() - 1);
    };
    if (const auto known = registers_.find(operand); known != registers_.end()) {
      return known->second;
    }
    if (operand.empty()) throw Fault("an operand is missing");
    if (operand.find_first_of(".|", operand[0] == '%') != operand.npos) {
      throw Fault(fmt::format("unknown: '{}'", operand));
    }
    if (operand[0] == '%') return registers_[std::string(operand)] = added(0);
    const uint64_t value = Constant(operand);
    if (const auto known = constants_.find(value); known != constants_.end()) return known->second;
    return constants_[value] = added(value);
  }
  uint64_t Constant(std::string_view text) const {
    if (const auto known = symbols_.find(text); known != symbols_.end()) return known->second;
    if (!text.starts_with("0f") && !text.starts_with("0d")) {
      return static_cast<uint64_t>(Number(text));
    }
    uint64_t bits = 0;
    std::from_chars(text.data() + 2, text.data() + text.size(), bits, 16);
    return bits;
  }

  std::string_view text_;
  size_t at_ = 0, counted_ = 0;
  int line_ = 1, counted_lines_ = 1;
  Program program_;
  std::vector<Array> shared_;
  std::string extern_shared_;
  std::map<std::string, uint64_t, std::less<>> globals_;
  // Of the kernel that is read.
  Kernel kernel_;
  std::map<std::string, uint64_t, std::less<>> symbols_;
  std::map<std::string, uint32_t, std::less<>> registers_;
  std::map<uint64_t, uint32_t> constants_;
  std::map<std::string, uint32_t, std::less<>> labels_;
  std::vector<std::pair<size_t, std::string>> jumps_;
};

}  // namespace

Program Parse(std::string_view text) { return Parser(text).Run(); }

}  // namespace quern::ptx
