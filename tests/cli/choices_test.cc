// hellaswag, winogrande and multiple-choice against what llama-perplexity gave for the same tasks
// and tiny-llama in f32 (-f or -bf, --...-tasks).
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

using nlohmann::json;
using testing::Quern;

TEST_CASE("choices are scored as by llama-perplexity, all of them and those that it draws") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  const testing::TempDir dir;
  const std::string file = dir / "m.gguf";
  REQUIRE(Quern({"convert", model.string(), "--outfile", file, "--outtype", "f32"}).exit_code == 0);
  struct Case {
    const char *command, *data, *count;
    int correct, tasks;
    double low, high;  // of the 95 % interval, by hellaswag's output
  };
  const Case cases[] = {
      {"hellaswag", "hellaswag.txt", "0", 35, 60, 0.457281, 0.699357},
      {"hellaswag", "hellaswag.txt", "23", 12, 23, 0.329627, 0.707628},
      {"winogrande", "winogrande.csv", "0", 53, 60, 0, 0},
      {"winogrande", "winogrande.csv", "17", 15, 17, 0, 0},
      {"multiple-choice", "multiple_choice.bin", "0", 35, 60, 0, 0},
      {"multiple-choice", "multiple_choice.bin", "19", 12, 19, 0, 0},
  };
  for (const Case& c : cases) {
    CAPTURE(c.command);
    CAPTURE(c.count);
    const auto data = testing::TestData("goldens/choices") / c.data;
    const auto result =
        Quern({c.command, "-m", file, "-f", data.string(), "--tasks", c.count, "--json", "-q"});
    CAPTURE(result.err);
    REQUIRE(result.exit_code == 0);
    const json got = json::parse(result.out);
    CHECK(got["correct"] == c.correct);
    CHECK(got["tasks"] == c.tasks);
    CHECK(got["score"].get<double>() == doctest::Approx(double(c.correct) / c.tasks));
    CHECK(got["chance"] == (c.command == std::string("winogrande") ? 0.5 : 0.25));
    if (c.high == 0) continue;
    CHECK(got["interval"][0].get<double>() == doctest::Approx(c.low).epsilon(1e-5));
    CHECK(got["interval"][1].get<double>() == doctest::Approx(c.high).epsilon(1e-5));
  }
}

}  // namespace
}  // namespace quern
