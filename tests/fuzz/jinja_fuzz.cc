// Chat templates: any text renders, or gives an Error, within its bounds.
#include <cstddef>
#include <cstdint>
#include <nlohmann/json.hpp>
#include <string_view>

#include "base/error.h"
#include "model/chat/chat_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const kValues = new nlohmann::ordered_json(nlohmann::ordered_json::parse(R"({
    "messages": [{"role": "system", "content": "Be kind."},
                 {"role": "user", "content": "Hi \u00e9\ud83c\udf0d  "},
                 {"role": "assistant", "content": null, "tool_calls": [
                   {"type": "function", "function": {"name": "f", "arguments": {"x": 1.5}}}]}],
    "tools": [{"type": "function", "function": {"name": "f", "parameters": {}}}],
    "bos_token": "<s>", "eos_token": "</s>", "add_generation_prompt": true})"));
  quern::ChatTemplateOptions options;
  options.now = "26 Jul 2024";
  options.max_bytes = int64_t{1} << 24;
  options.max_steps = 100'000;
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    quern::ChatTemplate::Parse(text, "fuzz").Render(*kValues, options);
  } catch (const quern::Error&) {
  }
  return 0;
}
