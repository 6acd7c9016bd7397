// Deriving Go templates: of any Jinja template comes one that is proved, or an Error.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "exports/ollama_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const nlohmann::ordered_json variables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    const auto chat = quern::ChatTemplate::Parse(text, "fuzz");
    quern::DeriveOllamaTemplate(chat, variables, "<s>");
  } catch (const quern::Error&) {
  }
  return 0;
}
