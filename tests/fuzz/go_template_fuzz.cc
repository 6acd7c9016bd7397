// Go templates: any text renders, or gives an Error, within its bounds.
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "exports/go_template.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  static const auto* const kValues = new quern::OllamaValues(quern::CollateForOllama(
      {{"system", "Be kind."}, {"user", "  Hi \xC3\xA9  "}, {"assistant", ""}}, "2026-08-21"));
  try {
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    quern::GoTemplate::Parse(text, "fuzz").Render(*kValues);
  } catch (const quern::Error&) {
  }
  return 0;
}
