#include <doctest/doctest.h>

#include <filesystem>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "gguf/gguf_writer.h"
#include "gguf/keys.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

using testing::Quern;
using Ids = std::vector<int>;

// A file with a vocabulary and nothing else.
std::string WriteVocabulary(const testing::TempDir& dir, std::vector<std::string> tokens) {
  Metadata metadata;
  metadata.Set(keys::kArchitecture, "llama");
  metadata.Set(keys::kTokenizerModel, "llama");
  std::vector<int32_t> types(tokens.size(), 1);
  types[0] = 2;
  types[1] = types[2] = 3;
  metadata.Set(keys::kTokens, Array(std::move(tokens)));
  metadata.Set(keys::kTokenTypes, Array::Of<int32_t>(types));
  const std::string path = (dir / "vocab.gguf").string();
  GgufSink sink(path, metadata, {}, Overwrite::kRefuse);
  sink.Commit();
  return path;
}

Ids IdsOf(const testing::ProcessResult& result) {
  REQUIRE(result.exit_code == 0);
  return nlohmann::json::parse(result.out)["ids"].get<Ids>();
}

TEST_CASE("tokenize takes -p and the file's bytes as they are") {
  testing::TempDir dir;
  const std::string model =
      WriteVocabulary(dir, {"<unk>", "<s>", "</s>", "a", "\\", "n", "▁", "\n", "▁a"});
  CHECK(IdsOf(Quern({"tokenize", "-m", model, "-p", "a\\n", "--json"})) == Ids{1, 8, 4, 5});
  CHECK(IdsOf(Quern({"tokenize", "-m", model, "-p", "", "--json"})) == Ids{1});
  testing::WriteText(dir / "text", "a\na\n");
  const std::string file = (dir / "text").string();
  CHECK(IdsOf(Quern({"tokenize", "-m", model, "-f", file, "--no-bos", "--json"})) ==
        Ids{8, 7, 3, 7});
  testing::WriteText(dir / "empty", "");
  CHECK(IdsOf(Quern({"tokenize", "-m", model, "-f", (dir / "empty").string(), "--json"})) ==
        Ids{1});
}

TEST_CASE("tokenize parses special tokens unless told not to") {
  testing::TempDir dir;
  const std::string model = WriteVocabulary(dir, {"<unk>", "<s>", "</s>", "a", "<", "s", ">", "▁"});
  CHECK(IdsOf(Quern({"tokenize", "-m", model, "-p", "<s>", "--no-bos", "--json"})) == Ids{1});
  CHECK(IdsOf(Quern({"tokenize", "-m", model, "-p", "<s>", "--no-bos", "--no-parse-special",
                     "--json"})) == Ids{7, 4, 5, 6});
  const auto table = Quern({"tokenize", "-m", model, "-p", "a"});
  CHECK(table.out.find("'<s>'") != std::string::npos);
  CHECK(table.out.find("3 tokens") != std::string::npos);
}

// tokens.json of each model: its source tells whether special tokens in the text are parsed.
void CheckModel(const std::filesystem::path& folder) {
  CAPTURE(folder.string());
  testing::TempDir dir;
  const std::string model = (dir / "vocab.gguf").string(), text = (dir / "text").string();
  REQUIRE(Quern({"convert", folder.string(), "--outfile", model, "--vocab-only"}).exit_code == 0);
  const auto wanted = nlohmann::json::parse(testing::ReadText(folder / "tokens.json"));
  std::vector<std::string> arguments = {"tokenize", "-m", model, "-f", text, "--no-bos", "--json"};
  if (wanted["source"].get<std::string>().find("are plain text") != std::string::npos) {
    arguments.push_back("--no-parse-special");
  }
  REQUIRE(wanted["cases"].size() > 10);
  for (const auto& one : wanted["cases"]) {
    CAPTURE(one["text"].get<std::string>());
    testing::WriteText(text, one["text"].get<std::string>());
    CHECK(IdsOf(Quern(arguments)) == one["ids"].get<Ids>());
  }
}

TEST_CASE("converted vocabularies encode as the models' own libraries do") {
  CheckModel(testing::TestData("models/tiny-llama"));
  CheckModel(testing::TestData("models/families/llama3-scaled"));
  CheckModel(testing::TestData("models/families/qwen3"));
}

TEST_CASE("the same for all of ../shared/models") {
  QUERN_NEEDS_SHARED(models, "models/families");
  for (const auto& entry : std::filesystem::directory_iterator(models)) {
    if (std::filesystem::exists(entry.path() / "tokens.json")) CheckModel(entry.path());
  }
}

TEST_CASE("tokenize refuses what it cannot do") {
  testing::TempDir dir;
  const std::string model = WriteVocabulary(dir, {"<unk>", "<s>", "</s>", "a"});
  CHECK(Quern({"tokenize", "-m", model}).exit_code == 2);
  CHECK(Quern({"tokenize", "-m", model, "-p", "a", "-f", model}).exit_code == 2);
  CHECK(Quern({"tokenize", "-p", "a"}).exit_code == 2);
  CHECK(Quern({"tokenize", "-m", model, "-f", (dir / "absent").string()}).exit_code == 3);
  testing::TempDir other;
  const auto twice =
      Quern({"tokenize", "-m", WriteVocabulary(other, {"<unk>", "a", "a", "b"}), "-p", "a"});
  CHECK(twice.exit_code == 3);
  CHECK(twice.err.find("are both 'a'") != std::string::npos);
  CHECK(twice.out.empty());
}

}  // namespace
}  // namespace quern
