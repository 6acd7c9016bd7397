#pragma once

#include "adapters/merge_plan.h"
#include "base/progress.h"
#include "gguf/metadata.h"

namespace quern::cli {

// Gives the keys of a GGUF base the vocabulary of the adapter that has made it longer. Error
// kBadInput where that adapter has no tokenizer.
void GrowVocabulary(const MergeReport& report, Metadata& metadata, Progress& progress);

}  // namespace quern::cli
