#include "convert/model_name.h"

#include <doctest/doctest.h>

namespace quern {
namespace {

TEST_CASE("the parts of a model's id") {
  const ModelNameParts llama = PartsOfModelId("meta-llama/Llama-3.2-1B-Instruct", 1235814400);
  CHECK(llama.organization == "meta-llama");
  CHECK(llama.name == "Llama-3.2-1B-Instruct");
  CHECK(llama.basename == "Llama-3.2");
  CHECK(llama.size_label == "1B");
  CHECK(llama.finetune == "Instruct");
  CHECK(!llama.version);

  const ModelNameParts mistral = PartsOfModelId("Mistral-7B-Instruct-v0.2", 7241732096);
  CHECK(mistral.basename == "Mistral");
  CHECK(mistral.size_label == "7B");
  CHECK(mistral.finetune == "Instruct");
  CHECK(mistral.version == "v0.2");
  CHECK(!mistral.organization);

  const ModelNameParts experts = PartsOfModelId("Mixtral-8x7B-v0.1", 0);
  CHECK(experts.size_label == "8x7B");
  const ModelNameParts bloom = PartsOfModelId("bloom-7b1", 7069016064);
  CHECK(bloom.size_label == "7.1B");
}

TEST_CASE("a size that is far from the model's is a context length") {
  const ModelNameParts parts = PartsOfModelId("Phi-3-mini-128K-instruct", 3821079552);
  CHECK(parts.finetune == "128k-instruct");
  CHECK(parts.size_label == "mini");
}

TEST_CASE("a name that says too little gives no basename") {
  const ModelNameParts parts = PartsOfModelId("tiny-llama", 6819072);
  CHECK(parts.name == "tiny-llama");
  CHECK(!parts.basename);
  CHECK(PartsOfModelId("a plain sentence", 0).name == "a plain sentence");
  CHECK(PartsOfModelId("", 0).name == "");
  CHECK(!PartsOfModelId("---", 0).basename);
}

TEST_CASE("titles") {
  CHECK(TitleOf("tiny-llama") == "Tiny Llama");
  CHECK(TitleOf("llama3-scaled") == "Llama3 Scaled");
  CHECK(TitleOf("Mistral-7B-v0.1-GGUF") == "Mistral 7B v0.1 GGUF");
  CHECK(TitleOf("qwen2.5-coder") == "Qwen2.5 Coder");
}

TEST_CASE("sizes have two digits") {
  CHECK(SizeLabel(6819072) == "6.8M");
  CHECK(SizeLabel(417672) == "418K");
  CHECK(SizeLabel(70553706496) == "71B");
  CHECK(SizeLabel(999) == "1.0K");
  CHECK(SizeLabel(400) == "0.40K");
}

TEST_CASE("default file names cannot leave their folder") {
  ModelNameParts parts;
  parts.name = "Tiny Llama";
  parts.size_label = "6.8M";
  CHECK(FileNameOf(parts, "bf16", false) == "Tiny-Llama-6.8M-BF16");
  CHECK(FileNameOf(parts, "bf16", true) == "Tiny-Llama-vocab");
  parts.size_label = "../../x";
  parts.basename = "/etc/x";
  CHECK(FileNameOf(parts, "", false) == "-etc-x-..-..-x");
}

}  // namespace
}  // namespace quern
