#include "cli/model_options.h"

#include <CLI/CLI.hpp>

namespace quern::cli {

void AddKvType(CLI::App& app, KvType& type) {
  app.add_option("--cache-type", type, "Elements of the KV cache: f16 or f32 (f16)")
      ->transform(CLI::CheckedTransformer(
          std::map<std::string, KvType>{{"f32", KvType::kF32}, {"f16", KvType::kF16}},
          CLI::ignore_case));
}

}  // namespace quern::cli
