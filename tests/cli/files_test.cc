// check, hash, split and merge-splits.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "gguf/gguf_writer.h"
#include "gguf/keys.h"
#include "tests/support/memory_source.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

using nlohmann::json;
using testing::MemorySource;
using testing::NamesIn;
using testing::Quern;

// Seven tensors of 64 weights; `value` stands at index 70 of all, which is index 6 of "t1".
void WriteModel(const std::filesystem::path& path, float value = 1,
                const Metadata& extra = Metadata()) {
  std::vector<testing::MemoryTensor> tensors;
  for (int t = 0; t < 7; ++t) {
    std::vector<float> values(64);
    for (int i = 0; i < 64; ++i) values[static_cast<size_t>(i)] = static_cast<float>(t * 64 + i);
    if (t == 1) values[6] = value;
    tensors.push_back({"t" + std::to_string(t), {32, 2}, values});
  }
  const MemorySource source("memory", std::move(tensors));
  Metadata keys("keys");
  keys.Set(keys::kArchitecture, "llama");
  for (const auto& [key, entry] : extra.entries()) keys.Set(key, entry);
  GgufSink sink(path, keys, source.tensors(), Overwrite::kRefuse);
  NoProgress quiet;
  Stream(source, sink, quiet);
  sink.Commit();
}

TEST_CASE("split and merge-splits give the file back, byte for byte") {
  testing::TempDir dir;
  WriteModel(dir / "whole.gguf");
  const auto whole = testing::ReadText(dir / "whole.gguf");
  const auto split = Quern({"split", dir / "whole.gguf", dir / "part", "--split-max-tensors", "3"});
  CHECK(split.exit_code == 0);
  CHECK(NamesIn(dir.path()) == std::vector<std::string>{"part-00001-of-00003.gguf",
                                                        "part-00002-of-00003.gguf",
                                                        "part-00003-of-00003.gguf", "whole.gguf"});
  const auto first = dir / "part-00001-of-00003.gguf";
  CHECK(Quern({"merge-splits", first, dir / "again.gguf"}).exit_code == 0);
  CHECK(testing::ReadText(dir / "again.gguf") == whole);

  // 256 bytes a tensor: two in a file.
  const auto by_size = Quern({"split", dir / "whole.gguf", dir / "sized.gguf", "--split-max-size",
                              "600", "--json", "--quiet"});
  CHECK(by_size.exit_code == 0);
  CHECK(json::parse(by_size.out)["outputs"].size() == 4);
  CHECK(by_size.err.empty());
}

TEST_CASE("split and merge-splits refuse what they cannot do") {
  testing::TempDir dir;
  WriteModel(dir / "whole.gguf");
  const std::string whole = dir / "whole.gguf";
  CHECK(Quern({"split", whole, dir / "p", "--split-max-size", "2X"}).exit_code == 2);
  CHECK(Quern({"split", whole, dir / "p", "--split-max-size", "0"}).exit_code == 2);
  CHECK(Quern({"split", whole, dir / "p", "--split-max-tensors", "0"}).exit_code == 2);
  CHECK(Quern({"merge-splits", whole, whole}).exit_code == 5);
  CHECK(Quern({"split", whole, dir / "p", "--split-max-tensors", "4"}).exit_code == 0);
  CHECK(Quern({"split", whole, dir / "p", "--split-max-tensors", "4"}).exit_code == 5);
  CHECK(Quern({"split", whole, dir / "p", "--split-max-tensors", "4", "--force"}).exit_code == 0);
  std::filesystem::remove(dir / "p-00002-of-00002.gguf");
  const auto gone = Quern({"merge-splits", dir / "p-00001-of-00002.gguf", dir / "o.gguf"});
  CHECK(gone.exit_code == 3);
  CHECK(gone.err.find("p-00002-of-00002.gguf") != std::string::npos);
  CHECK(NamesIn(dir.path()) == std::vector<std::string>{"p-00001-of-00002.gguf", "whole.gguf"});
}

TEST_CASE("hash is of the bytes of each tensor, and of all, however they are split") {
  testing::TempDir dir;
  WriteModel(dir / "whole.gguf");
  const auto result = Quern({"hash", dir / "whole.gguf", "--json"});
  REQUIRE(result.exit_code == 0);
  const json hashes = json::parse(result.out);
  std::vector<float> values(64), all;
  for (int i = 0; i < 64; ++i) values[static_cast<size_t>(i)] = static_cast<float>(128 + i);
  CHECK(hashes["tensors"].size() == 7);
  CHECK(hashes["tensors"][2]["name"] == "t2");
  CHECK(hashes["tensors"][2]["xxh64"] == HexOf(Xxh64::Of(std::as_bytes(std::span(values)))));
  for (int i = 0; i < 448; ++i) all.push_back(i == 70 ? 1.0F : static_cast<float>(i));
  CHECK(hashes["xxh64"] == HexOf(Xxh64::Of(std::as_bytes(std::span(all)))));

  REQUIRE(Quern({"split", dir / "whole.gguf", dir / "p", "--split-max-tensors", "2"}).exit_code ==
          0);
  const auto split = Quern({"hash", dir / "p-00001-of-00004.gguf", "--json"});
  CHECK(json::parse(split.out)["xxh64"] == hashes["xxh64"]);
  CHECK(json::parse(split.out)["tensors"] == hashes["tensors"]);
  const auto text = Quern({"hash", dir / "whole.gguf"});
  CHECK(text.out.find(hashes["xxh64"].get<std::string>()) != std::string::npos);
}

TEST_CASE("check passes a sound model and names what is not") {
  testing::TempDir dir;
  WriteModel(dir / "sound.gguf");
  const auto sound = Quern({"check", dir / "sound.gguf", "--json"});
  CHECK(sound.exit_code == 0);
  CHECK(json::parse(sound.out)["ok"] == true);

  for (const float value : {std::nanf(""), HUGE_VALF, -HUGE_VALF}) {
    WriteModel(dir / "bad.gguf", value);
    const auto bad = Quern({"check", dir / "bad.gguf", "--json"});
    CHECK(bad.exit_code == 6);
    CHECK(bad.err.find("'t1' at index 6") != std::string::npos);
    CHECK(json::parse(bad.out)["non_finite"] == json::parse(R"([{"name": "t1", "index": 6}])"));
    std::filesystem::remove(dir / "bad.gguf");
  }

  auto bytes = testing::ReadText(dir / "sound.gguf");
  bytes.resize(bytes.size() - 100);
  testing::WriteText(dir / "short.gguf", bytes);
  CHECK(Quern({"check", dir / "short.gguf"}).exit_code == 3);
  CHECK(Quern({"check", dir / "absent.gguf"}).exit_code == 3);
}

TEST_CASE("check holds the vocabulary's keys against each other") {
  testing::TempDir dir;
  Metadata keys;
  keys.Set(keys::kTokens, Array(std::vector<std::string>{"a", "b", "c"}));
  const std::vector<float> scores{0, 1, 2};
  keys.Set(keys::kScores, Array::Of(std::span<const float>(scores)));
  keys.Set(keys::kEosId, uint32_t{2});
  WriteModel(dir / "good.gguf", 1, keys);
  CHECK(Quern({"check", dir / "good.gguf"}).exit_code == 0);

  keys.Set(keys::kEosId, uint32_t{3});
  WriteModel(dir / "eos.gguf", 1, keys);
  const auto eos = Quern({"check", dir / "eos.gguf"});
  CHECK(eos.exit_code == 3);
  CHECK(eos.err.find("eos_token_id' is 3, the vocabulary has 3") != std::string::npos);

  keys.Set(keys::kEosId, uint32_t{2});
  keys.Set(keys::kScores, Array::Of(std::span<const float>(scores).first(2)));
  WriteModel(dir / "scores.gguf", 1, keys);
  CHECK(Quern({"check", dir / "scores.gguf"}).exit_code == 3);
}

TEST_CASE("check and hash read HF folders too") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  CHECK(Quern({"check", folder.string(), "--quiet"}).exit_code == 0);
  const auto hashes = json::parse(Quern({"hash", folder.string(), "--json"}).out);
  CHECK(hashes["tensors"].size() == 57);
  QUERN_NEEDS_SHARED(nan, "models/adapters/bad/nan");
  const auto bad = Quern({"check", (nan / "adapter_model.safetensors").string()});
  CHECK(bad.exit_code == 6);
}

}  // namespace
}  // namespace quern
