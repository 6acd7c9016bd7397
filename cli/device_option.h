#pragma once

#include <cstdint>
#include <memory>
#include <string>

#include "base/progress.h"
#include "gguf/tensor_sink.h"
#include "kernels/device_encoder.h"

namespace quern::cli {

inline constexpr char kDeviceHelp[] =
    "What quantizes: cpu, cuda (a GPU and the processor), auto (cuda where there is one and it "
    "pays), cuda:N, auto:N";

// The device that --device names, null for the processor alone: "cpu", "cuda", "auto", and "cuda:1"
// or "auto:1" for a machine's second GPU. What goes wrong with it later is told to `progress`,
// which must live as long. Errors kUsage for another text, kUnsupported for a GPU that is not
// there.
std::shared_ptr<DeviceEncoder> OpenDevice(const std::string& text, Progress& progress);

// How many weights Stream takes at a time: many for a device that is at work.
PieceWeights PiecesFor(const DeviceEncoder* device);

}  // namespace quern::cli
