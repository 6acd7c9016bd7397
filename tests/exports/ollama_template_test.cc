#include "exports/ollama_template.h"

#include <doctest/doctest.h>
#include <fmt/format.h>

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

#include "base/error.h"
#include "exports/proof_conversations.h"
#include "tests/exports/go_cases.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

const Json kVariables = {{"bos_token", "<s>"}, {"eos_token", "</s>"}};

ChatTemplate Own(const std::string& name) {
  return ChatTemplate::Parse(testing::ReadText(testing::TestData("chat") / name), name);
}

std::string RefusalOf(const std::string& name) {
  try {
    DeriveOllamaTemplate(Own(name), kVariables, "");
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUnsupported);
    return error.what();
  }
  return "";
}

// The conversations of the proof that the Go template must follow, without those of `limits`.
std::vector<Conversation> Followed(const TemplateProof& proof) {
  std::vector<Conversation> conversations;
  for (const ProofConversation& one : ProofConversations()) {
    if (std::find(proof.limits.begin(), proof.limits.end(), one.limit) == proof.limits.end()) {
      conversations.push_back(one.messages);
    }
  }
  return conversations;
}

TEST_CASE("templates of every kind of turn are derived, and Go itself renders them") {
  Json cases = Json::array();
  for (const std::string name : {"turns.jinja", "merged_system.jinja", "late_system.jinja",
                                 "stripped.jinja", "reasoning.jinja", "braces.jinja"}) {
    CAPTURE(name);
    const ChatTemplate chat = Own(name);
    const auto made = DeriveOllamaTemplate(chat, kVariables, "");
    CHECK(made.proof.holds());
    CHECK(made.proof.equal > 100);
    CHECK(ProveGoTemplate(made.text, chat, kVariables, "").equal == made.proof.equal);
    // What Ollama's parser of Modelfiles would not read back is not written raw.
    CHECK(made.text.find("\"\"\"") == std::string::npos);
    CHECK(made.text.find("\xC2\xA0") == std::string::npos);
    cases.push_back(testing::GoCase(name, made.text, chat, kVariables, Followed(made.proof)));
    CHECK(cases.back()["Renderings"].size() > 200);
  }
  testing::CheckWithGo(cases);
}

TEST_CASE("the plainest template is as a person would write it") {
  const auto made = DeriveOllamaTemplate(Own("turns.jinja"), kVariables, "<s>");
  CHECK(made.text ==
        "{{ range .Messages }}\n"
        "{{- if eq .Role \"system\" }}<|system|>\n{{ .Content }}<|close|>\n"
        "{{ else if eq .Role \"user\" }}<|user|>\n{{ .Content }}<|close|>\n"
        "{{ else if eq .Role \"assistant\" }}<|assistant|>\n{{ .Content }}<|close|>\n"
        "{{ end }}\n"
        "{{- end }}<|assistant|>\n");
  CHECK(made.answer_end == "<|close|>\n");
  CHECK(made.proof.limits.empty());
}

TEST_CASE("where a Go template cannot follow, the first difference is told") {
  const std::string json = RefusalOf("json.jinja");
  CHECK(json.find("no exact Go template found: ") == 0);
  CHECK(json.find("wanted ...") != std::string::npos);
  CHECK(json.find("got ...") != std::string::npos);
  CHECK(RefusalOf("numbered.jinja").find("no rule tells them apart") != std::string::npos);
  CHECK(RefusalOf("clock.jinja").find("wanted ...") != std::string::npos);
  CHECK(RefusalOf("tools_only.jinja").find("renders no conversation") != std::string::npos);
}

TEST_CASE("limits name what a Go template does not follow") {
  const auto made = DeriveOllamaTemplate(Own("reasoning.jinja"), kVariables, "");
  REQUIRE(made.proof.limits.size() >= 1);
  CHECK(made.proof.limits[0].find("<think>") != std::string::npos);
}

TEST_CASE("a proof finds a Go template that is not the Jinja template's") {
  const ChatTemplate chat = Own("turns.jinja");
  const auto made = DeriveOllamaTemplate(chat, kVariables, "");
  const auto changed = [&](const std::string& from, const std::string& to) {
    std::string text = made.text;
    text.replace(text.find(from), from.size(), to);
    return ProveGoTemplate(text, chat, kVariables, "");
  };
  CHECK(changed("<|user|>\n", "<|user|>").difference.find("wanted ...") != std::string::npos);
  CHECK(changed("eq .Role \"system\"", "eq .Role \"developer\"").difference != "");
  CHECK_THROWS_AS(changed(".Content", ".Contents"), Error);
  CHECK_THROWS_AS(changed("{{ .Content }}", "{{ json .Content }}"), Error);
}

// What Jinja2 itself made of the conversations. Its strftime_now was a fixed text.
void AddRenderings(const Json& all, const std::string& name,
                   const std::map<std::string, Conversation>& conversations, Json& one) {
  const bool is_cut =
      one["Template"].get<std::string>().find("slice currentDate") != std::string::npos;
  for (const Json& rendering : all["renderings"]) {
    if (rendering["template"] != name || rendering["tools"] == true) continue;
    if (rendering["add_generation_prompt"] == false || rendering.contains("error")) continue;
    Json messages = Json::array();
    for (const ChatMessage& message : conversations.at(rendering["conversation"])) {
      messages.push_back({{"Role", message.role}, {"Content", message.content}});
    }
    one["Renderings"].push_back({{"Name", rendering["conversation"]},
                                 {"Messages", messages},
                                 {"Date", is_cut ? Json("2024-07-26") : all["strftime_now"]},
                                 {"Want", rendering["text"]}});
  }
}

TEST_CASE("at least 30 of the field's templates have a Go template, which Go renders alike") {
  QUERN_NEEDS_SHARED(folder, "chat_templates");
  const Json all = Json::parse(testing::ReadText(folder / "renderings.json"));
  const Json variables = {{"bos_token", all["bos_token"]},
                          {"eos_token", all["eos_token"]},
                          {"date_string", all["date_string"]}};
  std::map<std::string, Conversation> conversations;
  std::vector<Conversation> more;
  for (const auto& [name, messages] : all["conversations"].items()) {
    for (const Json& message : messages) {
      conversations[name].push_back({message["role"], message["content"]});
    }
    more.push_back(conversations[name]);
  }
  std::string table;
  Json cases = Json::array();
  for (const auto& entry : fs::directory_iterator(folder)) {
    if (entry.path().extension() != ".jinja") continue;
    const std::string name = entry.path().filename().string();
    const auto chat = ChatTemplate::Parse(testing::ReadText(entry.path()), name);
    try {
      const auto made = DeriveOllamaTemplate(chat, variables, "", more);
      table += fmt::format("{}: proved over {} conversations", name, made.proof.equal);
      for (const auto& limit : made.proof.limits) table += "; not " + limit;
      auto followed = Followed(made.proof);
      followed.insert(followed.end(), more.begin(), more.end());
      cases.push_back(testing::GoCase(name, made.text, chat, variables, followed));
      AddRenderings(all, name, conversations, cases.back());
    } catch (const Error& error) {
      CHECK(error.kind() == ErrorKind::kUnsupported);
      table += fmt::format("{}: {}", name, error.what());
    }
    table += "\n";
  }
  if (const char* path = std::getenv("QUERN_TEMPLATE_TABLE")) testing::WriteText(path, table);
  CHECK(cases.size() >= 42);
  testing::CheckWithGo(cases);
}

}  // namespace
}  // namespace quern
