#pragma once

#include <atomic>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <future>
#include <new>
#include <vector>

#include "kernels/codec.h"
#include "kernels/device.h"

namespace quern::testing {

// A device that is the processor, with the faults of a real one on demand. What a queue is given
// happens in Wait, not before, so that who reads too early gets what was there.
class FakeDevice : public Device {
 public:
  // Bytes of its own memory; -1 for no bound.
  std::atomic<int64_t> memory_left = -1;
  // Which Encode, counted from 1 over all queues, finds the device lost, or has no memory for its
  // work; 0 for none. A lost device stays lost.
  std::atomic<int> lost_at = 0, full_at = 0;
  std::atomic<int> encodes = 0;
  std::atomic<int> queues = 0;  // made so far
  // Where it is set: its first queue waits for that, as a GPU takes its time to start.
  std::shared_future<void> started;

  std::string name() const override { return "fake"; }
  bool CanEncode(Type type) const override { return quern::CanEncode(type); }
  std::unique_ptr<DeviceBuffer> Allocate(Memory memory, size_t bytes) override {
    return std::make_unique<Buffer>(*this, memory, bytes);
  }
  std::unique_ptr<DeviceQueue> NewQueue() override {
    if (started.valid()) started.wait();
    ++queues;
    return std::make_unique<Queue>(*this);
  }

 private:
  class Buffer : public DeviceBuffer {
   public:
    Buffer(FakeDevice& device, Memory memory, size_t bytes)
        : DeviceBuffer(Take(device, memory, bytes), bytes), device_(device), memory_(memory) {}
    ~Buffer() override {
      if (memory_ == Memory::kDevice && device_.memory_left >= 0) {
        device_.memory_left += static_cast<int64_t>(size());
      }
      std::free(data());
    }

   private:
    static void* Take(FakeDevice& device, Memory memory, size_t bytes) {
      if (memory == Memory::kDevice && device.memory_left >= 0) {
        if ((device.memory_left -= static_cast<int64_t>(bytes)) < 0) {
          device.memory_left += static_cast<int64_t>(bytes);
          throw DeviceError(DeviceError::Kind::kOutOfMemory, "out of memory");
        }
      }
      void* data = std::aligned_alloc(256, (bytes + 255) / 256 * 256);
      if (!data) throw std::bad_alloc();
      std::memset(data, 0x55, bytes);
      return data;
    }

    FakeDevice& device_;
    Memory memory_;
  };

  class Queue : public DeviceQueue {
   public:
    explicit Queue(FakeDevice& device) : device_(device) {}

    void Copy(void* to, const void* from, size_t bytes) override {
      work_.push_back([=] {
        if (bytes > 0) std::memcpy(to, from, bytes);
      });
    }
    void Encode(EncodeCall call) override {
      const int number = ++device_.encodes;
      const bool lost = device_.lost_at > 0 && number >= device_.lost_at;
      if (number == device_.full_at) {
        throw DeviceError(DeviceError::Kind::kOutOfMemory, "out of memory for a launch");
      }
      work_.push_back([=] {
        if (lost) throw DeviceError(DeviceError::Kind::kLost, "the device is lost");
        Run(call);
      });
    }
    void Decode(const DecodeCall& call) override {
      work_.push_back([=] {
        quern::Decode(call.from, reinterpret_cast<const std::byte*>(call.in), call.count, call.out);
      });
    }
    void Wait() override {
      const auto work = std::move(work_);
      work_.clear();
      for (const auto& step : work) step();
    }

   private:
    static void Run(const EncodeCall& call) {
      const int64_t count = call.rows * call.cols;
      std::vector<float> weights(static_cast<size_t>(count));
      quern::Decode(call.from, static_cast<const std::byte*>(call.in), count, weights.data());
      std::span<const float> importance;
      if (call.importance) importance = {call.importance, static_cast<size_t>(call.cols)};
      EncodeRows(call.to, weights.data(), call.rows, call.cols, importance,
                 reinterpret_cast<std::byte*>(call.out));
    }

    FakeDevice& device_;
    std::vector<std::function<void()>> work_;
  };
};

}  // namespace quern::testing
