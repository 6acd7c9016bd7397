#pragma once

#include <compare>
#include <cstdint>
#include <map>

#include "gguf/types.h"

namespace quern {

// What weights are encoded to. The time of it differs a thousandfold.
struct ShareKey {
  Type to;
  bool weighted;  // with an importance matrix

  auto operator<=>(const ShareKey&) const = default;
};

// Decides from what was measured whether a thread hands its weights to a device or encodes them
// itself, so that a device never slows the work down. One thread at a time.
class DeviceShare {
 public:
  // A thread took so long for weights: by way of a device's slot, or itself.
  void OnDevice(const ShareKey& key, int64_t weights, double seconds);
  void Here(const ShareKey& key, int64_t weights, double seconds);

  // Whether a thread should take a slot that is free. What seems slower is tried now and then.
  bool UseFreeSlot(const ShareKey& key);
  // Whether it should wait where all of `slots` are taken and `waiting` threads wait before it.
  bool WaitForSlot(const ShareKey& key, int slots, int waiting) const;

 private:
  // Seconds per weight, 0 until there is a measurement; the last ones count most.
  struct Times {
    double device = 0, here = 0;
    int passed_over = 0;
  };
  static void Add(double& mean, int64_t weights, double seconds);

  std::map<ShareKey, Times> times_;
};

}  // namespace quern
