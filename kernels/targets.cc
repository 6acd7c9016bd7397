#include "kernels/targets.h"

#include <hwy/highway.h>

#include <algorithm>

#include "base/ascii.h"

namespace quern {
namespace {

std::string NameOf(int64_t target) {
  if (target == HWY_SCALAR || target == HWY_EMU128) return "scalar";
  return Lowered(hwy::TargetName(target));
}

// The bits of the targets, of which the lower is the better.
std::vector<int64_t> TargetBits() {
  hwy::SetSupportedTargetsForTest(0);
  std::vector<int64_t> bits;
  for (const int64_t bit : hwy::SupportedAndGeneratedTargets()) bits.push_back(bit);
  std::sort(bits.begin(), bits.end());
  return bits;
}

}  // namespace

std::vector<std::string> KernelTargets() {
  std::vector<std::string> names;
  for (const int64_t bit : TargetBits()) names.push_back(NameOf(bit));
  return names;
}

bool UseKernelTarget(std::string_view name) {
  const std::vector<int64_t> bits = TargetBits();
  const auto found =
      std::find_if(bits.begin(), bits.end(), [&](int64_t bit) { return NameOf(bit) == name; });
  if (!name.empty() && found == bits.end()) return false;
  if (!name.empty()) hwy::SetSupportedTargetsForTest(*found);
  hwy::GetChosenTarget().Update(hwy::SupportedTargets());
  return true;
}

}  // namespace quern
