#pragma once

#include <cstdint>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "model/tokenizer/tokenizer.h"

namespace quern {

// Remembers where in an output a word's encoding stands: a text of 1 MB has some 20 times as many
// words as different ones.
class WordCache {
 public:
  // Appends what encode(word, out) appends, or a copy of what it did the last time. The word's
  // bytes must live as long as the cache, and every call have the same `out`.
  template <typename Encode>
  void Append(std::string_view word, std::vector<TokenId>& out, const Encode& encode) {
    const auto [place, added] = places_.try_emplace(word);
    if (added) {
      place->second.begin = out.size();
      encode(word, out);
      place->second.end = out.size();
      return;
    }
    for (size_t i = place->second.begin; i < place->second.end; ++i) {
      const TokenId id = out[i];
      out.push_back(id);
    }
  }

 private:
  struct Place {
    size_t begin = 0, end = 0;
  };
  std::unordered_map<std::string_view, Place> places_;
};

}  // namespace quern
