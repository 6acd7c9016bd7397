#include "model/tokenizer/tokenizer.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "convert/hf_model.h"
#include "convert/pre_tokenizer_name.h"
#include "convert/sentencepiece_model.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using nlohmann::json;

Metadata KeysOf(const std::filesystem::path& path) {
  NoProgress progress;
  ModelNameParts name;
  return HfModel::Open(path, {}, progress).Keys(0, 1, progress, name);
}

json Split(const char* regex) {
  return {{"type", "Split"},
          {"pattern", {{"Regex", regex}}},
          {"behavior", "Isolated"},
          {"invert", false}};
}
json Bytes(bool use_regex) {
  return {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"use_regex", use_regex}};
}
std::string NameOf(const std::vector<json>& steps) {
  const json file = {{"pre_tokenizer", {{"type", "Sequence"}, {"pretokenizers", steps}}}};
  return PreTokenizerName(file, "tokenizer.json");
}

TEST_CASE("pre-tokenizers are known by their steps") {
  CHECK(PreTokenizerName({{"pre_tokenizer", Bytes(true)}}, "t") == "gpt-2");
  const json digits = {{"type", "Digits"}, {"individual_digits", true}};
  const json runs = {{"type", "Digits"}, {"individual_digits", false}};
  const json punctuation = {{"type", "Punctuation"}, {"behavior", "Contiguous"}};
  CHECK(NameOf({digits, Bytes(true)}) == "starcoder");
  CHECK(NameOf({punctuation, Bytes(true), runs, Split("[0-9][0-9][0-9]")}) == "falcon");
  CHECK(NameOf({Split("[\r\n]"), Split("\\s?\\p{L}+"), Split("\\s?\\p{P}+"),
                Split("[一-龥ࠀ-一가-퟿]+"), digits, Bytes(false)}) == "deepseek-coder");
}

TEST_CASE("an unknown pre-tokenizer is refused with its expression") {
  try {
    NameOf({Split("[^a-z]+never-seen"), Bytes(false)});
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUnsupported);
    CHECK(std::string(error.what()).find("[^a-z]+never-seen") != std::string::npos);
    CHECK(std::string(error.what()).find("--pre") != std::string::npos);
  }
  CHECK_THROWS_AS(NameOf({Split("\\p{N}"), json(3)}), Error);
  CHECK_THROWS_AS(PreTokenizerName(json::object(), "t"), Error);
}

// BPE of SentencePiece's kind over a few letters; the merges decide against the longest match.
json SentencePieceKind() {
  json vocab = json::object();
  int id = 0;
  vocab["<unk>"] = id++;
  for (int byte = 0; byte < 256; ++byte) vocab[fmt::format("<0x{:02X}>", byte)] = id++;
  for (const char* token : {"▁", "a", "b", "c", "ab", "bc", "abc", "▁a"}) vocab[token] = id++;
  return {{"added_tokens", {{{"id", 0}, {"content", "<unk>"}, {"special", true}}}},
          {"normalizer",
           {{"type", "Sequence"},
            {"normalizers",
             {{{"type", "Prepend"}, {"prepend", "▁"}},
              {{"type", "Replace"}, {"pattern", {{"String", " "}}}, {"content", "▁"}}}}}},
          {"pre_tokenizer", nullptr},
          {"decoder", {{"type", "Sequence"}, {"decoders", json::array()}}},
          {"model",
           {{"type", "BPE"},
            {"unk_token", "<unk>"},
            {"byte_fallback", true},
            {"vocab", vocab},
            {"merges", json::parse(R"([["b", "c"], ["a", "bc"], ["▁", "a"], ["a", "b"]])")}}}};
}

TEST_CASE("a tokenizer.json of SentencePiece's kind encodes in the order of its merges") {
  testing::TempDir dir;
  const json file = SentencePieceKind();
  testing::WriteText(dir / "tokenizer.json", file.dump());
  const Metadata keys = KeysOf(dir / "tokenizer.json");
  CHECK(keys.NeedText("tokenizer.ggml.model") == "llama");
  CHECK(!keys.Has("tokenizer.ggml.add_space_prefix"));
  const auto tokenizer = Tokenizer::FromMetadata(keys);
  const auto id = [&](const char* token) { return file["model"]["vocab"][token].get<TokenId>(); };
  // b+c goes before a+b, then a+bc before the space.
  CHECK(tokenizer->Encode("abc", false, false) == std::vector<TokenId>{id("▁"), id("abc")});
  CHECK(tokenizer->Encode("ab", false, false) == std::vector<TokenId>{id("▁a"), id("b")});
  CHECK(tokenizer->Encode("é", false, false) ==
        std::vector<TokenId>{id("▁"), id("<0xC3>"), id("<0xA9>")});
}

TEST_CASE("older merges are texts, and a merge must make a token") {
  testing::TempDir dir;
  json file = SentencePieceKind();
  file["model"]["merges"] = {"b c", "a bc", "▁ a", "a b"};
  testing::WriteText(dir / "tokenizer.json", file.dump());
  CHECK(KeysOf(dir / "tokenizer.json").NeedArray("tokenizer.ggml.scores").size() == 265);
  for (const json& merges : {json({"b"}), json({"c c"}), json({1}), json("x"), json({{"a"}})}) {
    file["model"]["merges"] = merges;
    testing::WriteText(dir / "bad.json", file.dump());
    CHECK_THROWS_AS(KeysOf(dir / "bad.json"), Error);
  }
}

TEST_CASE("other kinds of tokenizers are refused by name") {
  testing::TempDir dir;
  testing::WriteText(dir / "t.json", R"({"model": {"type": "Unigram", "vocab": []}})");
  try {
    KeysOf(dir / "t.json");
    FAIL("not refused");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUnsupported);
    CHECK(std::string(error.what()).find("Unigram") != std::string::npos);
  }
}

TEST_CASE("hostile tokenizer files are errors of the input") {
  testing::TempDir dir;
  for (const char* text : {
           "{",
           "[]",
           "{}",
           R"({"model": 3})",
           R"({"model": {"type": "BPE"}})",
           R"({"model": {"type": "BPE", "byte_fallback": true, "vocab": {"a": -1}}})",
           R"({"model": {"type": "BPE", "vocab": {"a": 99999999999}},
               "decoder": {"type": "ByteLevel"}})",
           R"({"model": {"type": "BPE", "vocab": {"a": "b"}}, "decoder": {"type": "ByteLevel"}})",
           R"({"model": {"type": "BPE", "vocab": {}}, "added_tokens": [3],
               "decoder": {"type": "ByteLevel"}})",
       }) {
    CAPTURE(text);
    testing::WriteText(dir / "t.json", text);
    CHECK_THROWS_AS(KeysOf(dir / "t.json"), Error);
  }
}

TEST_CASE("a tokenizer.model cut anywhere is an error or a shorter list, never more") {
  QUERN_NEEDS_SHARED(path, "models/tiny-llama/tokenizer.model");
  const std::string text = testing::ReadText(path);
  const auto whole = std::as_bytes(std::span(text));
  const size_t count = ParseSentencePieceModel(whole, "whole").pieces.size();
  CHECK(count == 4096);
  for (size_t size = 0; size < whole.size(); size += size < 300 ? 1 : 977) {
    try {
      const size_t got = ParseSentencePieceModel(whole.first(size), "cut").pieces.size();
      CHECK(got <= count);
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kBadInput);
    }
  }
}

TEST_CASE("named chat templates have their own keys") {
  testing::TempDir dir;
  testing::WriteText(dir / "tokenizer.json", SentencePieceKind().dump());
  testing::WriteText(dir / "tokenizer_config.json",
                     R"({"chat_template": [{"name": "default", "template": "D"},
                                           {"name": "tool use", "template": "T"}]})");
  const Metadata keys = KeysOf(dir.path());
  CHECK(keys.NeedText("tokenizer.chat_template") == "D");
  CHECK(keys.NeedText("tokenizer.chat_template.tool_use") == "T");
  CHECK(keys.NeedArray("tokenizer.chat_templates").strings() ==
        std::vector<std::string>{"tool_use"});
}

TEST_CASE("special tokens come of templates, configs and the vocabulary") {
  testing::TempDir dir;
  json file = SentencePieceKind();
  file["added_tokens"].push_back({{"id", 265}, {"content", "<s>"}, {"special", true}});
  file["added_tokens"].push_back({{"id", 266}, {"content", "</s>"}, {"special", true}});
  file["post_processor"] = {{"type", "TemplateProcessing"},
                            {"single",
                             {{{"SpecialToken", {{"id", "<s>"}, {"type_id", 0}}}},
                              {{"Sequence", {{"id", "A"}, {"type_id", 0}}}}}},
                            {"pair", json::array()}};
  testing::WriteText(dir / "tokenizer.json", file.dump());
  testing::WriteText(dir / "tokenizer_config.json",
                     R"({"eos_token": {"content": "</s>"}, "add_eos_token": false})");
  const Metadata keys = KeysOf(dir.path());
  CHECK(keys.NeedInt("tokenizer.ggml.bos_token_id") == 265);
  CHECK(keys.NeedInt("tokenizer.ggml.eos_token_id") == 266);
  CHECK(keys.Bool("tokenizer.ggml.add_bos_token") == true);
  CHECK(keys.Bool("tokenizer.ggml.add_eos_token") == false);
}

}  // namespace
}  // namespace quern
