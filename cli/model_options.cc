#include "cli/model_options.h"

#include <CLI/CLI.hpp>

namespace quern::cli {

void AddKvType(CLI::App& app, KvType& type) {
  app.add_option("--cache-type", type, "Elements of the KV cache: f16 or f32 (f16)")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, KvType>{{"f32", KvType::kF32}, {"f16", KvType::kF16}},
          CLI::ignore_case));
}

void AddScoring(CLI::App& app, ScoringOptions& options) {
  app.add_option("-c,--ctx-size", options.context, "Tokens per chunk (512)")
      ->check(CLI::PositiveNumber);
  app.add_option("--chunks", options.chunks, "How many chunks at most; -1: all (-1)");
  app.add_option("--ppl-stride", options.stride,
                 "Tokens from one chunk's start to the next; 0: chunks do not overlap (0)")
      ->check(CLI::NonNegativeNumber);
  AddKvType(app, options.kv_type);
}

}  // namespace quern::cli
