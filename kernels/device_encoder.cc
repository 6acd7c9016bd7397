#include "kernels/device_encoder.h"

#include <algorithm>
#include <cstring>
#include <new>
#include <system_error>
#include <utility>

#include "base/error.h"
#include "base/parallel.h"

namespace quern {
namespace {

// A row has at least a block, and no quantized type has smaller ones.
constexpr int64_t kLeastCols = 32;

// What a GPU takes before it encodes, and what is taken back at the end.
constexpr double kStartSeconds = 1;

// No quantized type has more than 36 bytes for 32 weights.
size_t OutBytes(int64_t weights) { return static_cast<size_t>(weights + weights / 8); }

}  // namespace

struct DeviceEncoder::Slot {
  bool taken = false;
  bool open = false;    // it has buffers
  int64_t weights = 0;  // what the device's buffers have room for; 0: there are none yet
  std::unique_ptr<DeviceQueue> queue;
  std::unique_ptr<DeviceBuffer> in, importance, means, out;
  std::unique_ptr<DeviceBuffer> host_in, host_out;

  // Gives back all but the rows that stand in host_in.
  void Clear() {
    weights = 0;
    queue.reset();
    for (auto* buffer : {&in, &importance, &means, &out, &host_out}) buffer->reset();
  }

  void Allocate(Device& device, int64_t count) {
    const size_t floats = static_cast<size_t>(count) * sizeof(float);
    queue = device.NewQueue();
    in = device.Allocate(Memory::kDevice, floats);
    importance = device.Allocate(Memory::kDevice, floats);
    means = device.Allocate(Memory::kDevice, floats / kLeastCols);
    out = device.Allocate(Memory::kDevice, OutBytes(count));
    host_out = device.Allocate(Memory::kHost, OutBytes(count));
    if (!host_in) host_in = device.Allocate(Memory::kHost, floats);
    weights = count;
  }

  // Rows [first, first + count) of the work, whose rows stand in host_in.
  void Encode(const EncodeWork& work, int64_t first, int64_t count,
              std::span<const float> weights_of_cols, std::span<std::byte> to) {
    const auto in_row = static_cast<size_t>(RowBytes(work.from, work.cols));
    const auto rows = static_cast<size_t>(count);
    queue->Copy(in->data(), host_in->data() + static_cast<size_t>(first) * in_row, rows * in_row);
    queue->Copy(importance->data(), weights_of_cols.data(), weights_of_cols.size_bytes());
    queue->Encode({.to = work.to,
                   .from = work.from,
                   .rows = count,
                   .cols = work.cols,
                   .in = in->data(),
                   .importance = weights_of_cols.empty() ? nullptr : importance->data<float>(),
                   .means = means->data<float>(),
                   .out = out->data<uint8_t>()});
    queue->Copy(host_out->data(), out->data(), to.size());
    queue->Wait();
    std::memcpy(to.data(), host_out->data(), to.size());
  }
};

DeviceEncoder::DeviceEncoder(std::shared_ptr<Device> device, Note note, Options options)
    : device_(std::move(device)), note_(std::move(note)), options_(options) {
  for (int i = 0; i < options_.slots; ++i) slots_.push_back(std::make_unique<Slot>());
  started_ = options_.start == Start::kAtOnce;
  if (started_) StartOpening();
}

DeviceEncoder::~DeviceEncoder() = default;

void DeviceEncoder::StartOpening() {
  try {
    opener_ = std::jthread([this](const std::stop_token& stop) { OpenSlots(stop); });
  } catch (const std::system_error& error) {
    GiveUp(error.what());
  }
}

void DeviceEncoder::Expect(int64_t weights) {
  std::lock_guard lock(mutex_);
  expected_ += weights;
}

int64_t DeviceEncoder::PieceWeights() const {
  std::lock_guard lock(mutex_);
  return open_ > 0 && !given_up_ ? options_.weights : 0;
}

void DeviceEncoder::WaitForSlots() {
  if (opener_.joinable()) opener_.join();
}

void DeviceEncoder::OpenSlots(const std::stop_token& stop) {
  try {
    for (const auto& slot : slots_) {
      if (stop.stop_requested() || !Open(*slot, options_.weights, {})) return;
      returned_.notify_one();
    }
  } catch (const std::exception& error) {
    GiveUp(error.what());
  }
}

DeviceEncoder::Slot* DeviceEncoder::FreeSlot() {
  for (const auto& slot : slots_) {
    if (slot->open && !slot->taken) return slot.get();
  }
  return nullptr;
}

std::optional<DeviceEncoder::Lease> DeviceEncoder::Take(const ShareKey& key) {
  std::unique_lock lock(mutex_);
  for (bool waited = false; !given_up_; waited = true) {
    if (Slot* slot = FreeSlot()) {
      if (!waited && !share_.UseFreeSlot(key)) return std::nullopt;
      slot->taken = true;
      return Lease(*this, slot, key);
    }
    if (open_ == 0 || !share_.WaitForSlot(key, open_, waiting_)) return std::nullopt;
    ++waiting_;
    returned_.wait(lock);
    --waiting_;
  }
  return std::nullopt;
}

void DeviceEncoder::EncodedHere(const ShareKey& key, int64_t weights, double seconds) {
  {
    std::lock_guard lock(mutex_);
    share_.Here(key, weights, seconds);
    expected_ -= weights;
    if (started_ || weights == 0) return;
    const double left = seconds / static_cast<double>(weights) * static_cast<double>(expected_);
    started_ = left / ThreadCount() > kStartSeconds;
    if (!started_) return;
  }
  StartOpening();
}

bool DeviceEncoder::Open(Slot& slot, int64_t weights, std::string why) {
  if (!BeginOpening(slot)) return false;
  for (int64_t count = weights; count >= options_.least_weights; count /= 2) {
    try {
      slot.Clear();
      slot.Allocate(*device_, count);
      EndOpening(slot, true);
      TellSmall(count);
      return true;
    } catch (const DeviceError& error) {
      why = error.what();
      if (error.kind() == DeviceError::Kind::kLost) break;
    } catch (const std::bad_alloc& error) {
      why = error.what();
    }
  }
  slot.Clear();
  if (!EndOpening(slot, false)) GiveUp(why);
  return false;
}

bool DeviceEncoder::BeginOpening(Slot& slot) {
  std::lock_guard lock(mutex_);
  if (given_up_) return false;
  ++opening_;
  open_ -= static_cast<int>(std::exchange(slot.open, false));
  return true;
}

bool DeviceEncoder::EndOpening(Slot& slot, bool open) {
  std::lock_guard lock(mutex_);
  --opening_;
  slot.open = open;
  open_ += static_cast<int>(open);
  return open_ + opening_ > 0;
}

void DeviceEncoder::TellSmall(int64_t weights) {
  {
    std::lock_guard lock(mutex_);
    if (weights >= options_.weights || told_small_) return;
    told_small_ = true;
  }
  note_(fmt::format("{}: its memory is short, so it gets {} weights at a time", device_->name(),
                    weights));
}

void DeviceEncoder::GiveUp(const std::string& why) {
  {
    std::lock_guard lock(mutex_);
    if (given_up_) return;
    given_up_ = true;
  }
  returned_.notify_all();
  note_(fmt::format("{}: {}; the processor does the rest", device_->name(), why));
}

void DeviceEncoder::Return(Lease& lease) {
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - lease.start_;
  {
    std::lock_guard lock(mutex_);
    share_.OnDevice(lease.key_, lease.encoded_, took.count());
    expected_ -= lease.encoded_;
    lease.slot_->taken = false;
  }
  returned_.notify_one();
}

DeviceEncoder::Lease::Lease(Lease&& other) noexcept
    : encoder_(other.encoder_),
      slot_(std::exchange(other.slot_, nullptr)),
      key_(other.key_),
      start_(other.start_),
      encoded_(other.encoded_) {}

DeviceEncoder::Lease::~Lease() {
  if (slot_) encoder_->Return(*this);
}

int64_t DeviceEncoder::Lease::MaxRows(int64_t cols) const {
  return cols < kLeastCols ? 0 : slot_->weights / cols;
}

std::span<std::byte> DeviceEncoder::Lease::Input(size_t bytes) const {
  QUERN_CHECK(bytes <= slot_->host_in->size());
  return {slot_->host_in->data(), bytes};
}

bool DeviceEncoder::Lease::Encode(const EncodeWork& work, std::span<const float> importance,
                                  std::span<std::byte> out) {
  QUERN_CHECK(importance.empty() || std::ssize(importance) == work.cols);
  const auto out_row = static_cast<size_t>(RowBytes(work.to, work.cols));
  QUERN_CHECK(out.size() == static_cast<size_t>(work.rows) * out_row);
  for (int64_t row = 0; row < work.rows;) {
    const int64_t count = std::min(work.rows - row, MaxRows(work.cols));
    if (count == 0) return false;
    try {
      slot_->Encode(
          work, row, count, importance,
          out.subspan(static_cast<size_t>(row) * out_row, static_cast<size_t>(count) * out_row));
      row += count;
    } catch (const DeviceError& error) {
      if (error.kind() == DeviceError::Kind::kLost) {
        encoder_->GiveUp(error.what());
        return false;
      }
      if (!encoder_->Open(*slot_, slot_->weights / 2, error.what())) return false;
    }
  }
  encoded_ += work.rows * work.cols;
  return true;
}

}  // namespace quern
