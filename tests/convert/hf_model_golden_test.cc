#include <doctest/doctest.h>
#include <fmt/format.h>

#include <cstring>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/hash.h"
#include "convert/checkpoint.h"
#include "convert/hf_model.h"
#include "quant/file_type.h"
#include "quant/typed_source.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using nlohmann::json;

const std::vector<std::string> kModels = {
    "tiny-llama",
    "families/llama3-scaled",
    "families/llama-linear-bias",
    "families/llama-yarn-sharded",
    "families/mistral-headdim",
    "families/mistral-window",
    "families/qwen2",
    "families/qwen3",
};

struct Converted {
  Metadata keys;
  std::shared_ptr<const TensorSource> tensors;
};

Converted Convert(const std::filesystem::path& folder, std::string_view outtype) {
  NoProgress progress;
  const HfModel model = HfModel::Open(folder, {}, progress);
  auto named = model.Named(Checkpoint::Open(folder));
  const FileTypeInfo& type = InfoOf(*FileTypeFromName(outtype));
  const auto types = ConvertedTypes(named->tensors(), type.type);
  Converted result;
  result.tensors = std::make_shared<TypedSource>(std::move(named), types);
  int64_t weights = 0;
  for (const TensorInfo& tensor : result.tensors->tensors()) weights += tensor.elements();
  ModelNameParts name;
  result.keys = model.Keys(weights, type.id, progress, name);
  return result;
}

// "type,shape,xxh64" of each tensor, by model, outtype and tensor.
using Lines = std::vector<std::pair<std::string, std::string>>;
std::map<std::pair<std::string, std::string>, Lines> ReadGoldens(const std::string& text) {
  std::map<std::pair<std::string, std::string>, Lines> goldens;
  std::istringstream in(text);
  std::string line;
  std::getline(in, line);
  while (std::getline(in, line)) {
    std::istringstream fields(line);
    std::string model, outtype, tensor, rest;
    std::getline(fields, model, ',');
    std::getline(fields, outtype, ',');
    std::getline(fields, tensor, ',');
    std::getline(fields, rest);
    goldens[{model, outtype}].emplace_back(tensor, rest);
  }
  return goldens;
}

std::string LineOf(const TensorSource& source, size_t index) {
  const TensorInfo& tensor = source.tensors()[index];
  std::string type(NameOf(tensor.type));
  for (char& c : type) c = static_cast<char>(std::toupper(c));
  return fmt::format("{},{},{}", type, fmt::join(tensor.shape, "x"),
                     HexOf(Xxh64::Of(source.ReadAll(index))));
}

TEST_CASE("tensors of every family equal the reference's, for every outtype") {
  QUERN_NEEDS_SHARED(csv, "goldens/convert.csv");
  int compared = 0;
  for (const auto& golden : ReadGoldens(testing::ReadText(csv))) {
    const auto& [model, outtype] = golden.first;
    const auto& lines = golden.second;
    const auto folder = testing::Shared("models/" + model);
    if (folder.empty()) {
      testing::SaySkipped(model + " is not there");
      continue;
    }
    INFO(golden.first.first, " as ", golden.first.second);
    const Converted converted = Convert(folder, outtype);
    REQUIRE(converted.tensors->tensors().size() == lines.size());
    for (size_t i = 0; i < lines.size(); ++i) {
      CHECK(converted.tensors->tensors()[i].name == lines[i].first);
      CHECK(LineOf(*converted.tensors, i) == lines[i].second);
    }
    ++compared;
  }
  CHECK(compared >= 4);
}

// An array as the goldens tell it: as it is where it is short, else type, count and hash.
json GoldenOf(const Array& array) {
  if (array.type() != ValueType::kString) {
    return {{"of", NameOf(array.type())},
            {"count", array.size()},
            {"xxh64", HexOf(Xxh64::Of(array.bytes()))}};
  }
  Xxh64 hash;
  for (const std::string& text : array.strings()) {
    const uint64_t size = text.size();
    hash.Update(std::as_bytes(std::span(&size, 1)));
    hash.Update(std::as_bytes(std::span(text)));
  }
  return {{"of", "str"}, {"count", array.size()}, {"xxh64", HexOf(hash.Digest())}};
}

json GoldenOf(const Value& value) {
  const json plain = std::visit(
      [](const auto& v) -> json {
        if constexpr (std::is_same_v<std::decay_t<decltype(v)>, Array>)
          return GoldenOf(v);
        else
          return v;
      },
      value.variant());
  return json::array({NameOf(value.type()), plain});
}

TEST_CASE("keys of every family equal the reference's, in its order") {
  QUERN_NEEDS_SHARED(file, "goldens/convert-keys.json");
  const auto goldens = nlohmann::ordered_json::parse(testing::ReadText(file));
  int compared = 0;
  for (const std::string& model : kModels) {
    const auto folder = testing::Shared("models/" + model);
    if (folder.empty()) continue;
    CAPTURE(model);
    const Metadata keys = Convert(folder, "bf16").keys;
    std::vector<std::string> wanted, got;
    for (const auto& [key, value] : goldens.at(model).items()) wanted.push_back(key);
    for (const auto& [key, value] : keys.entries()) got.push_back(key);
    CHECK(got == wanted);
    for (const auto& wanted_key : goldens.at(model).items()) {
      CAPTURE(wanted_key.key());
      const Value* ours = keys.Find(wanted_key.key());
      REQUIRE(ours);
      CHECK(GoldenOf(*ours) == json::parse(wanted_key.value().dump()));
    }
    ++compared;
  }
  CHECK(compared >= 4);
}

TEST_CASE("the written vocabularies encode as the models' own libraries do") {
  for (const std::string& model : kModels) {
    const auto folder = testing::Shared("models/" + model);
    if (folder.empty()) continue;
    CAPTURE(model);
    const json tokens = json::parse(testing::ReadText(folder / "tokens.json"));
    const bool plain = tokens["source"].get<std::string>().starts_with("sentencepiece");
    NoProgress progress;
    ModelNameParts name;
    const Metadata keys = HfModel::Open(folder, {}, progress).Keys(0, 1, progress, name);
    const auto tokenizer = Tokenizer::FromMetadata(keys);
    for (const json& item : tokens["cases"]) {
      const auto text = item["text"].get<std::string>();
      CAPTURE(text);
      CHECK(tokenizer->Encode(text, false, !plain) == item["ids"].get<std::vector<TokenId>>());
    }
  }
}

}  // namespace
}  // namespace quern
