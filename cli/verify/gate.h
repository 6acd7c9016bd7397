#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "model/eval/divergence.h"
#include "quant/tensor_errors.h"

namespace quern::cli {

// How a measure is written.
enum class Unit { kNumber, kPercent };

// "0.05", "2.9 %".
std::string TextOf(double value, Unit unit);

// One measure against its threshold.
struct Criterion {
  std::string key;    // the option's name: "max_kld"
  std::string label;  // "mean KL divergence"
  bool at_most = true;
  Unit unit = Unit::kNumber;
  double wanted = 0, got = 0;

  // NaN meets nothing.
  bool met() const { return at_most ? got <= wanted : got >= wanted; }
  std::string WantedText() const;  // "at most 0.05"
  std::string GotText() const;
};

// What a file has to hold to pass; only those that are given count.
struct Thresholds {
  std::optional<double> max_kld, max_kld_p99, max_kld_max;
  std::optional<double> max_ppl_increase, min_same_top, max_tensor_error;

  bool any() const;
  // The gate where none is given: a mean KL divergence of 0.05, 3 % of perplexity, 90 % of the
  // same best tokens. A good 4-bit file passes, a plain 3-bit file does not.
  static Thresholds Default();
};

std::vector<Criterion> Judge(const Thresholds& thresholds, const Divergence& divergence,
                             std::span<const TensorDifference> tensors);

// "2%" or "0.02" as 0.02. Error kUsage, naming the option, for anything else, and for a number
// beyond 1 without the percent sign, which could be read in two ways.
double ParseShare(std::string_view text, std::string_view option);

}  // namespace quern::cli
