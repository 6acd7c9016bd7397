// What people expect of `run`, and chat templates through the binary.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

using testing::Quern;

// tiny-llama as a GGUF file, with its chat template.
struct Model {
  testing::TempDir dir;
  std::string path = (dir / "tiny.gguf").string();
  explicit Model(const std::filesystem::path& folder) {
    REQUIRE(Quern({"convert", folder.string(), "--outtype", "f32", "--outfile", path}).exit_code ==
            0);
  }

  nlohmann::json Run(std::vector<std::string> arguments) const {
    for (const char* first : {"--json", path.c_str(), "-m", "run"}) {
      arguments.insert(arguments.begin(), first);
    }
    const auto result = Quern(arguments);
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    return nlohmann::json::parse(result.out);
  }
};

TEST_CASE("run stops at a stop string, which is not shown") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  const Model model(folder);
  const auto whole = model.Run({"-p", "In the beginning", "-n", "24", "--temp", "0"});
  const std::string text = whole["text"];
  CHECK(whole["stop"] == "length");
  CHECK(whole["ids"].size() == 24);
  REQUIRE(text.size() > 20);
  const std::string stop = text.substr(10, 4);
  const auto cut =
      model.Run({"-p", "In the beginning", "-n", "24", "--temp", "0", "-r", "@@@", "-r", stop});
  CHECK(cut["text"] == text.substr(0, text.find(stop)));
  CHECK(cut["stop"] == "stop");
  CHECK(cut["stop_string"] == stop);
  const auto plain = Quern({"run", "-m", model.path, "-p", "In the beginning", "-n", "24", "--temp",
                            "0", "--no-display-prompt"});
  CHECK(plain.out == text + "\n");
}

TEST_CASE("the same seed gives the same text, and samplers count") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  const Model model(folder);
  const auto ids = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"-p", "And", "-n", "16"});
    return model.Run(more)["ids"];
  };
  CHECK(ids({"--seed", "7"}) == ids({"--seed", "7"}));
  CHECK(ids({"--seed", "7"}) != ids({"--seed", "8"}));
  CHECK(ids({"--seed", "7", "--top-k", "1"}) == ids({"--temp", "0"}));
  CHECK(ids({"--seed", "7", "--typical", "0.2"}) != ids({"--seed", "7"}));
}

TEST_CASE("each sampler's options reach it, by the peers' names") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  const Model model(folder);
  const auto ids = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"-p", "And the", "-n", "40", "--seed", "7"});
    return model.Run(more)["ids"];
  };
  const auto usual = ids({});
  const std::vector<std::vector<std::string>> others = {
      {"--mirostat", "1", "--mirostat-ent", "2"},
      {"--mirostat", "2", "--mirostat-ent", "2", "--mirostat-lr", "0.2"},
      {"--xtc-probability", "1", "--xtc-threshold", "0.05"},
      {"--top-n-sigma", "1"},
      {"--samplers", "temperature"},
      {"--sampler-seq", "tk"}};
  for (const auto& more : others) {
    CAPTURE(more[0]);
    CHECK(ids(more) != usual);
  }
  CHECK(ids({"--samplers", "penalties;dry;top_n_sigma;top_k;typ_p;top_p;min_p;xtc;temperature"}) ==
        usual);
  CHECK(Quern({"run", "-m", model.path, "-p", "x", "--samplers", "top_j"}).exit_code == 2);
  CHECK(Quern({"run", "-m", model.path, "-p", "x", "--mirostat", "3"}).exit_code == 2);
  // What greedy text repeats DRY does not, unless its words are breakers all.
  const auto greedy = ids({"--temp", "0"});
  const auto dry = [&](std::vector<std::string> more) {
    more.insert(more.begin(), {"--temp", "0", "--dry-multiplier", "5", "--dry-allowed-length", "1",
                               "--dry-base", "2", "--dry-penalty-last-n", "100"});
    return ids(more);
  };
  CHECK(dry({"--dry-sequence-breaker", "none"}) != greedy);
  CHECK(dry({"--dry-sequence-breaker", " ", "--dry-sequence-breaker", "e"}) !=
        dry({"--dry-sequence-breaker", "none"}));
}

TEST_CASE("escapes in a prompt stand for characters unless it is told otherwise") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  const Model model(folder);
  const auto prompt = [&](const std::string& text, std::vector<std::string> more = {}) {
    more.insert(more.begin(), {"-p", text, "-n", "1", "--temp", "0"});
    return model.Run(more)["prompt_ids"];
  };
  CHECK(prompt(R"(a\nb\t\x41\"\\)") == prompt("a\nb\tA\"\\", {"--no-escape"}));
  CHECK(prompt(R"(a\nb)", {"--no-escape"}) != prompt("a\nb", {"--no-escape"}));
  CHECK(prompt(R"(a\q\xZZ\)") == prompt(R"(a\q\xZZ\)", {"--no-escape"}));
  CHECK(prompt(R"(a\nb)", {"-e"}) == prompt(R"(a\nb)"));
}

TEST_CASE("a conversation goes on over several turns, each with all that was said before") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  const Model model(folder);
  // The second turn is two lines, the third is empty and passed over.
  const auto result = testing::QuernReading(
      "Who art thou?\nSpeak\\\nunto me\n\nAnd now?\n",
      {"run", "-m", model.path, "--chat", "--json", "-n", "6", "--temp", "0", "--seed", "1"});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const std::vector<std::string> said = {"Who art thou?", "Speak\nunto me", "And now?"};
  nlohmann::json messages = nlohmann::json::array();
  std::istringstream lines(result.out);
  size_t turn = 0;
  for (std::string line; std::getline(lines, line); ++turn) {
    REQUIRE(turn < said.size());
    const auto answer = nlohmann::json::parse(line);
    messages.push_back({{"role", "user"}, {"content", said[turn]}});
    testing::WriteText(model.dir / "messages.json", messages.dump());
    const auto text = Quern({"chat-template", model.path, "--messages",
                             (model.dir / "messages.json").string(), "--add-generation-prompt"});
    REQUIRE(text.exit_code == 0);
    testing::WriteText(model.dir / "prompt.txt", text.out);
    const auto tokens = Quern({"tokenize", "-m", model.path, "-f",
                               (model.dir / "prompt.txt").string(), "--no-bos", "--json"});
    CHECK(nlohmann::json::parse(tokens.out)["ids"] == answer["prompt_ids"]);
    // What the cache kept of the turns before gives what a fresh one gives.
    const auto fresh = model.Run({"-p", text.out, "-n", "6", "--temp", "0", "--no-escape"});
    if (fresh["prompt_ids"] == answer["prompt_ids"]) CHECK(fresh["ids"] == answer["ids"]);
    messages.push_back({{"role", "assistant"}, {"content", answer["text"]}});
  }
  CHECK(turn == said.size());
}

TEST_CASE("a full context stops the text, or is shifted") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  const Model model(folder);
  const std::vector<std::string> options = {"-p", "And",    "-n", "40",          "-c",
                                            "16", "--temp", "0",  "--ignore-eos"};
  const auto stopped = model.Run(options);
  CHECK(stopped["stop"] == "context");
  CHECK(stopped["ids"].size() < 20);
  auto shift = options;
  shift.emplace_back("--context-shift");
  const auto shifted = model.Run(shift);
  CHECK(shifted["stop"] == "length");
  CHECK(shifted["ids"].size() == 40);
  // Up to the shift nothing is different.
  for (size_t i = 0; i < stopped["ids"].size(); ++i) CHECK(shifted["ids"][i] == stopped["ids"][i]);
  CHECK(Quern({"run", "-m", model.path, "-p", "And he said unto them, Go", "-c", "2"}).exit_code ==
        2);
}

TEST_CASE("a chat turn is rendered by the file's template") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  const Model model(folder);
  const auto turn =
      model.Run({"-p", "Who art thou?", "-st", "-sys", "Be brief.", "-n", "8", "--temp", "0"});
  const std::string prompt = "<s>[INST] <<SYS>>\nBe brief.\n<</SYS>>\n\nWho art thou? [/INST]";
  testing::WriteText(model.dir / "prompt.txt", prompt);
  const auto tokens = Quern({"tokenize", "-m", model.path, "-f",
                             (model.dir / "prompt.txt").string(), "--no-bos", "--json"});
  REQUIRE(tokens.exit_code == 0);
  CHECK(nlohmann::json::parse(tokens.out)["ids"] == turn["prompt_ids"]);
  CHECK(turn["ids"].size() <= 8);
  // Without a terminal and a prompt a conversation has ended before it begins.
  const auto silent = Quern({"run", "-m", model.path, "--chat"});
  CHECK(silent.exit_code == 0);
  CHECK(silent.out.empty());
  testing::WriteText(model.dir / "bad.jinja", "{% for %}");
  CHECK(Quern({"run", "-m", model.path, "-p", "x", "-st", "--chat-template-file",
               (model.dir / "bad.jinja").string()})
            .exit_code == 3);
}

TEST_CASE("chat-template prints what the model's template renders") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  const Model model(folder);
  const auto messages = (model.dir / "messages.json").string();
  testing::WriteText(messages, R"([{"role": "user", "content": "one"},
                                   {"role": "assistant", "content": "two"},
                                   {"role": "user", "content": "three"}])");
  const auto result = Quern({"chat-template", model.path, "--messages", messages});
  CHECK(result.exit_code == 0);
  CHECK(result.out == "<s>[INST] one [/INST] two </s><s>[INST] three [/INST]");
  const auto jinja = (model.dir / "t.jinja").string();
  testing::WriteText(jinja,
                     "{{ x }} {{ messages | length }} {{ strftime_now('%Y') }}"
                     "{% if add_generation_prompt %} go{% endif %}");
  const auto set = Quern({"chat-template", jinja, "--messages", messages, "--set", "x=[1, 2]",
                          "--now", "then", "--add-generation-prompt"});
  CHECK(set.exit_code == 0);
  CHECK(set.out == "[1, 2] 3 then go");
  CHECK(Quern({"chat-template", jinja, "--messages", messages, "--set", "x"}).exit_code == 2);
  testing::WriteText(jinja, "{{ raise_exception('no') }}");
  CHECK(Quern({"chat-template", jinja, "--messages", messages}).exit_code == 3);
}

}  // namespace
}  // namespace quern
