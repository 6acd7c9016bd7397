#include "cli/peft_folder.h"

#include <limits>

#include "adapters/lora_config_text.h"
#include "convert/hf_sink.h"

namespace quern::cli {

std::unique_ptr<TensorSink> PeftFolder(const std::filesystem::path& folder,
                                       const LoraConfig& config, std::vector<TensorInfo> tensors,
                                       Overwrite overwrite) {
  auto sink = std::make_unique<HfSink>(folder, std::move(tensors), overwrite,
                                       std::numeric_limits<int64_t>::max(), "adapter_model");
  sink->AddFile("adapter_config.json", LoraConfigText(config));
  return sink;
}

}  // namespace quern::cli
