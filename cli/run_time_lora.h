#pragma once

#include <memory>
#include <string>
#include <vector>

#include "model/runner.h"

namespace quern::cli {

class Arguments;

// --lora ADAPTER[:SCALE] and --lora-scaled ADAPTER:SCALE,...: adapters for a model that runs.
void AddLora(const Arguments& arguments, std::vector<std::string>& adapters);

// The model in a GGUF file with the adapters applied; what they change otherwise than by a low-rank
// product is merged in memory. Says on stderr what the user should know of them.
std::unique_ptr<Runner> OpenRunner(const std::string& model,
                                   const std::vector<std::string>& adapters);

}  // namespace quern::cli
