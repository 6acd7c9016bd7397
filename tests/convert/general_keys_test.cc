#include "convert/general_keys.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "convert/model_card.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

constexpr const char* kCard = R"(---
license: apache-2.0   # with a comment
language:
- en
- no
tags: [text-generation, "quoted, with comma]
pipeline_tag: text-generation
base_model: meta-llama/Llama-3.2-1B
datasets:
  - org/data-v2
  - https://huggingface.co/org/other
model-index:
- name: x
  results:
  - task: y
model_creator: 'Some One'
---
# Not: part
)";

TEST_CASE("front matter: texts and lists, the rest is left out") {
  const ModelCard card = ParseModelCard(kCard);
  CHECK(card.at("license").values == std::vector<std::string>{"apache-2.0"});
  CHECK(card.at("language").values == std::vector<std::string>{"en", "no"});
  CHECK(card.at("datasets").values.size() == 2);
  CHECK(card.at("model_creator").values.front() == "Some One");
  CHECK(!card.contains("model-index"));
  CHECK(!card.contains("# Not"));
  CHECK(ParseModelCard("# no front matter").empty());
  CHECK(ParseModelCard("").empty());
  CHECK(ParseModelCard("---").empty());
  CHECK(ParseModelCard("---\n:\n- \n[\n'\n\"\n- - -\nx: [\n").size() <= 1);
}

TEST_CASE("card, overrides and the folder's name, in this order of weight") {
  testing::TempDir dir;
  const auto folder = dir / "Tiny-1B-Instruct";
  std::filesystem::create_directory(folder);
  testing::WriteText(folder / "README.md", kCard);
  testing::WriteText(folder / "generation_config.json", R"({"top_k": 40, "temperature": 0.5})");
  testing::WriteText(dir / "over.json",
                     R"({"general.name": "Other", "general.tags": ["a"],
                         "general.sampling.top_k": 7})");
  NoProgress progress;
  Metadata keys;
  SetGeneralKeys(
      "llama",
      {.folder = folder, .name_or_path = "", .overrides = dir / "over.json", .weights = 1100000000},
      progress, keys);
  CHECK(keys.NeedText("general.name") == "Other");
  CHECK(keys.NeedText("general.author") == "Some One");
  CHECK(keys.NeedText("general.size_label") == "1B");
  CHECK(keys.NeedText("general.finetune") == "Instruct");
  CHECK(keys.NeedText("general.license") == "apache-2.0");
  CHECK(keys.NeedInt("general.base_model.count") == 1);
  CHECK(keys.NeedText("general.base_model.0.name") == "Llama 3.2 1B");
  CHECK(keys.NeedText("general.base_model.0.repo_url") ==
        "https://huggingface.co/meta-llama/Llama-3.2-1B");
  CHECK(keys.NeedText("general.dataset.1.repo_url") == "https://huggingface.co/org/other");
  CHECK(keys.NeedArray("general.tags").strings() == std::vector<std::string>{"a"});
  CHECK(keys.NeedArray("general.languages").strings() == std::vector<std::string>{"en", "no"});
  CHECK(keys.NeedInt("general.sampling.top_k") == 7);
  CHECK(keys.NeedNumber("general.sampling.temp") == 0.5);
}

TEST_CASE("an override that is not there or has the wrong type is an error") {
  testing::TempDir dir;
  NoProgress progress;
  Metadata keys;
  const GeneralSources absent{
      .folder = dir.path(), .name_or_path = "", .overrides = dir / "absent.json", .weights = 0};
  CHECK_THROWS_AS(SetGeneralKeys("llama", absent, progress, keys), Error);
  for (const char* text :
       {"[]", R"({"general.name": 3})", R"({"general.tags": "x"})",
        R"({"general.base_models": [1]})", R"({"general.sampling.top_k": 1e99})"}) {
    testing::WriteText(dir / "over.json", text);
    const GeneralSources sources{
        .folder = dir.path(), .name_or_path = "", .overrides = dir / "over.json", .weights = 0};
    CHECK_THROWS_AS(SetGeneralKeys("llama", sources, progress, keys), Error);
  }
}

}  // namespace
}  // namespace quern
