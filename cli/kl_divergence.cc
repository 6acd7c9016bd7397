#include <fmt/format.h>

#include <CLI/CLI.hpp>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/parallel.h"
#include "cli/commands.h"
#include "cli/divergence_json.h"
#include "cli/model_options.h"
#include "model/divergence.h"
#include "model/runner.h"

namespace quern::cli {
namespace {

struct Options {
  std::string base, candidate, text;
  ScoringOptions method;
  int threads = 0;
  bool json = false;
};

void PrintText(const Divergence& d) {
  const auto line = [](const char* name, const Estimate& e, double scale, const char* unit) {
    fmt::print("{:<24} {:12.6f} +/- {:.6f}{}\n", name, e.value * scale, e.error * scale, unit);
  };
  fmt::print("\n====== Perplexity\n");
  line("PPL of the candidate", d.ppl, 1, "");
  line("PPL of the base", d.ppl_base, 1, "");
  line("ln(PPL / PPL base)", d.log_ppl_ratio, 1, "");
  fmt::print("{:<24} {:12.4f} %\n", "Correlation of losses", 100 * d.correlation);
  fmt::print("\n====== KL divergence\n");
  line("Mean    KLD", d.kld, 1, "");
  fmt::print("{:<24} {:12.6f}\n", "Maximum KLD", Divergence::Percentile(d.kld_values, 1.0));
  for (const double p : {0.999, 0.99, 0.95, 0.9, 0.5, 0.1, 0.05, 0.01}) {
    fmt::print("{:<24} {:12.6f}\n",
               p == 0.5 ? "Median  KLD" : fmt::format("{:5.1f} % KLD", 100 * p),
               Divergence::Percentile(d.kld_values, p));
  }
  fmt::print("\n====== Probability of the text's own tokens\n");
  line("Mean    delta p", d.delta_p, 100, " %");
  line("RMS     delta p", d.delta_p_rms, 100, " %");
  for (const double p : {0.999, 0.99, 0.95, 0.05, 0.01, 0.001}) {
    fmt::print("{:<24} {:12.6f} %\n", fmt::format("{:5.1f} % delta p", 100 * p),
               100 * Divergence::Percentile(d.delta_p_values, p));
  }
  line("Same top prediction", d.same_top, 100, " %");
}

int Run(const Options& options) {
  const ThreadLimit limit(options.threads);
  const auto base = Runner::Open(options.base), candidate = Runner::Open(options.candidate);
  const Tokenizer& tokenizer = base->tokenizer();
  const auto tokens = tokenizer.Encode(ReadFile(options.text), true, false);
  const TokenId bos = tokenizer.adds_bos() ? tokenizer.bos() : -1;
  const Divergence result = CompareModels(base->forward(), candidate->forward(), tokens, bos,
                                          options.method, [&](int64_t chunk, double mean) {
                                            fmt::print(stderr, "[{}]{:.6f},", chunk, mean);
                                            std::fflush(stderr);
                                          });
  fmt::print(stderr, "\n");
  if (options.json) {
    fmt::print("{}\n", JsonOf(result).dump());
  } else {
    PrintText(result);
  }
  return 0;
}

}  // namespace

std::function<int()> DefineKlDivergence(CLI::App& app) {
  auto options = std::make_shared<Options>();
  app.add_option("BASE", options->base, "The model to compare with, a GGUF file")->required();
  app.add_option("CANDIDATE", options->candidate, "The model to judge, a GGUF file")->required();
  app.add_option("-f,--file", options->text, "The text, UTF-8")->required();
  AddScoring(app, options->method);
  app.add_option("-t,--threads", options->threads, "Threads; all cores by default");
  app.add_flag("--json", options->json, "The result as JSON");
  app.footer("Example:\n  quern kl-divergence model-bf16.gguf model-q4_k_m.gguf -f text.txt");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
