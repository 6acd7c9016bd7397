#include "convert/pickle.h"

#include <unordered_map>

#include "base/cursor.h"
#include "base/error.h"

namespace quern {
namespace {

using Kind = PickleValue::Kind;
using Items = std::vector<const PickleValue*>;

constexpr std::string_view kOrderedDict = "collections.OrderedDict";
constexpr size_t kMaxGlobal = 500;

// The machine that a pickle drives: a stack, marks in it, and a memo of earlier values. Every value
// and every copy of a reference costs the pickle a byte at least, so memory is bounded by its size.
class Machine {
 public:
  Machine(std::span<const std::byte> bytes, const std::string& name,
          const std::function<void(std::string_view)>& allow)
      : in_(bytes, name), allow_(allow) {}

  Pickle Run() {
    while (!pickle_.root) Step(in_.Read<uint8_t>("an opcode"));
    return std::move(pickle_);
  }

 private:
  void Step(uint8_t opcode);
  bool StepPlain(uint8_t opcode);
  bool StepText(uint8_t opcode);
  bool StepContainer(uint8_t opcode);
  bool StepMemo(uint8_t opcode);
  bool StepObject(uint8_t opcode);

  [[noreturn]] void Bad(std::string_view what) const {
    Fail(ErrorKind::kBadInput, "{}: the pickle is broken at byte {}: {}", in_.name(),
         in_.position(), what);
  }

  PickleValue* New(Kind kind) {
    if (pickle_.values.size() == kMaxPickleValues) Bad("it has too many values");
    PickleValue& value = pickle_.values.emplace_back();
    value.kind = kind;
    return &value;
  }
  void Push(PickleValue* value) {
    if (stack_.size() == kMaxPickleValues) Bad("its stack is too deep");
    stack_.push_back(value);
  }
  void PushInt(Kind kind, int64_t number) {
    PickleValue* value = New(kind);
    value->number = number;
    Push(value);
  }
  void PushText(uint64_t length) {
    PickleValue* value = New(Kind::kText);
    value->text = in_.Text(length, "a text");
    Push(value);
  }
  void PushItems(Kind kind, Items items) {
    PickleValue* value = New(kind);
    value->items = std::move(items);
    Push(value);
  }
  void PushTupleOf(size_t count) {
    Items items(count);
    for (size_t i = count; i-- > 0;) items[i] = Pop();
    PushItems(Kind::kTuple, std::move(items));
  }
  void PushGlobal(std::string name) {
    if (name.size() > kMaxGlobal) Bad("a global's name is too long");
    allow_(name);
    PickleValue* global = New(Kind::kGlobal);
    global->text = std::move(name);
    Push(global);
  }

  // What lies below the last mark is out of reach, as it is in Python.
  void NeedItem() const {
    if (stack_.size() <= (marks_.empty() ? 0 : marks_.back())) Bad("its stack is empty");
  }
  PickleValue* Pop() {
    NeedItem();
    PickleValue* value = stack_.back();
    stack_.pop_back();
    return value;
  }
  Items PopToMark() {
    if (marks_.empty()) Bad("there is no mark");
    const auto begin = stack_.begin() + static_cast<ptrdiff_t>(marks_.back());
    Items items(begin, stack_.end());
    stack_.erase(begin, stack_.end());
    marks_.pop_back();
    return items;
  }
  void Extend(Kind kind, const Items& items, std::string_view otherwise) {
    NeedItem();
    PickleValue* value = stack_.back();
    if (value->kind != kind) Bad(otherwise);
    if (kind == Kind::kDict && items.size() % 2 != 0) Bad("a key has no value");
    value->items.insert(value->items.end(), items.begin(), items.end());
  }
  void Remember(uint64_t index) {
    NeedItem();
    memo_[index] = stack_.back();
  }
  void Recall(uint64_t index) {
    const auto found = memo_.find(index);
    if (found == memo_.end()) Bad("it recalls what it has not remembered");
    Push(found->second);
  }

  std::string ReadLine();
  int64_t ReadLong();
  void Call();
  void Build();

  Cursor in_;
  const std::function<void(std::string_view)>& allow_;
  Pickle pickle_;
  std::vector<PickleValue*> stack_;
  std::vector<size_t> marks_;
  std::unordered_map<uint64_t, PickleValue*> memo_;
};

std::string Machine::ReadLine() {
  std::string line;
  while (true) {
    const auto c = static_cast<char>(in_.Read<uint8_t>("a global's name"));
    if (c == '\n') return line;
    if (line.size() == kMaxGlobal) Bad("a global's name is too long");
    line.push_back(c);
  }
}

// LONG1: a length, and as many bytes of a two's complement number, the lowest first.
int64_t Machine::ReadLong() {
  const auto length = in_.Read<uint8_t>("a number's length");
  if (length > 8) Bad("a number is too large");
  const auto bytes = in_.Bytes(length, "a number");
  uint64_t number = 0;
  for (size_t i = 0; i < length; ++i) number |= static_cast<uint64_t>(bytes[i]) << (8 * i);
  if (length > 0 && length < 8 && (number >> (8 * length - 1)) != 0) {
    number |= ~uint64_t{0} << (8 * length);
  }
  return static_cast<int64_t>(number);
}

void Machine::Call() {
  const PickleValue* arguments = Pop();
  const PickleValue* callee = Pop();
  if (arguments->kind != Kind::kTuple || callee->kind != Kind::kGlobal) {
    Bad("it calls what is no function");
  }
  if (callee->text == kOrderedDict) {
    if (!arguments->items.empty()) Bad("an OrderedDict is made with arguments");
    Push(New(Kind::kDict));
    return;
  }
  PickleValue* call = New(Kind::kCall);
  call->text = callee->text;
  call->items = {arguments};
  Push(call);
}

// torch gives a state dict the attribute _metadata (its modules' versions), which says nothing of
// tensors; no other state is ours to set.
void Machine::Build() {
  const PickleValue* state = Pop();
  NeedItem();
  if (state->kind != Kind::kDict || stack_.back()->kind != Kind::kDict) {
    Bad("it gives a state to what is no dictionary");
  }
}

bool Machine::StepPlain(uint8_t opcode) {
  switch (opcode) {
    case 'N':
      Push(New(Kind::kNone));
      return true;
    case 0x88:
    case 0x89:
      PushInt(Kind::kBool, opcode == 0x88);
      return true;
    case 'K':
      PushInt(Kind::kInt, in_.Read<uint8_t>("a number"));
      return true;
    case 'M':
      PushInt(Kind::kInt, in_.Read<uint16_t>("a number"));
      return true;
    case 'J':
      PushInt(Kind::kInt, in_.Read<int32_t>("a number"));
      return true;
    case 0x8a:
      PushInt(Kind::kInt, ReadLong());
      return true;
    case 'G': {
      // The one number that a pickle has highest byte first.
      in_.set_order(ByteOrder::kBig);
      PickleValue* value = New(Kind::kFloat);
      value->real = in_.Read<double>("a number");
      in_.set_order(ByteOrder::kLittle);
      Push(value);
      return true;
    }
    default:
      return false;
  }
}

bool Machine::StepText(uint8_t opcode) {
  switch (opcode) {
    case 'X':
    case 'T':
      PushText(in_.Read<uint32_t>("a text's length"));
      return true;
    case 0x8c:
    case 'U':
      PushText(in_.Read<uint8_t>("a text's length"));
      return true;
    case 0x8d:
      PushText(in_.Read<uint64_t>("a text's length"));
      return true;
    default:
      return false;
  }
}

bool Machine::StepContainer(uint8_t opcode) {
  constexpr std::string_view kNoList = "it adds items to what is no list";
  constexpr std::string_view kNoDict = "it sets items of what is no dictionary";
  switch (opcode) {
    case '(':
      if (marks_.size() == kMaxPickleValues) Bad("it has too many marks");
      marks_.push_back(stack_.size());
      return true;
    case ')':
      PushItems(Kind::kTuple, {});
      return true;
    case 't':
      PushItems(Kind::kTuple, PopToMark());
      return true;
    case 0x85:
    case 0x86:
    case 0x87:
      PushTupleOf(static_cast<size_t>(opcode - 0x84));
      return true;
    case ']':
      PushItems(Kind::kList, {});
      return true;
    case '}':
      PushItems(Kind::kDict, {});
      return true;
    case 'a': {
      const PickleValue* item = Pop();
      Extend(Kind::kList, {item}, kNoList);
      return true;
    }
    case 'e':
      Extend(Kind::kList, PopToMark(), kNoList);
      return true;
    case 's': {
      const PickleValue* value = Pop();
      const PickleValue* key = Pop();
      Extend(Kind::kDict, {key, value}, kNoDict);
      return true;
    }
    case 'u':
      Extend(Kind::kDict, PopToMark(), kNoDict);
      return true;
    default:
      return false;
  }
}

bool Machine::StepMemo(uint8_t opcode) {
  switch (opcode) {
    case 'q':
      Remember(in_.Read<uint8_t>("a memo's index"));
      return true;
    case 'r':
      Remember(in_.Read<uint32_t>("a memo's index"));
      return true;
    case 0x94:
      Remember(memo_.size());
      return true;
    case 'h':
      Recall(in_.Read<uint8_t>("a memo's index"));
      return true;
    case 'j':
      Recall(in_.Read<uint32_t>("a memo's index"));
      return true;
    default:
      return false;
  }
}

bool Machine::StepObject(uint8_t opcode) {
  switch (opcode) {
    case 'c': {
      const std::string module = ReadLine();
      PushGlobal(module + "." + ReadLine());
      return true;
    }
    case 0x93: {
      const PickleValue* name = Pop();
      const PickleValue* module = Pop();
      if (name->kind != Kind::kText || module->kind != Kind::kText) Bad("a global has no name");
      PushGlobal(module->text + "." + name->text);
      return true;
    }
    case 'R':
      Call();
      return true;
    case 'b':
      Build();
      return true;
    case 'Q': {
      const PickleValue* id = Pop();
      PushItems(Kind::kId, {id});
      return true;
    }
    default:
      return false;
  }
}

void Machine::Step(uint8_t opcode) {
  if (opcode == '.') {
    pickle_.root = Pop();
    if (!stack_.empty()) Bad("values are left on its stack");
    return;
  }
  if (opcode == 0x80) {
    const auto protocol = in_.Read<uint8_t>("the protocol");
    if (protocol < 2 || protocol > 5) Bad(fmt::format("it is of protocol {}", protocol));
    return;
  }
  if (opcode == 0x95) {  // a frame only says how much a reader may fetch at once
    in_.Read<uint64_t>("a frame's length");
    return;
  }
  if (StepPlain(opcode) || StepText(opcode) || StepContainer(opcode) || StepMemo(opcode) ||
      StepObject(opcode)) {
    return;
  }
  Fail(ErrorKind::kUnsupported,
       "{}: the pickle has the opcode 0x{:02x} at byte {}, which no dictionary of tensors needs",
       in_.name(), opcode, in_.position() - 1);
}

}  // namespace

Pickle ParsePickle(std::span<const std::byte> bytes, const std::string& name,
                   const std::function<void(std::string_view)>& allow) {
  return Machine(bytes, name, allow).Run();
}

}  // namespace quern
