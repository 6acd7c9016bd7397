#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>
#include <numeric>

#include "base/error.h"
#include "base/parallel.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "cli/run_time_lora.h"

namespace quern::cli {
namespace {

struct Options {
  std::string model;
  std::vector<TokenId> tokens;
  int64_t top = 8;
  int threads = 0;
  std::vector<std::string> adapters;
  bool json = false;
};

int Run(const Options& options) {
  const ThreadLimit limit(options.threads);
  const auto runner = OpenRunner(options.model, options.adapters);
  const std::vector<float> logits = runner->LogitsAfter(options.tokens);
  std::vector<size_t> order(logits.size());
  std::iota(order.begin(), order.end(), size_t{0});
  for (const float logit : logits) {
    if (std::isnan(logit)) {
      Fail(ErrorKind::kNonFinite, "{}: the logits are not numbers", options.model);
    }
  }
  std::stable_sort(order.begin(), order.end(),
                   [&](size_t a, size_t b) { return logits[a] > logits[b]; });
  order.resize(std::min(order.size(), static_cast<size_t>(options.top)));
  if (!options.json) {
    for (const size_t id : order) fmt::print("{:8d} {:12.6f}\n", id, logits[id]);
    return 0;
  }
  auto top = nlohmann::json::array();
  for (const size_t id : order) top.push_back({{"id", id}, {"logit", logits[id]}});
  WriteJson(nlohmann::json{{"top", top}}, kOneLine);
  return 0;
}

}  // namespace

std::function<int()> DefineLogits(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("-m,--model", options->model, "The model, a GGUF file").Required();
  AddLora(arguments, options->adapters);
  arguments.Option("--tokens", options->tokens, "Token ids, with commas between them")
      .Separated(',')
      .Required();
  arguments.Option("--top", options->top, "How many to show").Positive();
  arguments.Threads(options->threads);
  arguments.Flag("--json", options->json, "The result as JSON");
  arguments.Footer("Example:\n  quern logits -m model.gguf --tokens 1,681,262 --top 8 --json");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
