// The gate: what passes, what fails, and what the report says.
#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

using nlohmann::json;
using testing::Quern;

// tiny-llama in f32 and in two file types, and a text.
struct Files {
  testing::TempDir dir;
  std::string reference = dir / "f32.gguf", good = dir / "q8_0.gguf", bad = dir / "<q2&k>.gguf";
  std::string text;

  bool Make() {
    const auto model = testing::Shared("models/tiny-llama");
    text = testing::Shared("models/eval-kjv.txt").string();
    if (model.empty() || text.empty()) {
      testing::SaySkipped("models/ is neither in ../shared nor in testdata");
      return false;
    }
    for (const auto& [file, type] :
         {std::pair{reference, "f32"}, std::pair{good, "q8_0"}, std::pair{bad, "q2_k"}}) {
      const auto made = Quern({"convert", model.string(), "--outfile", file, "--outtype", type});
      CAPTURE(made.err);
      REQUIRE(made.exit_code == 0);
    }
    return true;
  }

  testing::ProcessResult Verify(const std::string& candidate,
                                const std::vector<std::string>& more = {}) const {
    std::vector<std::string> arguments = {"verify", reference, candidate,  "-f", text,
                                          "-c",     "256",     "--chunks", "3",  "-q"};
    arguments.insert(arguments.end(), more.begin(), more.end());
    return Quern(arguments);
  }
};

TEST_CASE("q8_0 meets the gate, q2_k does not, and the report says so") {
  Files files;
  if (!files.Make()) return;
  const auto good = files.Verify(files.good, {"--json"});
  CAPTURE(good.err);
  CHECK(good.exit_code == 0);
  const json result = json::parse(good.out);
  CHECK(result["passed"] == true);
  CHECK(result["thresholds"].size() == 3);
  CHECK(result["kld"]["mean"].get<double>() < 0.001);
  CHECK(result["reference"]["bytes"] == std::filesystem::file_size(files.reference));
  CHECK(result["activations"]["reference"]["float32"] == json{"f32"});
  for (const json& tensor : result["tensors"]) {
    CAPTURE(tensor["name"]);
    const double error = tensor["error"]["relative"];
    CHECK((tensor["type"] == "f32" ? error == 0.0 : error > 0.001 && error < 0.01));
  }

  const std::string page = files.dir / "report.html";
  const auto bad = files.Verify(files.bad, {"--html", page});
  CHECK(bad.exit_code == 7);
  CHECK(bad.out.find("FAILED") != std::string::npos);
  CHECK(bad.err.find("not met: mean KL divergence: wanted at most 0.05, got 0.1") !=
        std::string::npos);
  CHECK(bad.err.find("not met: same best token: wanted at least 90 %, got 7") != std::string::npos);

  const std::string html = testing::ReadText(page);
  CHECK(html.starts_with("<!doctype html>"));
  CHECK(html.find("<h1>✗ Failed</h1>") != std::string::npos);
  CHECK(html.find("&lt;q2&amp;k&gt;.gguf") != std::string::npos);
  for (const char* absent : {"<q2", "{{", "://", "src=", "<script", "@import", "nan"}) {
    CAPTURE(absent);
    CHECK(html.find(absent) == std::string::npos);
  }
  for (const char* present : {"<svg", "blk.5.ffn_down.weight", "token_embd.weight", "q3_K"}) {
    CAPTURE(present);
    CHECK(html.find(present) != std::string::npos);
  }
  // It is there already.
  CHECK(files.Verify(files.good, {"--html", page}).exit_code == 5);
  CHECK(testing::ReadText(page) == html);
}

TEST_CASE("only the thresholds that are given count; shares are percents or fractions") {
  Files files;
  if (!files.Make()) return;
  const auto passes = [&](const std::vector<std::string>& thresholds) {
    std::vector<std::string> more = thresholds;
    more.push_back("--json");
    const auto result = files.Verify(files.bad, more);
    CAPTURE(result.err);
    const json out = json::parse(result.out);
    CHECK(out["thresholds"].size() == thresholds.size() / 2);
    CHECK(out["passed"] == (result.exit_code == 0));
    CHECK((result.exit_code == 0 || result.exit_code == 7));
    return result.exit_code == 0;
  };
  CHECK(passes({"--max-kld", "0.5", "--min-same-top", "50%", "--max-ppl-increase", "0.9"}));
  CHECK_FALSE(passes({"--max-kld", "0.5", "--max-tensor-error", "10%"}));
  CHECK_FALSE(passes({"--max-kld-p99", "0.01", "--max-kld-max", "100"}));
  for (const char* bad : {"90", "much", "nan", "1e400", "%"}) {
    CAPTURE(bad);
    CHECK(files.Verify(files.bad, {"--min-same-top", bad}).exit_code == 2);
  }
}

TEST_CASE("a file is its own equal") {
  Files files;
  if (!files.Make()) return;
  const std::string page = files.dir / "same.html";
  const auto same = files.Verify(files.reference, {"--max-kld", "1e-6", "--html", page});
  CHECK(same.exit_code == 0);
  CHECK(testing::ReadText(page).find("predict the same at every token") != std::string::npos);
}

}  // namespace
}  // namespace quern
