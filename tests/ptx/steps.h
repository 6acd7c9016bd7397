#pragma once

#include <string_view>

#include "tests/ptx/program.h"

namespace quern::ptx {

// What an instruction that is neither load nor store does, by its name ("add.s32"); null for an
// unknown one.
Step StepOf(std::string_view name);

// A number of `count` registers with `bytes` each, the first lowest, and those of a number.
void Pack(Thread& thread, const Instruction& instruction);
void Unpack(Thread& thread, const Instruction& instruction);

void Load(Thread& thread, const Instruction& instruction);
void Store(Thread& thread, const Instruction& instruction);

}  // namespace quern::ptx
