#pragma once

#include "kernels/ops/attention.h"
#include "model/eval/scoring.h"

// Options that the commands which run a model share.
namespace quern::cli {

class Arguments;

// --cache-type-k, --cache-type-v, and --cache-type for both: what the KV cache is made of.
void AddCacheTypes(const Arguments& arguments, KvTypes& types);

// -c, --chunks, --ppl-stride, --cache-type...: how a text is cut and scored.
void AddScoring(const Arguments& arguments, ScoringOptions& options);

}  // namespace quern::cli
