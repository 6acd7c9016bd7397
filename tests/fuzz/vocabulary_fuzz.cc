// The vocabulary of a GGUF file: any keys give a tokenizer that encodes any text, or an Error.
#include <cstddef>
#include <cstdint>

#include "base/error.h"
#include "gguf/gguf_reader.h"
#include "model/tokenizer/tokenizer.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    const auto header =
        quern::ParseGgufHeader(std::as_bytes(std::span(data, size)), size + 65536, "fuzz");
    const auto tokenizer = quern::Tokenizer::FromMetadata(header.metadata);
    const std::string_view text(reinterpret_cast<const char*>(data), size);
    tokenizer->Decode(tokenizer->Encode(text, true, true));
    tokenizer->Decode(tokenizer->Encode(text, false, false), true);
  } catch (const quern::Error&) {
  }
  return 0;
}
