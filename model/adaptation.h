#pragma once

#include <memory>
#include <optional>
#include <vector>

#include "gguf/metadata.h"
#include "gguf/tensor_source.h"
#include "model/low_rank_term.h"

namespace quern {

// How a model differs from its file while it runs: what adapters make of it.
struct Adaptation {
  // Tensors that take the place of those of the same name in the file, or stand beside them.
  std::shared_ptr<const TensorSource> tensors;
  // What is added to matrices; those of the embeddings count for the input alone, also where the
  // output has no matrix of its own.
  std::vector<LowRankTerm> terms;
  // The file's keys with another vocabulary, where that has grown.
  std::optional<Metadata> keys;
};

}  // namespace quern
