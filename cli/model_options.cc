#include "cli/model_options.h"

#include "base/ascii.h"
#include "base/error.h"
#include "cli/arguments.h"

namespace quern::cli {

void AddKvType(const Arguments& arguments, KvType& type) {
  const auto take = [&type](const std::string& word) {
    if (SameInAnyCase(word, "f32")) {
      type = KvType::kF32;
    } else if (SameInAnyCase(word, "f16")) {
      type = KvType::kF16;
    } else {
      Fail(ErrorKind::kUsage, "--cache-type: wanted f16 or f32, got '{}'", word);
    }
  };
  arguments.Parsed("--cache-type", take, "Elements of the KV cache: f16 or f32 (f16)");
}

void AddScoring(const Arguments& arguments, ScoringOptions& options) {
  arguments.Option("-c,--ctx-size", options.context, "Tokens per chunk (512)").Positive();
  arguments.Option("--chunks", options.chunks, "How many chunks at most; -1: all (-1)");
  arguments
      .Option("--ppl-stride", options.stride,
              "Tokens from one chunk's start to the next; 0: chunks do not overlap (0)")
      .NonNegative();
  AddKvType(arguments, options.kv_type);
}

}  // namespace quern::cli
