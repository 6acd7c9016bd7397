#include "cli/device_option.h"

#include <charconv>

#include "base/error.h"
#include "kernels/cuda/cuda_device.h"

namespace quern::cli {
namespace {

[[noreturn]] void FailDevice(const std::string& text) {
  Fail(ErrorKind::kUsage, "--device {}: should be cpu, cuda, auto, cuda:N or auto:N", text);
}

// "1" of "cuda:1".
int ParseIndex(const std::string& text, size_t colon) {
  if (colon == std::string::npos) return 0;
  int index = -1;
  const char* end = text.data() + text.size();
  const auto [rest, error] = std::from_chars(text.data() + colon + 1, end, index);
  if (error != std::errc() || rest != end || index < 0) FailDevice(text);
  return index;
}

}  // namespace

std::shared_ptr<DeviceEncoder> OpenDevice(const std::string& text, Progress& progress) {
  if (text == "cpu") return nullptr;
  const size_t colon = text.find(':');
  const std::string kind = text.substr(0, colon);
  if (kind != "cuda" && kind != "auto") FailDevice(text);
  const int index = ParseIndex(text, colon);
  const CudaDevices devices = FindCudaDevices();
  const bool chooses = kind == "auto";
  if (chooses && index >= devices.count) return nullptr;
  if (devices.count == 0) {
    Fail(ErrorKind::kUnsupported, "--device {}: there is no GPU to use: {}", text,
         devices.why_none);
  }
  auto device = OpenCudaDevice(index);
  DeviceEncoder::Options settings;
  if (chooses) settings.start = DeviceEncoder::Start::kIfItPays;
  progress.Note(
      fmt::format("quantizing with {}{}", device->name(), chooses ? " where that is faster" : ""));
  return std::make_shared<DeviceEncoder>(
      std::move(device), [&progress](std::string_view text) { progress.Note(text); }, settings);
}

PieceWeights PiecesFor(const DeviceEncoder* device) {
  if (!device) return {};
  return [device] { return device->PieceWeights(); };
}

}  // namespace quern::cli
