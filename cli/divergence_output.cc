#include "cli/divergence_output.h"

#include <fmt/format.h>

#include <nlohmann/json.hpp>
#include <utility>

namespace quern::cli {
namespace {

using Percentiles = std::initializer_list<std::pair<const char*, double>>;

constexpr Percentiles kKldPercentiles = {
    {"min", 0.0}, {"p001", 0.001}, {"p01", 0.01}, {"p05", 0.05},   {"p10", 0.1}, {"median", 0.5},
    {"p90", 0.9}, {"p95", 0.95},   {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}};
constexpr Percentiles kDeltaPercentiles = {
    {"min", 0.0},  {"p001", 0.001}, {"p01", 0.01}, {"p05", 0.05}, {"p10", 0.1},
    {"p25", 0.25}, {"median", 0.5}, {"p75", 0.75}, {"p90", 0.9},  {"p95", 0.95},
    {"p99", 0.99}, {"p999", 0.999}, {"max", 1.0}};

// Adds name: value of each, and their errors below "errors"; min and max have none.
void AddPercentiles(nlohmann::json& out, std::span<const float> values, Percentiles percentiles) {
  for (const auto& [name, p] : percentiles) {
    const Estimate estimate = Divergence::Percentile(values, p);
    out[name] = estimate.value;
    if (p > 0 && p < 1) out["errors"][name] = estimate.error;
  }
}

std::string PercentName(double p, const char* what) {
  if (p == 0.0) return fmt::format("Minimum {}", what);
  if (p == 0.5) return fmt::format("Median  {}", what);
  if (p == 1.0) return fmt::format("Maximum {}", what);
  return fmt::format("{:5.1f} % {}", 100 * p, what);
}

void PrintLine(const std::string& name, const Estimate& e, double scale = 1,
               const char* unit = "") {
  fmt::print("{:<24} {:12.6f} +/- {:.6f}{}\n", name, e.value * scale, e.error * scale, unit);
}

// From the largest down.
void PrintPercentiles(std::span<const float> values, Percentiles percentiles, const char* what,
                      double scale, const char* unit) {
  for (auto entry = percentiles.end(); entry-- != percentiles.begin();) {
    const Estimate e = Divergence::Percentile(values, entry->second);
    if (e.error > 0) {
      PrintLine(PercentName(entry->second, what), e, scale, unit);
    } else {
      fmt::print("{:<24} {:12.6f}{}\n", PercentName(entry->second, what), e.value * scale, unit);
    }
  }
}

std::string Joined(const std::vector<Type>& types) {
  std::string text;
  for (const Type type : types) text += fmt::format("{}{}", text.empty() ? "" : ", ", NameOf(type));
  return text;
}

nlohmann::json Names(const std::vector<Type>& types) {
  nlohmann::json names = nlohmann::json::array();
  for (const Type type : types) names.push_back(NameOf(type));
  return names;
}

}  // namespace

nlohmann::json JsonOf(const Divergence& d) {
  nlohmann::json kld = {{"mean", d.kld.value}, {"error", d.kld.error}};
  kld["errors"]["mean"] = d.kld.error;
  AddPercentiles(kld, d.kld_values, kKldPercentiles);
  nlohmann::json delta_p = {{"mean", d.delta_p.value},
                            {"error", d.delta_p.error},
                            {"rms", d.delta_p_rms.value},
                            {"rms_error", d.delta_p_rms.error}};
  AddPercentiles(delta_p, d.delta_p_values, kDeltaPercentiles);
  return {{"ppl", d.ppl.value},
          {"ppl_error", d.ppl.error},
          {"ppl_base", d.ppl_base.value},
          {"ppl_base_error", d.ppl_base.error},
          {"log_ppl_ratio", d.log_ppl_ratio.value},
          {"log_ppl_ratio_error", d.log_ppl_ratio.error},
          {"ppl_ratio", d.ppl_ratio.value},
          {"ppl_ratio_error", d.ppl_ratio.error},
          {"ppl_difference", d.ppl_difference.value},
          {"ppl_difference_error", d.ppl_difference.error},
          {"correlation", d.correlation},
          {"kld", kld},
          {"delta_p", delta_p},
          {"same_top", d.same_top.value},
          {"same_top_error", d.same_top.error},
          {"scored_tokens", d.scored},
          {"chunks", d.chunks}};
}

nlohmann::json JsonOf(const ProductTypes& types) {
  return {{"rounded_to_8_bits", Names(types.rounding)}, {"float32", Names(types.exact)}};
}

void PrintText(const Divergence& d) {
  fmt::print("\n====== Perplexity\n");
  PrintLine("PPL of the candidate", d.ppl);
  PrintLine("PPL of the base", d.ppl_base);
  PrintLine("ln(PPL / PPL base)", d.log_ppl_ratio);
  PrintLine("PPL / PPL base", d.ppl_ratio);
  PrintLine("PPL - PPL base", d.ppl_difference);
  fmt::print("{:<24} {:12.4f} %\n", "Correlation of losses", 100 * d.correlation);
  fmt::print("\n====== KL divergence\n");
  PrintLine("Mean    KLD", d.kld);
  PrintPercentiles(d.kld_values, kKldPercentiles, "KLD", 1, "");
  fmt::print("\n====== Probability of the text's own tokens\n");
  PrintLine("Mean    delta p", d.delta_p, 100, " %");
  PrintLine("RMS     delta p", d.delta_p_rms, 100, " %");
  PrintPercentiles(d.delta_p_values, kDeltaPercentiles, "delta p", 100, " %");
  PrintLine("Same top prediction", d.same_top, 100, " %");
}

std::string TextOf(const ProductTypes& types) {
  std::string text;
  if (!types.rounding.empty()) text = "rounded to 8 bits with " + Joined(types.rounding);
  if (types.exact.empty()) return text;
  return text + (text.empty() ? "" : "; ") + "float32 with " + Joined(types.exact);
}

}  // namespace quern::cli
