#pragma once

#include <cstdint>
#include <string_view>
#include <vector>

#include "model/tokenizer/vocab.h"

namespace quern {

// A stretch of a text: a special token, or text to encode.
struct Fragment {
  size_t begin, size;
  TokenId token = -1;
};

// Cuts the special tokens (control, unknown, user-defined) out of texts before anything else is
// done to them. The longest token goes first, over the whole text, then the next in what is left.
class Partition {
 public:
  // Keeps a reference to `vocab`. Error kBadInput where the special tokens are senselessly long.
  Partition(const Vocab& vocab, const Metadata& metadata);

  // parse_special: control and unknown tokens too, otherwise user-defined ones alone.
  // Time: one pass over the text, and one for each token that occurs in it.
  std::vector<Fragment> Cut(std::string_view text, bool parse_special) const;

 private:
  // A prefix of special tokens' texts, linked after Aho and Corasick (1975): `fail` is the node of
  // its longest proper suffix that is a prefix too. A node's children stand together, by byte.
  struct Node {
    uint32_t first_child = 0, child_count = 0, fail = 0;
    int32_t token = -1;  // place in by_length_ of the token that ends here
    uint8_t byte = 0;
  };

  void BuildNodes();
  void LinkNodes();
  uint32_t Child(uint32_t node, uint8_t byte) const;  // 0: none
  uint32_t Next(uint32_t node, uint8_t byte) const;
  std::vector<bool> Occurring(std::string_view text) const;
  void CutAround(std::string_view text, TokenId id, const Fragment& fragment,
                 std::vector<Fragment>& out) const;

  const Vocab& vocab_;
  std::vector<TokenId> by_length_;  // longest first
  std::vector<Node> nodes_;         // breadth first, the root at 0
};

}  // namespace quern
