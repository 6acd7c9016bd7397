#include <fmt/format.h>

#include <filesystem>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "base/file.h"
#include "base/parallel.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/divergence_output.h"
#include "cli/json_output.h"
#include "cli/model_options.h"
#include "cli/run_time_lora.h"
#include "cli/say.h"
#include "cli/verify/findings.h"
#include "cli/verify/report.h"
#include "cli/verify/tensor_charts.h"
#include "model/runner.h"

namespace quern::cli {
namespace {

struct Options {
  std::string reference, candidate, text, html;
  std::vector<std::string> adapters, reference_adapters;
  ScoringOptions method;
  Thresholds thresholds;
  std::string max_ppl_increase, min_same_top, max_tensor_error;  // shares as they are written
  int threads = 0;
  bool json = false, force = false, quiet = false;
};

Thresholds ThresholdsOf(const Options& options) {
  Thresholds thresholds = options.thresholds;
  const auto take = [](const std::string& text, const char* option, std::optional<double>& to) {
    if (!text.empty()) to = ParseShare(text, option);
  };
  take(options.max_ppl_increase, "--max-ppl-increase", thresholds.max_ppl_increase);
  take(options.min_same_top, "--min-same-top", thresholds.min_same_top);
  take(options.max_tensor_error, "--max-tensor-error", thresholds.max_tensor_error);
  return thresholds.any() ? thresholds : Thresholds::Default();
}

Findings Find(const Options& options, const Thresholds& thresholds) {
  const auto progress = MakeProgress(options.quiet);
  const auto reference = OpenAdapted(options.reference, options.reference_adapters);
  const auto candidate = OpenAdapted(options.candidate, options.adapters);
  const Tokenizer& tokenizer = reference.runner->tokenizer();
  const auto tokens = tokenizer.Encode(ReadFile(options.text), true, false);
  const int64_t chunks = PlanChunks(std::ssize(tokens), options.method).count;
  Findings findings;
  findings.text = options.text;
  findings.method = options.method;
  findings.divergence =
      CompareModels(reference.runner->forward(), candidate.runner->forward(), tokens,
                    FirstOfChunk(tokenizer), options.method, [&](int64_t chunk, double mean) {
                      progress->Step(chunk, chunks, fmt::format("mean KL divergence {:.6f}", mean));
                    });
  findings.reference = {options.reference, reference.file->TotalBytes(),
                        ProductTypesOf(reference.runner->weights()), options.reference_adapters};
  findings.candidate = {options.candidate, candidate.file->TotalBytes(),
                        ProductTypesOf(candidate.runner->weights()), options.adapters};
  findings.tensors = CompareTensors(*reference.tensors, *candidate.tensors, *progress);
  findings.criteria = Judge(thresholds, findings.divergence, findings.tensors);
  return findings;
}

nlohmann::json ErrorJson(const EncodingError& error) {
  return {{"relative", error.relative()}, {"rmse", error.rmse()}, {"largest", error.largest_error}};
}

void PrintJson(const Findings& findings) {
  nlohmann::json out = JsonOf(findings.divergence);
  out["passed"] = findings.passed();
  out["thresholds"] = nlohmann::json::array();
  for (const Criterion& c : findings.criteria) {
    out["thresholds"].push_back({{"measure", c.key},
                                 {"label", c.label},
                                 {"relation", c.at_most ? "at most" : "at least"},
                                 {"wanted", c.wanted},
                                 {"got", c.got},
                                 {"met", c.met()}});
  }
  for (const auto& [name, file] :
       {std::pair{"reference", &findings.reference}, std::pair{"candidate", &findings.candidate}}) {
    out[name] = {{"file", file->path}, {"bytes", file->bytes}};
    if (!file->adapters.empty()) out[name]["adapters"] = file->adapters;
    out["activations"][name] = JsonOf(file->products);
  }
  out["tensors"] = nlohmann::json::array();
  for (const TensorDifference& tensor : findings.tensors) {
    nlohmann::json entry = {{"name", tensor.name},
                            {"type", NameOf(tensor.type)},
                            {"shape", tensor.shape},
                            {"bytes", tensor.bytes}};
    if (tensor.reference_type) entry["reference_type"] = NameOf(*tensor.reference_type);
    if (tensor.error) entry["error"] = ErrorJson(*tensor.error);
    out["tensors"].push_back(std::move(entry));
  }
  // Names may hold bytes that are no UTF-8; they are shown as the replacement character.
  WriteJson(out, kOneLine);
}

void PrintText(const Findings& f) {
  const Divergence& d = f.divergence;
  fmt::print("{:<24} {} -> {}\n", "Size", SizeText(f.reference.bytes), SizeText(f.candidate.bytes));
  fmt::print("{:<24} {:.4f} -> {:.4f} ({:+.2f} % +/- {:.2f})\n", "Perplexity", d.ppl_base.value,
             d.ppl.value, 100 * (d.ppl_ratio.value - 1), 100 * d.ppl_ratio.error);
  fmt::print("{:<24} {:.6f} +/- {:.6f}; median {:.6f}, 99 % {:.6f}, largest {:.6f}\n",
             "Mean KL divergence", d.kld.value, d.kld.error,
             Divergence::Percentile(d.kld_values, 0.5).value,
             Divergence::Percentile(d.kld_values, 0.99).value,
             Divergence::Percentile(d.kld_values, 1).value);
  fmt::print("{:<24} {:.2f} % +/- {:.2f}\n", "Same best token", 100 * d.same_top.value,
             100 * d.same_top.error);
  fmt::print("{:<24} {} scored in {} chunks\n", "Tokens", d.scored, d.chunks);
  fmt::print("{:<24} {}\n", "Activations, candidate", TextOf(f.candidate.products));
  fmt::print("{:<24} {}\n\n", "Activations, reference", TextOf(f.reference.products));
  for (const Criterion& c : f.criteria) {
    if (c.met()) fmt::print("met: {}: wanted {}, got {}\n", c.label, c.WantedText(), c.GotText());
  }
  fmt::print("{}\n", f.passed() ? "PASSED" : "FAILED");
}

int Run(const Options& options) {
  const Thresholds thresholds = ThresholdsOf(options);
  const ThreadLimit limit(options.threads);
  if (!options.html.empty() && !options.force && std::filesystem::exists(options.html)) {
    Fail(ErrorKind::kOutput, "{}: exists already; --force replaces it", options.html);
  }
  const Findings findings = Find(options, thresholds);
  if (!options.html.empty()) {
    const std::string page = RenderReport(findings);
    OutputFile file(options.html, options.force ? Overwrite::kReplace : Overwrite::kRefuse);
    file.WriteAt(0, std::as_bytes(std::span(page)));
    file.Commit();
  }
  options.json ? PrintJson(findings) : PrintText(findings);
  std::fflush(stdout);
  for (const Criterion& c : findings.criteria) {
    if (!c.met()) Say("not met: {}: wanted {}, got {}\n", c.label, c.WantedText(), c.GotText());
  }
  return findings.passed() ? 0 : static_cast<int>(ErrorKind::kGate);
}

void AddThresholds(const Arguments& arguments, Options& options) {
  const auto add = [&](const char* name, auto& value, const char* help) {
    arguments.Option(name, value, help).Group("Thresholds");
  };
  add("--max-kld", options.thresholds.max_kld, "Mean KL divergence");
  add("--max-kld-p99", options.thresholds.max_kld_p99, "99th percentile of the KL divergence");
  add("--max-kld-max", options.thresholds.max_kld_max, "Largest KL divergence of any token");
  add("--max-ppl-increase", options.max_ppl_increase,
      "How much the perplexity may rise: 2% or 0.02");
  add("--min-same-top", options.min_same_top,
      "Share of tokens whose best prediction is the reference's: 90% or 0.9");
  add("--max-tensor-error", options.max_tensor_error,
      "Relative error (rms) of the worst tensor: 10% or 0.1");
}

}  // namespace

std::function<int()> DefineVerify(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("REFERENCE", options->reference, "The model as it was, a GGUF file").Required();
  arguments.Option("CANDIDATE", options->candidate, "The model to judge, a GGUF file").Required();
  arguments.Option("-f,--file", options->text, "The text to judge by, UTF-8").Required();
  AddLora(arguments, options->adapters, "--lora", "CANDIDATE");
  AddLora(arguments, options->reference_adapters, "--reference-lora", "REFERENCE");
  AddThresholds(arguments, *options);
  AddScoring(arguments, options->method);
  arguments.Option("--html", options->html, "Write a report for people, one page");
  arguments.Threads(options->threads);
  arguments.Flag("--json", options->json, "The result as JSON");
  arguments.Flag("--force", options->force, "Replace an existing report");
  arguments.Quiet(options->quiet);
  arguments.Footer(
      "Exit code 0: all thresholds are met; 7: one is not, and stderr says which. Where none is\n"
      "given these are: --max-kld 0.05 --max-ppl-increase 3% --min-same-top 90%, which a good "
      "4-bit\n"
      "file meets and a 2-bit file does not. Where one is given, only those that are given "
      "count.\n\n"
      "Products with some types round activations to 8 bits, which adds to the divergence; the\n"
      "result tells which types of the files do.\n\n"
      "Examples:\n  quern verify model-bf16.gguf model-q4_k_m.gguf -f text.txt --html report.html\n"
      "  quern verify model-bf16.gguf model-q8_0.gguf -f text.txt --max-kld 0.001 --json");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
