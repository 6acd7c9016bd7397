#pragma once

#include <chrono>
#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

#include "kernels/device.h"
#include "kernels/device_share.h"

namespace quern {

// Rows of one type to be encoded to another.
struct EncodeWork {
  Type to;
  Type from;  // f32, f16 or bf16
  int64_t rows;
  int64_t cols;
};

// Encodes pieces of tensors on a device, beside the threads that encode on the processor. It has a
// few slots, each with a queue and memory in which both sides meet: while one slot's rows are on
// their way to the device, those of another are encoded, and those of a third come back. So the
// pieces of any tensors are in flight together, and what a tensor needs of the device does not
// depend on its size. A slot that gets no memory becomes smaller; a device that fails is given up,
// with a word to the user, and its rows are encoded on the processor.
//
// A GPU takes some tenths of a second before it does anything. So the slots are opened by a thread
// of its own, and until the first is open the processor works alone.
class DeviceEncoder {
 public:
  enum class Start {
    kAtOnce,
    kIfItPays,  // as soon as the processor would take longer with what is left than a start takes
  };
  struct Options {
    Start start = Start::kAtOnce;
    int slots = 8;
    // A slot's weights at a time: enough for all of a GPU's threads where a few slots are at work.
    int64_t weights = int64_t{1} << 21;
    // Where memory is short a slot gets half as many, and half of that, but no fewer.
    int64_t least_weights = int64_t{1} << 16;
  };
  using Note = std::function<void(std::string_view)>;

  // `note` gets the word to the user; any thread may call it, and it throws nothing.
  DeviceEncoder(std::shared_ptr<Device> device, Note note, Options options);
  ~DeviceEncoder();

  // So many more weights will be encoded, by whomever.
  void Expect(int64_t weights);

  // Until each slot has memory, or is known to get none; at once where the device was not started.
  void WaitForSlots();

  // Weights that are best handed over together; 0 while no slot is open, and after the device is
  // given up.
  int64_t PieceWeights() const;
  bool CanEncode(Type type) const { return device_->CanEncode(type); }

 private:
  struct Slot;

 public:
  // A slot, for as long as this lives.
  class Lease {
   public:
    Lease(Lease&& other) noexcept;
    Lease& operator=(Lease&&) = delete;
    ~Lease();

    // How many rows it takes at a time, 0 where a row is too long.
    int64_t MaxRows(int64_t cols) const;
    // Where the rows have to be before Encode; for bytes of at most MaxRows rows.
    std::span<std::byte> Input(size_t bytes) const;
    // Encodes the rows at Input and waits. `importance` has cols weights or none. Returns false
    // where the device failed for good; the rows are still there.
    bool Encode(const EncodeWork& work, std::span<const float> importance,
                std::span<std::byte> out);

   private:
    friend class DeviceEncoder;
    Lease(DeviceEncoder& encoder, Slot* slot, const ShareKey& key)
        : encoder_(&encoder), slot_(slot), key_(key), start_(std::chrono::steady_clock::now()) {}

    DeviceEncoder* encoder_;
    Slot* slot_;
    ShareKey key_;
    std::chrono::steady_clock::time_point start_;
    int64_t encoded_ = 0;
  };

  // A slot for weights of this kind, after waiting for one if need be; none where the processor is
  // faster with them, no slot is open yet, or the device is given up.
  std::optional<Lease> Take(const ShareKey& key);
  // Tells how long the processor took for weights that it got from Take.
  void EncodedHere(const ShareKey& key, int64_t weights, double seconds);

 private:
  Slot* FreeSlot();
  void StartOpening();
  void OpenSlots(const std::stop_token& stop);
  // Gives the slot buffers, for `weights` or fewer. Returns false where there is no memory for it.
  // `why` it has none of those that it had.
  bool Open(Slot& slot, int64_t weights, std::string why);
  // Returns false where the device is given up.
  bool BeginOpening(Slot& slot);
  // Returns whether there is a slot that is open or being opened.
  bool EndOpening(Slot& slot, bool open);
  void TellSmall(int64_t weights);
  void Return(Lease& lease);
  void GiveUp(const std::string& why);

  std::shared_ptr<Device> device_;
  Note note_;
  Options options_;
  mutable std::mutex mutex_;
  std::condition_variable returned_;
  std::vector<std::unique_ptr<Slot>> slots_;
  DeviceShare share_;
  int open_ = 0;     // slots that have buffers
  int opening_ = 0;  // slots that are getting them
  int waiting_ = 0;
  int64_t expected_ = 0;  // weights that are not encoded yet
  bool told_small_ = false;
  bool given_up_ = false;
  bool started_ = false;
  std::jthread opener_;  // the last member: it ends first
};

}  // namespace quern
