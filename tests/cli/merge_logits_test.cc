// Every adapter, merged into a f32 model, gives the logits that PEFT gives with the adapter applied
// at run time in float32.
#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/logits.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

using testing::JoinedIds;
using testing::Quern;
using testing::QuernDone;

TEST_CASE("merged models give the logits of their adapters") {
  QUERN_NEEDS_SHARED(index, "models/adapters/index.json");
  const auto entries = nlohmann::json::parse(testing::ReadText(index));
  int checked = 0;
  for (const auto& item : entries.items()) {
    const auto& name = item.key();
    const auto& entry = item.value();
    if (!entry.contains("logits")) continue;
    INFO(name);
    const auto base = testing::Shared("models/" + entry["base"].get<std::string>());
    const auto adapter = testing::Shared("models/adapters/" + name);
    if (base.empty() || adapter.empty()) {
      testing::SaySkipped(name);
      continue;
    }
    testing::TempDir dir;
    const auto f32 = (dir / "base.gguf").string(), out = (dir / "out.gguf").string();
    QuernDone({"convert", base.string(), "--outtype", "f32", "--outfile", f32});
    QuernDone({"merge-lora", f32, adapter.string(), out});
    const auto result = Quern({"logits", "-m", out, "--tokens", JoinedIds(entry["logits"]["ids"]),
                               "--top", "8", "--json"});
    REQUIRE(result.exit_code == 0);
    const auto top = nlohmann::json::parse(result.out)["top"];
    const auto& wanted = entry["logits"]["top"];
    REQUIRE(top.size() == wanted.size());
    for (size_t i = 0; i < wanted.size(); ++i) {
      CHECK(top[i]["id"] == wanted[i][0]);
      CHECK(std::fabs(top[i]["logit"].get<double>() - wanted[i][1].get<double>()) < 2e-3);
    }
    ++checked;
  }
  CHECK(checked > 0);
}

}  // namespace
}  // namespace quern
