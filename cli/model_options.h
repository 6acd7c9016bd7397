#pragma once

#include "kernels/ops/attention.h"
#include "model/eval/scoring.h"

// Options that the commands which run a model share.
namespace quern::cli {

class Arguments;

// --cache-type f32|f16: elements of the KV cache.
void AddKvType(const Arguments& arguments, KvType& type);

// -c, --chunks, --ppl-stride, --cache-type: how a text is cut and scored.
void AddScoring(const Arguments& arguments, ScoringOptions& options);

}  // namespace quern::cli
