#include "tests/ptx/machine.h"

#include <fmt/format.h>

#include <algorithm>

#include "tests/ptx/thread-inl.h"

namespace quern::ptx {

bool Memory::Holds(uint64_t address, size_t bytes) const {
  auto range = ranges_.upper_bound(address);
  if (range == ranges_.begin()) return false;
  --range;
  return bytes <= range->second - range->first && address <= range->second - bytes;
}

// The threads that have barriers and shared memory in common.
class Block {
 public:
  Block(const Kernel& kernel, const Launch& launch, const Memory& memory, bool counts)
      : kernel_(kernel),
        launch_(launch),
        memory_(memory),
        counts_(counts),
        shared_((kernel.shared_bytes + launch.shared_bytes + 15) / 8),
        touched_(shared_.size() * 8) {
    for (unsigned t = 0; t < launch.threads; ++t) threads_.emplace_back(*this, t);
  }

  void Run(unsigned index) {
    std::ranges::fill(shared_, kGarbage);
    for (Thread& thread : threads_) Begin(thread, index);
    for (unsigned ended = 0; ended < launch_.threads;) {
      ++epoch_;
      unsigned waiting = 0;
      for (Thread& thread : threads_) {
        if (thread.done_) continue;
        thread.waits_ = false;
        Go(thread);
        ended += thread.done_;
        waiting += thread.waits_;
      }
      if (waiting > 0 && ended > 0) throw Fault(kernel_.name + ": a barrier not all threads reach");
    }
  }

  void AddIssued(Issued& issued) const {
    for (size_t warp = 0; warp < threads_.size(); warp += 32) {
      for (size_t i = 0; i < kernel_.instructions.size(); ++i) {
        int64_t most = 0;
        for (size_t t = warp; t < std::min(warp + 32, threads_.size()); ++t) {
          most = std::max(most, threads_[t].executed_[i]);
        }
        issued[static_cast<size_t>(kernel_.instructions[i].unit)] += most;
      }
    }
  }

  uint64_t SharedBegin() const { return reinterpret_cast<uint64_t>(shared_.data()); }

  uint8_t* Access(Thread& thread, const Instruction& i, bool writes) {
    const size_t bytes = static_cast<size_t>(i.bytes) * i.count;
    uint64_t address = thread.registers_[i.base] + static_cast<uint64_t>(i.offset);
    const bool windowed = i.space == Space::kShared || i.space == Space::kParameter;
    if (windowed) address &= 0xffffffff;
    if (address % bytes != 0) Fail(thread, i, "not aligned", address);
    const auto begin = [](const auto& words) { return reinterpret_cast<uint64_t>(words.data()); };
    Space space = i.space;
    if (space == Space::kGeneric) {
      if (address - begin(shared_) < SharedBytes()) {
        space = Space::kShared;
        address -= begin(shared_);
      } else if (address - begin(thread.local_) < kernel_.local_bytes) {
        space = Space::kLocal;
      }
    }
    switch (space) {
      case Space::kParameter:
        if (address + bytes > launch_.parameters.size()) break;
        return const_cast<uint8_t*>(launch_.parameters.data()) + address;
      case Space::kShared:
        if (address + bytes > SharedBytes()) break;
        Touch(thread, i, address, bytes, writes);
        return reinterpret_cast<uint8_t*>(shared_.data()) + address;
      case Space::kLocal:
        if (address - begin(thread.local_) > kernel_.local_bytes) break;
        if (bytes > kernel_.local_bytes - (address - begin(thread.local_))) break;
        return reinterpret_cast<uint8_t*>(address);
      default:
        if (!memory_.Holds(address, bytes)) break;
        return reinterpret_cast<uint8_t*>(address);
    }
    Fail(thread, i, "out of bounds", address);
  }

 private:
  // What memory holds before anything is written to it.
  static constexpr uint64_t kGarbage = 0xcdcdcdcdcdcdcdcd;

  // Who touched a byte of shared memory last, and in which stretch between barriers.
  struct Touched {
    int64_t written = 0, read = 0;
    uint32_t writer = 0, reader = 0;
    bool read_by_many = false;
  };

  size_t SharedBytes() const { return kernel_.shared_bytes + launch_.shared_bytes; }

  void Begin(Thread& thread, unsigned index) {
    thread.registers_ = kernel_.registers;
    thread.local_.assign((kernel_.local_bytes + 15) / 8, kGarbage);
    thread.registers_[Kernel::kThread] = thread.index_;
    thread.registers_[Kernel::kBlock] = index;
    thread.registers_[Kernel::kThreads] = launch_.threads;
    thread.registers_[Kernel::kLocalMemory] = reinterpret_cast<uint64_t>(thread.local_.data());
    if (counts_) thread.executed_.assign(kernel_.instructions.size(), 0);
    thread.next_ = 0;
    thread.done_ = false;
  }

  void Go(Thread& thread) {
    while (!thread.done_ && !thread.waits_) {
      if (counts_) ++thread.executed_.at(thread.next_);
      const Instruction& i = kernel_.instructions.at(thread.next_++);
      if (i.guard != 0 && (thread.registers_[i.guard] != 0) != i.wanted) continue;
      i.step(thread, i);
    }
  }

  void Touch(const Thread& thread, const Instruction& i, uint64_t address, size_t bytes,
             bool writes) {
    for (size_t b = 0; b < bytes; ++b) {
      Touched& touched = touched_[address + b];
      const bool others_wrote = touched.written == epoch_ && touched.writer != thread.index_;
      const bool others_read =
          touched.read == epoch_ && (touched.reader != thread.index_ || touched.read_by_many);
      if (others_wrote || (writes && others_read)) Fail(thread, i, "a race", address + b);
      if (writes) {
        touched.written = epoch_;
        touched.writer = thread.index_;
      } else {
        touched.read_by_many = others_read;
        touched.read = epoch_;
        touched.reader = thread.index_;
      }
    }
  }

  [[noreturn]] void Fail(const Thread& thread, const Instruction& i, const char* what,
                         uint64_t address) const {
    throw Fault(fmt::format("{}, line {}, thread {}: {}, address {:#x}, {} bytes", kernel_.name,
                            i.line, thread.index_, what, address, i.bytes * i.count));
  }

  const Kernel& kernel_;
  const Launch& launch_;
  const Memory& memory_;
  const bool counts_;
  std::vector<uint64_t> shared_;
  std::vector<Touched> touched_;
  std::vector<Thread> threads_;
  int64_t epoch_ = 0;
};

Thread::Thread(Block& block, uint32_t index) : block_(block), index_(index) {}

uint64_t Thread::SharedBegin() const { return block_.SharedBegin(); }

uint8_t* Thread::Access(const Instruction& instruction, bool writes) {
  return block_.Access(*this, instruction, writes);
}

void Run(const Kernel& kernel, const Launch& launch, const Memory& memory, Issued* issued) {
  if (launch.parameters.size() < kernel.parameter_bytes) {
    throw Fault(kernel.name + ": parameters are missing");
  }
  Block block(kernel, launch, memory, issued != nullptr);
  for (unsigned b = 0; b < launch.blocks; ++b) {
    block.Run(b);
    if (issued) block.AddIssued(*issued);
  }
}

}  // namespace quern::ptx
