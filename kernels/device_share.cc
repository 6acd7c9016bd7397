#include "kernels/device_share.h"

namespace quern {
namespace {

// A slower device gets one in so many pieces, to see whether it still is.
constexpr int kTryEvery = 16;
constexpr double kLastCounts = 0.25;

}  // namespace

void DeviceShare::Add(double& mean, int64_t weights, double seconds) {
  if (weights <= 0) return;
  const double each = seconds / static_cast<double>(weights);
  mean = mean == 0 ? each : mean + kLastCounts * (each - mean);
}

void DeviceShare::OnDevice(const ShareKey& key, int64_t weights, double seconds) {
  Add(times_[key].device, weights, seconds);
}

void DeviceShare::Here(const ShareKey& key, int64_t weights, double seconds) {
  Add(times_[key].here, weights, seconds);
}

bool DeviceShare::UseFreeSlot(const ShareKey& key) {
  Times& times = times_[key];
  if (times.device == 0 || times.here == 0 || times.device <= times.here) return true;
  times.passed_over = (times.passed_over + 1) % kTryEvery;
  return times.passed_over == 0;
}

bool DeviceShare::WaitForSlot(const ShareKey& key, int slots, int waiting) const {
  const auto found = times_.find(key);
  if (found == times_.end() || found->second.here == 0) return false;  // to be measured
  const auto [device, here, passed_over] = found->second;
  // A slot comes back every device / slots, to each who waits in turn.
  return device + device * (waiting + 1) / slots < here;
}

}  // namespace quern
