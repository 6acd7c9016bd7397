// tokenizer.model: any bytes give a vocabulary or an Error.
#include <cstddef>
#include <cstdint>
#include <span>

#include "base/error.h"
#include "convert/sentencepiece_model.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  const auto bytes = std::as_bytes(std::span(data, size));
  quern::LooksLikeSentencePiece(bytes);
  try {
    quern::ParseSentencePieceModel(bytes, "fuzz");
  } catch (const quern::Error&) {
  }
  return 0;
}
