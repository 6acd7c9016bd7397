#pragma once

#include <cstdint>
#include <deque>
#include <stdexcept>
#include <string>
#include <string_view>
#include <vector>

// PTX, the instructions that nvcc makes of kernels before those of one kind of GPU are made of
// them, read here and run on the processor by machine.h. So the GPU's code is tested where there is
// no GPU: what nvcc left out, what it made of a loop, where it reads and writes. Of PTX only what
// nvcc makes of kernels/cuda/ is understood; the rest is an error that names it.

namespace quern::ptx {

class Thread;
struct Instruction;
using Step = void (*)(Thread& thread, const Instruction& instruction);

// What of a GPU an instruction takes. kFree: the last step of compiling mostly leaves it out.
enum class Unit : uint8_t { kFloat, kWhole, kShared, kGlobal, kLocal, kOther, kFree };
inline constexpr size_t kUnits = 7;

enum class Space : uint8_t { kGeneric, kGlobal, kShared, kLocal, kParameter };

// Its operands are numbers of registers, constants being registers of their own.
struct Instruction {
  Step step = nullptr;
  uint32_t guard = 0;  // a predicate, or 0
  bool wanted = true;  // what it has to be for the instruction to happen
  uint32_t to[5] = {};
  uint32_t from[5] = {};
  // Of loads and stores: `count` values of `bytes` each at register + offset. The two also of a
  // move between one register and several.
  Space space = Space::kGeneric;
  uint8_t bytes = 0;
  uint8_t count = 0;
  bool is_signed = false;
  uint32_t base = 0;
  int64_t offset = 0;
  uint32_t target = 0;  // of a branch: the instruction that comes next
  Unit unit = Unit::kOther;
  int line = 0;  // in the text
};

struct Kernel {
  // Registers that a thread finds filled.
  enum Special : uint32_t { kNone, kThread, kBlock, kThreads, kLocalMemory, kSpecials };

  std::string name;
  std::vector<Instruction> instructions;
  std::vector<uint64_t> registers;  // what they hold at first
  size_t parameter_bytes = 0;
  size_t shared_bytes = 0;  // without what a launch adds
  size_t local_bytes = 0;
};

struct Program {
  std::vector<Kernel> kernels;
  std::deque<std::vector<uint64_t>> arrays;  // .global, which kernels know by their addresses
};

// What is wrong with a text or with what a kernel does.
class Fault : public std::runtime_error {
  using std::runtime_error::runtime_error;
};

// Errors Fault, with the line.
Program Parse(std::string_view text);

}  // namespace quern::ptx
