// kl-divergence and perplexity against what llama-perplexity gave for the same files, through the
// whole chain: converted, quantized and compared by the program.
#include <doctest/doctest.h>

#include <cmath>
#include <map>
#include <nlohmann/json.hpp>
#include <sstream>

#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

using nlohmann::json;
using testing::Quern;

void Convert(const std::filesystem::path& model, const std::string& out, const std::string& type) {
  const auto result = Quern({"convert", model.string(), "--outfile", out, "--outtype", type});
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
}

json Json(const std::vector<std::string>& arguments) {
  const auto result = Quern(arguments);
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  return json::parse(result.out);
}

// The golden line of a file type without a matrix, by the names of its columns.
std::map<std::string, double> GoldenLine(const std::filesystem::path& table,
                                         const std::string& type) {
  std::istringstream lines(testing::ReadText(table));
  std::string line, name, value;
  std::getline(lines, line);
  std::istringstream names(line);
  while (std::getline(lines, line)) {
    if (!line.starts_with(type + ",none,")) continue;
    std::map<std::string, double> result;
    std::istringstream values(line);
    for (int column = 0; std::getline(names, name, ',') && std::getline(values, value, ',');) {
      if (column++ >= 2) result[name] = std::stod(value);
    }
    return result;
  }
  throw std::runtime_error("no golden line for " + type);
}

// No worse by more than 3 % or 2e-4; where every product rounds the activations as the reference's
// do, no better by more than that either.
void CheckNear(double got, double golden, bool both_ways) {
  const double slack = std::max(0.03 * std::abs(golden), 2e-4);
  CHECK(got <= golden + slack);
  if (both_ways) CHECK(got >= golden - slack);
}

TEST_CASE("the KL divergences of tiny-llama's quantized files are llama-perplexity's") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  QUERN_NEEDS_SHARED(text, "models/eval-kjv.txt");
  QUERN_NEEDS_SHARED(goldens, "goldens/kld.csv");
  const testing::TempDir dir;
  const std::string base = dir / "base.gguf", logits = dir / "base.logits";
  Convert(model, base, "f32");
  const json ppl =
      Json({"perplexity", "-m", base, "-f", text.string(), "--save-all-logits", logits, "--json"});
  CHECK(ppl["ppl"].get<double>() == doctest::Approx(29.300574).epsilon(1e-4));
  for (const std::string type : {"Q8_0", "Q4_K_M", "Q2_K"}) {
    CAPTURE(type);
    const std::string file = dir / (type + ".gguf");
    Convert(model, file, type);
    const json got = Json({"kl-divergence", logits, file, "--json"});
    auto golden = GoldenLine(goldens, type);
    const json rounding = got["activations"]["candidate"];
    const bool both = rounding["float32"].empty() && !rounding["rounded_to_8_bits"].empty();
    CHECK(got["ppl"].get<double>() == doctest::Approx(golden["ppl"]).epsilon(0.005));
    CHECK(got["ppl_base"].get<double>() == doctest::Approx(golden["ppl_base"]).epsilon(1e-4));
    CheckNear(got["kld"]["mean"], golden["kld_mean"], both);
    CheckNear(got["kld"]["median"], golden["kld_median"], both);
    CheckNear(got["kld"]["p90"], golden["kld_90"], both);
    CheckNear(got["kld"]["p95"], golden["kld_95"], both);
    CHECK(got["kld"]["error"].get<double>() ==
          doctest::Approx(golden["kld_error"]).epsilon(0.2).scale(1e-5));
    CheckNear(got["delta_p"]["rms"], golden["dp_rms_percent"] / 100, both);
    CheckNear(-got["same_top"].get<double>(), -golden["same_top_percent"] / 100, both);
    CHECK(got["chunks"] == 87);
  }
}

TEST_CASE("a base in a file of logits and the model itself give the same divergence") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  QUERN_NEEDS_SHARED(text, "models/eval-kjv.txt");
  const testing::TempDir dir;
  const std::string base = dir / "base.gguf", candidate = dir / "q4_0.gguf", logits = dir / "l";
  Convert(model, base, "bf16");
  Convert(model, candidate, "q4_0");
  const std::vector<std::string> save = {"perplexity", "-m",  base,       "-f", text.string(),
                                         "-c",         "128", "--chunks", "3",  "--save-all-logits",
                                         logits};
  CHECK(Quern(save).exit_code == 0);
  CHECK(Quern(save).exit_code == 5);  // it exists
  const json lockstep = Json({"kl-divergence", base, candidate, "-f", text.string(), "-c", "128",
                              "--chunks", "3", "--json"});
  const json file = Json({"kl-divergence", logits, candidate, "--json"});
  const json peers = Json(
      {"perplexity", "-m", candidate, "--kl-divergence", "--kl-divergence-base", logits, "--json"});
  CHECK(file == peers);
  CHECK(lockstep["scored_tokens"] == 3 * 63);
  CHECK(file["scored_tokens"] == 3 * 63);
  for (const char* figure : {"mean", "median", "p90", "max"}) {
    CHECK(file["kld"][figure].get<double>() ==
          doctest::Approx(lockstep["kld"][figure].get<double>()).epsilon(0.02));
    if (figure != std::string("max")) CHECK(lockstep["kld"]["errors"][figure] > 0.0);
  }
  CHECK(lockstep["activations"]["base"]["float32"] == json{"bf16"});
  CHECK(Quern({"kl-divergence", base, candidate}).exit_code == 2);  // no text
  CHECK(Quern({"perplexity", "-m", base, "--kl-divergence"}).exit_code == 2);

  testing::WriteText(dir / "cut", testing::ReadText(logits).substr(0, 100000));
  CHECK(Quern({"kl-divergence", dir / "cut", candidate}).exit_code == 3);
}

TEST_CASE("strided perplexity is llama-perplexity's") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  QUERN_NEEDS_SHARED(text, "models/eval-kjv.txt");
  const testing::TempDir dir;
  const std::string file = dir / "m.gguf";
  Convert(model, file, "f32");
  // llama-perplexity -c 384 -b 384 --ppl-stride 256 --chunks 6 (whose chunks are 512 tokens then).
  constexpr double kTheirs[] = {88.4591, 59.3854, 48.0683, 45.1993, 47.2606, 47.5601};
  const auto result = Quern({"perplexity", "-m", file, "-f", text.string(), "-c", "384",
                             "--ppl-stride", "256", "--chunks", "6"});
  REQUIRE(result.exit_code == 0);
  std::istringstream chunks(result.out);
  for (const double theirs : kTheirs) {
    std::string entry;
    REQUIRE(std::getline(chunks, entry, ','));
    CHECK(std::stod(entry.substr(entry.find(']') + 1)) == doctest::Approx(theirs).epsilon(2e-4));
  }
  CHECK(Quern({"perplexity", "-m", file, "-f", text.string(), "--ppl-stride", "256",
               "--save-all-logits", dir / "l"})
            .exit_code == 4);
}

}  // namespace
}  // namespace quern
