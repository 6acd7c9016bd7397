#pragma once

#include <array>
#include <map>
#include <span>

#include "tests/ptx/program.h"

namespace quern::ptx {

// Which of the processor's memory kernels may touch as global memory.
class Memory {
 public:
  void Add(const void* begin, size_t bytes) { ranges_[Address(begin)] = Address(begin) + bytes; }
  void Remove(const void* begin) { ranges_.erase(Address(begin)); }
  bool Holds(uint64_t address, size_t bytes) const;

 private:
  static uint64_t Address(const void* p) { return reinterpret_cast<uint64_t>(p); }
  std::map<uint64_t, uint64_t> ranges_;  // begin, end
};

struct Launch {
  unsigned blocks;
  unsigned threads;
  size_t shared_bytes;  // besides the kernel's own
  std::span<const uint8_t> parameters;
};

// Instructions that warps of 32 threads had to issue, by what they take of the GPU: of each, as
// many as the thread that executes it most often.
using Issued = std::array<int64_t, kUnits>;

// Runs a kernel block after block, the threads of a block one after the other from barrier to
// barrier. Errors Fault, with the kernel, the thread and the line: an address that is not the
// kernel's or not aligned, two threads that touch a byte of shared memory between the same barriers
// of which one writes, a barrier that not all threads of the block reach. What is issued is added
// to `issued`, if that is not null.
void Run(const Kernel& kernel, const Launch& launch, const Memory& memory,
         Issued* issued = nullptr);

class Block;

// A thread, as the steps see it.
class Thread {
 public:
  Thread(Block& block, uint32_t index);

  template <class T>
  T Get(uint32_t r) const;
  template <class T>
  void Put(uint32_t r, T value);

  // The bytes that a load or a store is about.
  uint8_t* Access(const Instruction& instruction, bool writes);
  // Where the block's shared memory is among all memory.
  uint64_t SharedBegin() const;

  void Branch(uint32_t target) { next_ = target; }
  void End() { done_ = true; }
  void Wait() { waits_ = true; }

 private:
  friend class Block;
  Block& block_;
  uint32_t index_;
  uint32_t next_ = 0;
  bool done_ = false, waits_ = false;
  std::vector<uint64_t> registers_;
  std::vector<uint64_t> local_;
  std::vector<int64_t> executed_;  // by instruction, where that is asked for
};

}  // namespace quern::ptx
