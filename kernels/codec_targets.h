#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace quern {

// What can run EncodeRows and Decode here: KernelTargets(); "cuda-here" in a build with CUDA, which
// runs the GPU's threads one after the other on the processor; and "cuda" where there is a GPU. All
// give the same bytes.
std::vector<std::string> CodecTargets();

// Runs the codecs on this one from now on, or on the fastest of KernelTargets() where `name` is
// empty. Returns false for a name that is not of the list. For tests and measurements, like
// UseKernelTarget: nothing may be running.
bool UseCodecTarget(std::string_view name);

}  // namespace quern
