#include "tests/exports/go_cases.h"

#include <doctest/doctest.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cstdlib>

#include "exports/chat_date.h"
#include "exports/chat_oracle.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern::testing {

using Json = nlohmann::ordered_json;

namespace {

std::string FindGo() {
  for (const char* path : {"/usr/bin/go", "/usr/local/bin/go", "/usr/local/go/bin/go"}) {
    if (access(path, X_OK) == 0) return path;
  }
  return "";
}

}  // namespace

Json GoCase(const std::string& name, const std::string& go_template, const ChatTemplate& chat,
            const Json& variables, const std::vector<Conversation>& conversations) {
  const ChatOracle oracle(chat, variables, "");
  Json one = {{"Name", name}, {"Template", go_template}, {"Renderings", Json::array()}};
  for (size_t i = 0; i < conversations.size(); ++i) {
    for (const int64_t day : {int64_t{1772884800}, int64_t{1953288000}}) {
      ChatTemplateOptions options;
      options.clock = day;
      const auto want = oracle.Render(conversations[i], options);
      if (!want) continue;
      Json messages = Json::array();
      for (const ChatMessage& message : conversations[i]) {
        messages.push_back({{"Role", message.role}, {"Content", message.content}});
      }
      one["Renderings"].push_back({{"Name", fmt::format("conversation {}", i)},
                                   {"Messages", messages},
                                   {"Date", FormatDate("%Y-%m-%d", day)},
                                   {"Want", *want}});
    }
  }
  return one;
}

bool CheckWithGo(const Json& cases) {
  const std::string go = FindGo();
  if (go.empty()) {
    SaySkipped("Go (Debian's golang-go) is not installed");
    return false;
  }
  const TempDir dir;
  WriteText(dir / "cases.json", cases.dump());
  // A program of the standard library alone: nothing is fetched.
  setenv("GO111MODULE", "off", 1);
  setenv("GOTOOLCHAIN", "local", 1);
  if (std::getenv("HOME") == nullptr) setenv("GOCACHE", (dir / "cache").c_str(), 1);
  const auto program = SourceDir() / "tests" / "golang" / "render.go";
  const auto result = Run(go, {"run", program.string(), (dir / "cases.json").string()});
  MESSAGE("Go: " << result.out << result.err);
  CHECK(result.exit_code == 0);
  return true;
}

}  // namespace quern::testing
