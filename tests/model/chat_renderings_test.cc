#include <doctest/doctest.h>

#include <nlohmann/json.hpp>
#include <string>

#include "base/error.h"
#include "model/chat/chat_template.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using Json = nlohmann::ordered_json;

TEST_CASE("templates of the field render as Jinja2 renders them") {
  QUERN_NEEDS_SHARED(folder, "chat_templates");
  const Json all = Json::parse(testing::ReadText(folder / "renderings.json"));
  REQUIRE(all["renderings"].size() > 100);
  ChatTemplateOptions options;
  options.now = all["strftime_now"].get<std::string>();
  for (const Json& one : all["renderings"]) {
    const auto name = one["template"].get<std::string>();
    CAPTURE(one.dump());
    Json values = {{"bos_token", all["bos_token"]},
                   {"eos_token", all["eos_token"]},
                   {"date_string", all["date_string"]},
                   {"add_generation_prompt", one["add_generation_prompt"]}};
    values["messages"] = all["conversations"][one["conversation"].get<std::string>()];
    values["tools"] = one["tools"].get<bool>() ? all["tools"] : Json();
    const auto render = [&] {
      return ChatTemplate::Parse(testing::ReadText(folder / name), name).Render(values, options);
    };
    if (one.contains("error")) {
      CHECK_THROWS_AS(render(), Error);
    } else {
      CHECK(render() == one["text"].get<std::string>());
    }
  }
}

}  // namespace
}  // namespace quern
