#pragma once

#include "kernels/ops/attention.h"
#include "model/eval/scoring.h"

namespace CLI {
class App;
}

// Options that the commands which run a model share.
namespace quern::cli {

// --cache-type f32|f16: elements of the KV cache.
void AddKvType(CLI::App& app, KvType& type);

// -c, --chunks, --ppl-stride, --cache-type: how a text is cut and scored.
void AddScoring(CLI::App& app, ScoringOptions& options);

}  // namespace quern::cli
