#pragma once

#include <string>

#include "model/eval/divergence.h"

namespace quern::cli {

// The percentiles of the KL divergence as inline SVG, both axes logarithmic: the horizontal one in
// what is left above a percentile (50, 90, 99, 99.9 %), so that the tail can be seen. A sentence
// where all values are as good as zero.
std::string KldCurve(const Divergence& divergence);

}  // namespace quern::cli
