#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/runner.h"

namespace quern::cli {

class Arguments;

// --lora ADAPTER[:SCALE] and --lora-scaled ADAPTER:SCALE,...: adapters for a model that runs; where
// there are several models, `option` takes the place of --lora, and `model` says which it is.
void AddLora(const Arguments& arguments, std::vector<std::string>& adapters,
             const std::string& option = "--lora", const std::string& model = "the model");

// A model with adapters, as it runs and as its tensors would be merged.
struct AdaptedModel {
  std::shared_ptr<const GgufModel> file;
  std::shared_ptr<const TensorSource> tensors;  // the file's, where there are no adapters
  std::unique_ptr<Runner> runner;
};

// The model in a GGUF file with the adapters applied; what they change otherwise than by a low-rank
// product is merged in memory. Says on stderr what the user should know of them.
AdaptedModel OpenAdapted(const std::string& model, const std::vector<std::string>& adapters);
std::unique_ptr<Runner> OpenRunner(const std::string& model,
                                   const std::vector<std::string>& adapters);

}  // namespace quern::cli
