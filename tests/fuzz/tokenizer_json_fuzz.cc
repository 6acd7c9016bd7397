// tokenizer.json: any bytes give a vocabulary or an Error; what is a vocabulary encodes any text.
#include "base/error.h"
#include "convert/tokenizer_files.h"
#include "convert/tokenizer_json.h"
#include "convert/vocabulary.h"
#include "model/tokenizer/tokenizer.h"
#include "tests/fuzz/folder.h"

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  quern::fuzz::Put("tokenizer.json", data, size);
  quern::NoProgress progress;
  try {
    const quern::TokenizerFiles files(quern::fuzz::Folder());
    const auto vocabulary = quern::TokenizerJsonVocabulary(files, {}, progress);
    quern::Metadata keys("fuzz");
    quern::SetVocabularyKeys(vocabulary, keys);
    const auto tokenizer = quern::Tokenizer::FromMetadata(keys);
    const auto ids = tokenizer->Encode(" The 3 cats\n sat, na\xC3\xAFve \xFF.", true, true);
    tokenizer->Decode(ids);
  } catch (const quern::Error&) {
  }
  return 0;
}
