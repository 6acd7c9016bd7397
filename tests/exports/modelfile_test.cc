#include "exports/modelfile.h"

#include <doctest/doctest.h>

#include <string>
#include <utility>
#include <vector>

#include "base/error.h"

namespace quern {
namespace {

using Commands = std::vector<std::pair<std::string, std::string>>;

std::string Trimmed(const std::string& text) {
  const size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") + 1 - first);
}

// What stands between quotes, if they are closed; three of them begin a text of lines.
bool Unquote(std::string& text) {
  for (const std::string quotes : {"\"\"\"", "\""}) {
    if (!text.starts_with(quotes)) continue;
    if (text.size() < 2 * quotes.size() || !text.ends_with(quotes)) return false;
    text = text.substr(quotes.size(), text.size() - 2 * quotes.size());
    return true;
  }
  return true;
}

// Reads a Modelfile by the rules of Ollama's parser: a value ends at the first line end at which
// its quotes are closed.
Commands Read(const std::string& text) {
  Commands commands;
  size_t at = 0;
  while ((at = text.find_first_not_of(" \t\r\n", at)) != std::string::npos) {
    std::string name, value;
    for (; text[at] != ' '; ++at) name += text[at];
    if (name == "PARAMETER") {
      name.clear();
      for (++at; text[at] != ' '; ++at) name += text[at];
    }
    for (++at; at < text.size(); ++at) {
      std::string whole = Trimmed(value);
      if ((text[at] == '\n' || text[at] == '\r') && Unquote(whole)) {
        commands.emplace_back(name, whole);
        break;
      }
      value += text[at];
    }
  }
  return commands;
}

TEST_CASE("a Modelfile is read back as it was meant") {
  for (const char* text : {"plain", "two\nlines", " spaces ", "\"quoted\"", "ends with \"", "\"",
                           "\"\"", "\n\nx\n\n", "a\"\"\"b", "\"\"\" at the start", "tab\tcr\r\nlf",
                           "# no comment", "FROM x\nSYSTEM y", "\\n {{ .Prompt }}"}) {
    CAPTURE(text);
    OllamaModel model;
    model.chat_template = text;
    model.system = text;
    model.stops = {text, "<|im_end|>"};
    model.licenses = {text, "second"};
    model.parameters = {{"temperature", "0.7"}, {"top_k", "40"}};
    const Commands wanted = {
        {"FROM", "./weights q4.gguf"}, {"TEMPLATE", text}, {"SYSTEM", text},
        {"temperature", "0.7"},        {"top_k", "40"},    {"stop", text},
        {"stop", "<|im_end|>"},        {"LICENSE", text},  {"LICENSE", "second"}};
    CHECK(Read(ModelfileText(model, "weights q4.gguf")) == wanted);
  }
}

TEST_CASE("what a Modelfile cannot hold is refused, or of a licence left out") {
  const auto text_of = [](const std::string& system, const std::string& license) {
    OllamaModel model;
    model.system = system;
    if (!license.empty()) model.licenses = {license};
    return ModelfileText(model, "m.gguf");
  };
  for (const char* bad : {"a\"\"\"\nb", "a\"\"\" \t\nb",
                          "no\xC2\xA0"
                          "break",
                          "form\ffeed", "zero\xE2\x80\x8Bwidth", "\xFF"}) {
    CAPTURE(bad);
    CHECK_THROWS_AS(text_of(bad, ""), Error);
  }
  CHECK(text_of("", "page\fpage") == "FROM ./m.gguf\n\nLICENSE \"pagepage\"\n");
  CHECK_THROWS_AS(text_of("", "a\"\"\"\nb"), Error);
  for (const char* name : {"", "a\"b", "a/b", "a\nb", "a ", "\xC2\xA0"}) {
    CHECK_FALSE(IsModelfileName(name));
  }
}

TEST_CASE("parameters have Ollama's names and kinds") {
  OllamaModel model;
  SetOllamaParameter("temperature", "0.70", model);
  SetOllamaParameter("num_ctx", "8192", model);
  SetOllamaParameter("top_p", "1", model);
  SetOllamaParameter("stop", "x", model);
  CHECK(model.parameters == std::map<std::string, std::string>{
                                {"num_ctx", "8192"}, {"temperature", "0.7"}, {"top_p", "1"}});
  for (const auto& [name, value] :
       {std::pair{"temperature", "hot"}, std::pair{"num_ctx", "1.5"}, std::pair{"num_ctx", ""},
        std::pair{"top_p", "nan"}, std::pair{"top_p", "1 "}, std::pair{"n_ctx", "1"},
        std::pair{"stop", ""}}) {
    CHECK_THROWS_AS(SetOllamaParameter(name, value, model), Error);
  }

  OllamaModel read;
  ReadGenerationConfig(
      R"({"do_sample": true, "temperature": 0.6, "top_k": 20, "repetition_penalty": 1.05,
          "eos_token_id": [1, 2], "top_p": null})",
      "g.json", read);
  CHECK(read.parameters == std::map<std::string, std::string>{{"repeat_penalty", "1.05"},
                                                              {"temperature", "0.6"},
                                                              {"top_k", "20"}});
  OllamaModel greedy;
  ReadGenerationConfig(R"({"do_sample": false, "temperature": 0.6})", "g.json", greedy);
  CHECK(greedy.parameters.empty());
  CHECK_THROWS_AS(ReadGenerationConfig("[]", "g.json", greedy), Error);
  CHECK_THROWS_AS(ReadGenerationConfig(R"({"top_k": 1.5})", "g.json", greedy), Error);
}

}  // namespace
}  // namespace quern
