#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>

#include "gguf/types.h"
#include "kernels/formats/grid_table.h"

namespace quern {

// An accelerator that encodes and decodes, as little of it as the work needs: kernels/cuda/ has
// one, and the tests one that is none.

// What a device failed with. No Error: the work can be done elsewhere.
class DeviceError : public std::runtime_error {
 public:
  enum class Kind {
    kOutOfMemory,  // less may work
    kLost,         // nothing will
  };
  DeviceError(Kind kind, const std::string& what) : std::runtime_error(what), kind_(kind) {}
  Kind kind() const { return kind_; }

 private:
  Kind kind_;
};

enum class Memory {
  kHost,    // the processor's, where a device copies from and to without help
  kDevice,  // the device's
};

// Memory that is given back at the end; aligned to 256 bytes.
class DeviceBuffer {
 public:
  DeviceBuffer(void* data, size_t size) : data_(data), size_(size) {}
  virtual ~DeviceBuffer() = default;
  DeviceBuffer(const DeviceBuffer&) = delete;
  DeviceBuffer& operator=(const DeviceBuffer&) = delete;

  template <class T = std::byte>
  T* data() const {
    return static_cast<T*>(data_);
  }
  size_t size() const { return size_; }

 private:
  void* data_;
  size_t size_;
};

// in[rows, cols] to out, all in the device's memory.
struct EncodeCall {
  Type to;
  Type from;  // f32; for a quantized `to` also f16 and bf16
  int64_t rows;
  int64_t cols;
  const void* in;
  const float* importance;  // cols weights that serve every row, or null
  float* means;             // room for a number per row, where there are importance weights
  uint8_t* out;
  GridView grid = {};  // the device's own: it sets it
};

// `count` weights of type `from` to float32.
struct DecodeCall {
  Type from;
  int64_t count;
  const uint8_t* in;
  float* out;
};

// Work that is done in order and, until Wait, later. Errors DeviceError, of the call or of an
// earlier one.
class DeviceQueue {
 public:
  virtual ~DeviceQueue() = default;
  // From any memory to any.
  virtual void Copy(void* to, const void* from, size_t bytes) = 0;
  virtual void Encode(EncodeCall call) = 0;
  virtual void Decode(const DecodeCall& call) = 0;
  virtual void Wait() = 0;
};

class Device {
 public:
  virtual ~Device() = default;
  // "NVIDIA H100 (cuda:0)".
  virtual std::string name() const = 0;
  virtual bool CanEncode(Type type) const = 0;
  // Errors DeviceError. Any thread may call these; a queue is used by one at a time.
  virtual std::unique_ptr<DeviceBuffer> Allocate(Memory memory, size_t bytes) = 0;
  virtual std::unique_ptr<DeviceQueue> NewQueue() = 0;
};

}  // namespace quern
