#include "cli/model_options.h"

#include <fmt/format.h>

#include <functional>
#include <string>

#include "base/error.h"
#include "cli/arguments.h"

namespace quern::cli {

namespace {

void AddCacheType(const Arguments& arguments, const char* option, const char* what,
                  std::function<void(Type)> set) {
  const auto take = [option, set](const std::string& word) {
    const auto type = TypeFromName(word);
    if (type != Type::kF32 && type != Type::kF16 && type != Type::kQ8_0) {
      Fail(ErrorKind::kUsage, "{}: wanted f16, f32 or q8_0, got '{}'", option, word);
    }
    set(*type);
  };
  arguments.Parsed(option, take, fmt::format("{} of the KV cache: f16, f32 or q8_0 (f16)", what));
}

}  // namespace

void AddCacheTypes(const Arguments& arguments, KvTypes& types) {
  AddCacheType(arguments, "--cache-type-k", "Keys", [&](Type type) { types.keys = type; });
  AddCacheType(arguments, "--cache-type-v", "Values", [&](Type type) { types.values = type; });
  AddCacheType(arguments, "--cache-type", "Keys and values", [&](Type type) { types = type; });
}

void AddScoring(const Arguments& arguments, ScoringOptions& options) {
  arguments.Option("-c,--ctx-size", options.context, "Tokens per chunk (512)").Positive();
  arguments.Option("--chunks", options.chunks, "How many chunks at most; -1: all (-1)");
  arguments
      .Option("--ppl-stride", options.stride,
              "Tokens from one chunk's start to the next; 0: chunks do not overlap (0)")
      .NonNegative();
  AddCacheTypes(arguments, options.cache);
}

}  // namespace quern::cli
