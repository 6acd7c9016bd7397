#pragma once

#include "kernels/ops/attention.h"

namespace CLI {
class App;
}

// Options that the commands which run a model share.
namespace quern::cli {

// --cache-type f32|f16: elements of the KV cache.
void AddKvType(CLI::App& app, KvType& type);

}  // namespace quern::cli
