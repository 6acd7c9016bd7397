#include <doctest/doctest.h>
#include <sys/stat.h>

#include <algorithm>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/sha256.h"
#include "gguf/gguf_writer.h"
#include "gguf/keys.h"
#include "tests/support/memory_source.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::NamesIn;
using testing::Quern;

// A model of one tensor, whose vocabulary has the marks of testdata/chat/turns.jinja. Its
// tokenizer puts BOS before a text.
void WriteModel(const fs::path& path, const std::string& chat_template, float value = 1) {
  const testing::MemorySource source("memory",
                                     {{"t", {32, 40}, std::vector<float>(32 * 40, value)}});
  Metadata keys("keys");
  keys.Set(keys::kArchitecture, "llama");
  keys.Set(keys::kFileType, uint32_t{15});
  keys.Set(keys::kTokenizerModel, "llama");
  keys.Set(keys::kTokens,
           Array(std::vector<std::string>{"<unk>", "<s>", "</s>", "<|close|>", "\n"}));
  const std::vector<float> scores(5, 0);
  keys.Set(keys::kScores, Array::Of(std::span<const float>(scores)));
  const std::vector<int32_t> types{2, 3, 3, 3, 1};
  keys.Set(keys::kTokenTypes, Array::Of(std::span<const int32_t>(types)));
  keys.Set(keys::kBosId, uint32_t{1});
  keys.Set(keys::kEosId, uint32_t{2});
  keys.Set("general.sampling.temp", 0.6F);
  keys.Set("general.sampling.top_k", int32_t{20});
  if (!chat_template.empty()) keys.Set(keys::kChatTemplate, chat_template);
  GgufSink sink(path, keys, source.tensors(), Overwrite::kRefuse);
  NoProgress quiet;
  Stream(source, sink, quiet);
  sink.Commit();
}

std::string ChatText(const std::string& name) {
  return testing::ReadText(testing::TestData("chat") / name);
}

json Json(const fs::path& path) { return json::parse(testing::ReadText(path)); }

// Where a layer's bytes are; its name and size must be theirs.
fs::path CheckedBlob(const fs::path& store, const json& layer) {
  const std::string digest = layer["digest"];
  REQUIRE(digest.starts_with("sha256:"));
  const fs::path blob = store / "blobs" / ("sha256-" + digest.substr(7));
  CHECK(Sha256::HexOfFile(blob) == digest.substr(7));
  CHECK(fs::file_size(blob) == layer["size"].get<uint64_t>());
  struct stat info = {};
  CHECK(stat(blob.c_str(), &info) == 0);
  CHECK((info.st_mode & 0777) == 0644);
  return blob;
}

TEST_CASE("export-ollama writes a folder that ollama create takes") {
  const testing::TempDir dir;
  WriteModel(dir / "m.gguf", ChatText("turns.jinja"));
  testing::WriteText(dir / "LICENSE", "Do \"as\" you\nlike.\n");
  const auto result =
      Quern({"export-ollama", dir / "m.gguf", dir / "out", "--system", "Be kind.", "--license",
             dir / "LICENSE", "--parameter", "num_ctx=8192", "--name", "me/mine", "--json"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  CHECK(NamesIn(dir / "out") == std::vector<std::string>{"Modelfile", "m.gguf"});
  CHECK(testing::ReadText(dir / "out" / "m.gguf") == testing::ReadText(dir / "m.gguf"));
  CHECK(fs::hard_link_count(dir / "m.gguf") == 2);
  CHECK(testing::ReadText(dir / "out" / "Modelfile") ==
        "FROM ./m.gguf\n\n"
        "TEMPLATE \"\"\"{{ range .Messages }}\n"
        "{{- if eq .Role \"system\" }}<|system|>\n{{ .Content }}<|close|>\n"
        "{{ else if eq .Role \"user\" }}<|user|>\n{{ .Content }}<|close|>\n"
        "{{ else if eq .Role \"assistant\" }}<|assistant|>\n{{ .Content }}<|close|>\n"
        "{{ end }}\n"
        "{{- end }}<|assistant|>\n\"\"\"\n\n"
        "SYSTEM \"Be kind.\"\n\n"
        "PARAMETER num_ctx 8192\nPARAMETER temperature 0.6\nPARAMETER top_k 20\n"
        "PARAMETER stop \"</s>\"\nPARAMETER stop \"<|close|>\"\n\n"
        "LICENSE \"\"\"Do \"as\" you\nlike.\n\"\"\"\n");
  const json told = json::parse(result.out);
  CHECK(told["template"] == "derived");
  CHECK(told["proved"] == true);
  CHECK(told["conversations"] > 150);
  CHECK(told["not_the_same"].empty());
  CHECK(told["name"] == "me/mine:latest");

  // A folder that is there is left alone.
  CHECK(Quern({"export-ollama", dir / "m.gguf", dir / "out"}).exit_code == 5);
  CHECK(Quern({"export-ollama", dir / "m.gguf", dir / "out", "--force"}).exit_code == 0);
}

TEST_CASE("export-ollama --store writes what Ollama's source reads") {
  const testing::TempDir dir;
  const fs::path store = dir / "models";
  WriteModel(dir / "m.gguf", ChatText("turns.jinja"));
  testing::WriteText(dir / "LICENSE", "as you like");
  const std::vector<std::string> arguments = {
      "export-ollama", dir / "m.gguf", "--store",   store,           "--name", "mine:q4",
      "--system",      "Be kind.",     "--license", dir / "LICENSE", "--quiet"};
  const auto result = Quern(arguments);
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const fs::path path = store / "manifests/registry.ollama.ai/library/mine/q4";
  CHECK(result.out == path.string() + "\n");
  CHECK(NamesIn(store) == std::vector<std::string>{"blobs", "manifests"});

  const json manifest = Json(path);
  CHECK(manifest["schemaVersion"] == 2);
  CHECK(manifest["mediaType"] == "application/vnd.docker.distribution.manifest.v2+json");
  CHECK(manifest["config"]["mediaType"] == "application/vnd.docker.container.image.v1+json");
  CHECK(Json(CheckedBlob(store, manifest["config"])) == json{{"model_format", "gguf"},
                                                             {"model_family", "llama"},
                                                             {"model_families", {"llama"}},
                                                             {"model_type", "1K"},
                                                             {"file_type", "Q4_K_M"},
                                                             {"architecture", "amd64"},
                                                             {"os", "linux"}});
  std::vector<std::string> kinds;
  std::map<std::string, std::string> texts;
  for (const json& layer : manifest["layers"]) {
    const std::string type = layer["mediaType"], start = "application/vnd.ollama.image.";
    REQUIRE(type.starts_with(start));
    kinds.push_back(type.substr(start.size()));
    texts[kinds.back()] = testing::ReadText(CheckedBlob(store, layer));
  }
  CHECK(kinds == std::vector<std::string>{"model", "template", "system", "license", "params"});
  CHECK(texts["model"] == testing::ReadText(dir / "m.gguf"));
  CHECK(texts["template"].starts_with("{{ range .Messages }}"));
  CHECK(texts["system"] == "Be kind.");
  CHECK(texts["license"] == "as you like");
  CHECK(json::parse(texts["params"]) ==
        json{{"stop", {"</s>", "<|close|>"}}, {"temperature", 0.6}, {"top_k", 20}});
  CHECK(NamesIn(store / "blobs").size() == 6);

  // The same again changes nothing, not even a file's time.
  const auto before = fs::last_write_time(path);
  CHECK(Quern(arguments).exit_code == 0);
  CHECK(fs::last_write_time(path) == before);
  CHECK(NamesIn(store / "blobs").size() == 6);

  // Another model of that name is not replaced, unless it is asked for.
  WriteModel(dir / "other.gguf", ChatText("turns.jinja"), 2);
  const std::string text = testing::ReadText(path);
  std::vector<std::string> other = {"export-ollama", dir / "other.gguf", "--store", store,
                                    "--name",        "mine:q4",          "--quiet"};
  CHECK(Quern(other).exit_code == 5);
  CHECK(testing::ReadText(path) == text);
  other.push_back("--force");
  CHECK(Quern(other).exit_code == 0);
  CHECK(testing::ReadText(path) != text);
}

TEST_CASE("a store is whole at each moment") {
  const testing::TempDir dir;
  const fs::path store = dir / "models";
  WriteModel(dir / "m.gguf", ChatText("turns.jinja"));
  // A blob that a killed copy of some other program left short is written anew.
  fs::create_directories(store / "blobs");
  const fs::path blob = store / "blobs" / ("sha256-" + Sha256::HexOfFile(dir / "m.gguf"));
  testing::WriteText(blob, "short");
  const std::vector<std::string> arguments = {"export-ollama", dir / "m.gguf", "--store", store,
                                              "--name",        "mine",         "--quiet"};
  CHECK(testing::QuernWithFileLimit(1000, arguments).exit_code == 5);
  CHECK(NamesIn(store / "manifests").empty());
  for (const std::string& name : NamesIn(store / "blobs")) CHECK_FALSE(name.starts_with("."));
  CHECK(Quern(arguments).exit_code == 0);
  CHECK(testing::ReadText(blob) == testing::ReadText(dir / "m.gguf"));
}

TEST_CASE("no name leads out of the store") {
  const testing::TempDir dir;
  WriteModel(dir / "m.gguf", ChatText("turns.jinja"));
  fs::create_directory(dir / "in");
  for (const std::string name : {"../x", "..", "a/../../b:c", "x:../../y", "/abs/x", "", "a b"}) {
    CAPTURE(name);
    const auto result =
        Quern({"export-ollama", dir / "m.gguf", "--store", dir / "in" / "models", "--name", name});
    CHECK(result.exit_code == 2);
  }
  CHECK(NamesIn(dir / "in").empty());
  CHECK(NamesIn(dir.path()) == std::vector<std::string>{"in", "m.gguf"});
}

TEST_CASE("export-ollama refuses what it cannot make exact, and writes nothing") {
  const testing::TempDir dir;
  WriteModel(dir / "json.gguf", ChatText("json.jinja"));
  const auto refused = Quern({"export-ollama", dir / "json.gguf", dir / "out"});
  CHECK(refused.exit_code == 4);
  CHECK(refused.err.find("no exact Go template found") != std::string::npos);
  WriteModel(dir / "none.gguf", "");
  CHECK(Quern({"export-ollama", dir / "none.gguf", dir / "out"}).exit_code == 4);
  CHECK(Quern({"export-ollama", dir / "none.gguf"}).exit_code == 2);
  CHECK(Quern({"export-ollama", dir / "none.gguf", "--store", dir / "out"}).exit_code == 2);
  CHECK_FALSE(fs::exists(dir / "out"));

  CHECK(Quern({"export-ollama", dir / "none.gguf", dir / "out", "--without-template"}).exit_code ==
        0);
  CHECK(testing::ReadText(dir / "out" / "Modelfile").find("TEMPLATE") == std::string::npos);
}

TEST_CASE("a given template is compared with the model's own") {
  const testing::TempDir dir;
  WriteModel(dir / "m.gguf", ChatText("turns.jinja"));
  testing::WriteText(dir / "other.tmpl", "{{ range .Messages }}{{ .Content }}{{ end }}");
  const auto other = Quern(
      {"export-ollama", dir / "m.gguf", dir / "out", "--template", dir / "other.tmpl", "--json"});
  CHECK(other.exit_code == 0);
  CHECK(json::parse(other.out)["template"] == "given");
  CHECK(json::parse(other.out)["proved"] == false);
  CHECK(other.err.find("wanted ...") != std::string::npos);
  CHECK(testing::ReadText(dir / "out" / "Modelfile").find("{{ .Content }}{{ end }}") !=
        std::string::npos);
}

TEST_CASE("generation_config.json goes before the keys, options before both") {
  const testing::TempDir dir;
  WriteModel(dir / "m.gguf", ChatText("turns.jinja"));
  fs::create_directory(dir / "hf");
  testing::WriteText(dir / "hf" / "generation_config.json",
                     R"({"temperature": 0.9, "top_p": 0.8, "repetition_penalty": 1.1})");
  CHECK(Quern({"export-ollama", dir / "m.gguf", dir / "out", "--hf", dir / "hf", "--parameter",
               "top_p=0.5", "--parameter", "stop=a b"})
            .exit_code == 0);
  const std::string text = testing::ReadText(dir / "out" / "Modelfile");
  CHECK(text.find("PARAMETER repeat_penalty 1.1\nPARAMETER temperature 0.9\nPARAMETER top_k 20\n"
                  "PARAMETER top_p 0.5\n") != std::string::npos);
  CHECK(text.find("PARAMETER stop \"a b\"\n") != std::string::npos);
  CHECK(Quern({"export-ollama", dir / "m.gguf", dir / "o", "--parameter", "n_ctx=1"}).exit_code ==
        2);
  CHECK_FALSE(fs::exists(dir / "o"));
}

TEST_CASE("a file without a template takes that of the folder, wherever it stands there") {
  const testing::TempDir dir;
  WriteModel(dir / "with.gguf", ChatText("turns.jinja"));
  WriteModel(dir / "without.gguf", "");
  const auto modelfile = [&](const std::string& model, const fs::path& folder) {
    const auto out = dir / (folder.filename().string() + "-out");
    testing::QuernDone({"export-ollama", dir / model, out, "--hf", folder});
    const std::string text = testing::ReadText(out / "Modelfile");
    return text.substr(text.find('\n'));  // without FROM
  };
  const auto folder = [&](const char* name) {
    fs::create_directory(dir / name);
    return dir / name;
  };
  const std::string wanted = modelfile("with.gguf", folder("empty"));
  CHECK(wanted.find("TEMPLATE") != std::string::npos);
  const std::string jinja = ChatText("turns.jinja");
  testing::WriteText(folder("file") / "chat_template.jinja", jinja);
  CHECK(modelfile("without.gguf", dir / "file") == wanted);
  testing::WriteText(folder("config") / "tokenizer_config.json",
                     json{{"chat_template", jinja}}.dump());
  CHECK(modelfile("without.gguf", dir / "config") == wanted);
  const json named = {{{"name", "tool_use"}, {"template", "no"}},
                      {{"name", "default"}, {"template", jinja}}};
  testing::WriteText(folder("named") / "tokenizer_config.json",
                     json{{"chat_template", named}}.dump());
  CHECK(modelfile("without.gguf", dir / "named") == wanted);
  CHECK(
      Quern({"export-ollama", dir / "without.gguf", dir / "no", "--hf", dir / "empty"}).exit_code ==
      4);
  CHECK_FALSE(fs::exists(dir / "no"));
}

}  // namespace
}  // namespace quern
