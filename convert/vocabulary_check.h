#pragma once

#include <string>
#include <vector>

#include "gguf/metadata.h"

namespace quern {

// Encodes texts with the tokenizer that the keys describe and decodes them again. Errors: kBadInput
// where the keys contradict themselves. Returns what the user should hear: texts that do not come
// back, or that the vocabulary could not be tried because Quern's own tokenizer lacks its
// pre-tokenizer.
std::vector<std::string> VocabularyDoubts(const Metadata& keys);

}  // namespace quern
