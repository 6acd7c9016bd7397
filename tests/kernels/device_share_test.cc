#include "kernels/device_share.h"

#include <doctest/doctest.h>

namespace quern {
namespace {

constexpr ShareKey kKey{Type::kQ4_K, false};

TEST_CASE("a free slot is used until the device proves slower, and then now and then") {
  DeviceShare share;
  CHECK(share.UseFreeSlot(kKey));
  share.OnDevice(kKey, 1000, 2.0);
  CHECK(share.UseFreeSlot(kKey));
  share.Here(kKey, 1000, 1.0);
  int used = 0;
  for (int i = 0; i < 160; ++i) used += share.UseFreeSlot(kKey);
  CHECK(used == 10);
  // Another type, and the same with a matrix, are other matters.
  CHECK(share.UseFreeSlot({Type::kQ4_K, true}));
  for (int i = 0; i < 20; ++i) share.OnDevice(kKey, 1000, 0.5);
  for (int i = 0; i < 20; ++i) CHECK(share.UseFreeSlot(kKey));
}

TEST_CASE("a thread waits for a slot where that is faster than encoding itself") {
  DeviceShare share;
  CHECK_FALSE(share.WaitForSlot(kKey, 4, 0));  // to learn how fast it is itself
  share.OnDevice(kKey, 1000, 1.0);
  CHECK_FALSE(share.WaitForSlot(kKey, 4, 0));
  share.Here(kKey, 1000, 2.0);
  // A slot comes back every quarter of a second, and takes one.
  CHECK(share.WaitForSlot(kKey, 4, 0));
  CHECK(share.WaitForSlot(kKey, 4, 2));
  CHECK_FALSE(share.WaitForSlot(kKey, 4, 3));
  CHECK_FALSE(share.WaitForSlot(kKey, 1, 0));
}

TEST_CASE("measurements of no weights say nothing") {
  DeviceShare share;
  share.OnDevice(kKey, 0, 1.0);
  share.Here(kKey, 1000, 1.0);
  CHECK(share.UseFreeSlot(kKey));
}

}  // namespace
}  // namespace quern
