#pragma once

#include <cstdint>
#include <string_view>

namespace quern {

// Told by long work how far it is; cli/ shows it on stderr. May be called from any thread.
class Progress {
 public:
  virtual ~Progress() = default;
  // Step `done` of `total` begins: "blk.0.attn_q.weight, bf16 -> q4_K".
  virtual void Step(int64_t done, int64_t total, std::string_view what) = 0;
  // A word to the user that is no step: a choice made for them, a doubt.
  virtual void Note(std::string_view text) = 0;
};

// Says nothing.
class NoProgress : public Progress {
 public:
  void Step(int64_t, int64_t, std::string_view) override {}
  void Note(std::string_view) override {}
};

}  // namespace quern
