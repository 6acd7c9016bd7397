#include "convert/quantization_config.h"

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"

namespace quern {
namespace {

constexpr const char* kBitsAndBytes = "bitsandbytes";

// Configs from before quant_method say only what to load in.
std::string MethodOf(const JsonFields& quantization) {
  if (const auto method = quantization.Text("quant_method")) return *method;
  const bool bnb = quantization.Bool("load_in_4bit").value_or(false) ||
                   quantization.Bool("load_in_8bit").value_or(false);
  return bnb ? kBitsAndBytes : "?";
}

}  // namespace

void CheckQuantization(const JsonFields& config) {
  for (const char* key : {"quantization_config", "compression_config"}) {
    const auto quantization = config.Object(key);
    if (!quantization) continue;
    const std::string method = MethodOf(*quantization);
    if (method == kBitsAndBytes) continue;
    Fail(ErrorKind::kUnsupported,
         "{}: the checkpoint is quantized ({}: '{}'); Quern decodes only what bitsandbytes wrote",
         config.name(), key, method);
  }
}

void CheckQuantizationOf(const std::filesystem::path& folder) {
  const auto path = folder / "config.json";
  if (!std::filesystem::exists(path)) return;
  const nlohmann::json config = ParseJson(ReadFile(path), path.string());
  CheckQuantization(JsonFields(config, path.string()));
}

}  // namespace quern
