#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/tiny_llama.h"

namespace quern {
namespace {

using nlohmann::json;
using testing::NamesIn;
using testing::Quern;

std::vector<std::string> With(std::vector<std::string> words, std::vector<std::string> more) {
  words.insert(words.begin(), "quantize");
  words.insert(words.end(), more.begin(), more.end());
  return words;
}

TEST_CASE("quantize writes beside the input, shows progress, and the link does the same") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  testing::TempDir dir;
  testing::WriteTinyLlama(dir / "tiny.gguf");
  const std::string in = dir / "tiny.gguf";
  const auto result = Quern({"quantize", in, "q4_k_m", "2"});
  CHECK(result.exit_code == 0);
  CHECK(result.err.find("[  57/  57] ") != std::string::npos);
  CHECK(result.err.find("type = bf16, converting to q4_K") != std::string::npos);
  CHECK(result.out.find("quant size =     4.04 MiB (4.97 BPW)") != std::string::npos);
  CHECK(NamesIn(dir.path()) == std::vector<std::string>{"ggml-model-Q4_K_M.gguf", "tiny.gguf"});
  const auto linked = testing::Run("quantize", {"--quiet", in, dir / "linked.gguf", "15", "1"});
  CHECK(linked.exit_code == 0);
  CHECK(linked.err.empty());
  CHECK(testing::ReadText(dir / "linked.gguf") ==
        testing::ReadText(dir / "ggml-model-Q4_K_M.gguf"));
}

TEST_CASE("a dry run tells the types and writes nothing, with and without a matrix") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  QUERN_NEEDS_SHARED(matrix, "goldens/imatrix.gguf");
  testing::TempDir dir;
  testing::WriteTinyLlama(dir / "tiny.gguf");
  const std::string in = dir / "tiny.gguf";
  const auto plain = Quern({"quantize", "--dry-run", "--json", in, "IQ2_XS"});
  CHECK(plain.exit_code == 0);
  CHECK(plain.err.find("an importance matrix is needed") != std::string::npos);
  const json types = json::parse(plain.out);
  CHECK(types["tensors"][0]["name"] == "output.weight");
  CHECK(types["tensors"][0]["type"] == "q5_K");
  CHECK(types["tensors"][1]["type"] == "f32");
  const auto with = Quern({"quantize", "--imatrix", matrix, "--dry-run", in, "IQ2_XS"});
  CHECK(with.exit_code == 0);
  CHECK(with.err.find("42 of 44 tensors that are quantized have importance weights") !=
        std::string::npos);
  CHECK(with.err.find("is needed") == std::string::npos);
  CHECK(NamesIn(dir.path()) == std::vector<std::string>{"tiny.gguf"});
}

TEST_CASE("options of every kind reach the file") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  testing::TempDir dir;
  testing::WriteTinyLlama(dir / "tiny.gguf");
  testing::WriteText(dir / "rules.txt", "attn_q=q8_0\nattn_k=q5_0 blk.0.ffn_up=f16\n");
  const auto result = Quern(With({"--tensor-type",
                                  "ffn_down=q6_k",
                                  "--tensor-type-file",
                                  dir / "rules.txt",
                                  "--output-tensor-type",
                                  "q5_k",
                                  "--token-embedding-type",
                                  "f16",
                                  "--override-kv",
                                  "general.name=str:Other=Name",
                                  "--override-kv",
                                  "a.b=int:3",
                                  "--override-kv",
                                  "a.c=float:0.5",
                                  "--override-kv",
                                  "a.d=bool:true",
                                  "--prune-layers",
                                  "1,2",
                                  "--quality",
                                  "--json"},
                                 {dir / "tiny.gguf", dir / "out.gguf", "q4_0"}));
  REQUIRE(result.exit_code == 0);
  const json out = json::parse(result.out);
  std::map<std::string, json> tensors;
  for (const auto& tensor : out["tensors"]) tensors[tensor["name"]] = tensor;
  CHECK(tensors.size() == 57 - 18);
  CHECK(tensors["output.weight"]["type"] == "q5_K");
  CHECK(tensors["token_embd.weight"]["type"] == "f16");
  CHECK(tensors["blk.3.ffn_down.weight"]["type"] == "q6_K");
  CHECK(tensors["blk.0.attn_q.weight"]["type"] == "q8_0");
  CHECK(tensors["blk.0.attn_k.weight"]["type"] == "q5_0");
  CHECK(tensors["blk.0.ffn_up.weight"]["type"] == "f16");
  CHECK(tensors["blk.1.ffn_up.weight"]["type"] == "q4_0");
  CHECK(tensors["blk.1.ffn_up.weight"]["error"]["relative"].get<double>() > 0.02);
  CHECK(tensors["blk.0.attn_q.weight"]["error"]["relative"].get<double>() < 0.01);
  CHECK(out["error"]["rmse"].get<double>() > 0);
  const auto keys = json::parse(Quern({"inspect", "--json", dir / "out.gguf"}).out)["keys"];
  CHECK(keys["general.name"]["value"] == "Other=Name");
  CHECK(keys["a.b"] == json({{"type", "u32"}, {"value", 3}}));
  CHECK(keys["a.c"] == json({{"type", "f32"}, {"value", 0.5}}));
  CHECK(keys["a.d"] == json({{"type", "bool"}, {"value", true}}));
  CHECK(keys["llama.block_count"]["value"] == 4);
}

TEST_CASE("what quantize refuses has its exit code and leaves no file") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  testing::TempDir dir;
  testing::WriteTinyLlama(dir / "tiny.gguf");
  const std::string in = dir / "tiny.gguf", out = dir / "o.gguf";
  const auto code = [&](std::vector<std::string> words) {
    const auto result = Quern(With(std::move(words), {}));
    CHECK(result.err.find("error: ") != std::string::npos);
    return result.exit_code;
  };
  CHECK(code({in, out, "q4_x"}) == 2);
  CHECK(code({in, out, "q4_0", "many"}) == 2);
  CHECK(code({in, "q4_0", "2", "3"}) == 2);
  CHECK(code({in, in, "q4_0"}) == 2);
  CHECK(code({"--force", in, in, "q4_0"}) == 2);
  CHECK(code({"--tensor-type", "attn_q", in, out, "q4_0"}) == 2);
  CHECK(code({"--tensor-type", "attn_(=q8_0", in, out, "q4_0"}) == 2);
  CHECK(code({"--tensor-type", "attn_q=q99", in, out, "q4_0"}) == 2);
  CHECK(code({"--override-kv", "a=int:x", in, out, "q4_0"}) == 2);
  CHECK(code({"--override-kv", "a=bool:1", in, out, "q4_0"}) == 2);
  CHECK(code({"--prune-layers", "1,x", in, out, "q4_0"}) == 2);
  CHECK(code({"--include-weights", "a", "--exclude-weights", "b", in, out, "q4_0"}) == 2);
  CHECK(code({dir / "absent.gguf", out, "q4_0"}) == 3);
  CHECK(code({"--imatrix", in, in, out, "q4_0"}) == 3);
  CHECK(code({in, out, "iq2_xs"}) == 4);
  CHECK(code({"--prune-layers", "6", in, out, "q4_0"}) == 4);
  CHECK(code({in, dir / "no" / "folder.gguf", "q4_0"}) == 5);
  CHECK(NamesIn(dir.path()) == std::vector<std::string>{"tiny.gguf"});

  CHECK(Quern({"quantize", in, out, "q8_0"}).exit_code == 0);
  CHECK(code({in, out, "q8_0"}) == 5);
  CHECK(code({out, dir / "again.gguf", "q4_0"}) == 4);
  CHECK(Quern({"quantize", "--allow-requantize", out, dir / "again.gguf", "q4_0"}).exit_code == 0);
  CHECK(Quern({"quantize", "--force", in, out, "q4_0"}).exit_code == 0);
}

TEST_CASE("NaN in the input is named, whatever becomes of its tensor, and nothing is written") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  testing::TempDir dir;
  testing::WriteTinyLlama(dir / "tiny.gguf");
  std::string bytes = testing::ReadText(dir / "tiny.gguf");
  bytes.replace(bytes.size() - 2, 2, "\xC0\x7F");  // the last weight of the last tensor, in bf16
  testing::WriteText(dir / "nan.gguf", bytes);
  for (const char* type : {"q4_k_m", "bf16", "copy"}) {
    const auto result = Quern({"quantize", dir / "nan.gguf", dir / "out.gguf", type});
    CHECK(result.exit_code == 6);
    CHECK(result.err.find("has NaN or Inf at index") != std::string::npos);
  }
  CHECK(NamesIn(dir.path()) == std::vector<std::string>{"nan.gguf", "tiny.gguf"});
}

}  // namespace
}  // namespace quern
