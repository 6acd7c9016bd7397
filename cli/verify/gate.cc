#include "cli/verify/gate.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <cmath>

#include "base/error.h"

namespace quern::cli {
namespace {

double WorstTensor(std::span<const TensorDifference> tensors) {
  double worst = 0;
  for (const TensorDifference& tensor : tensors) {
    if (tensor.error) worst = std::max(worst, tensor.error->relative());
  }
  return worst;
}

}  // namespace

std::string TextOf(double value, Unit unit) {
  return unit == Unit::kPercent ? fmt::format("{:.4g} %", 100 * value)
                                : fmt::format("{:.4g}", value);
}

std::string Criterion::WantedText() const {
  return fmt::format("{} {}", at_most ? "at most" : "at least", TextOf(wanted, unit));
}

std::string Criterion::GotText() const {
  const std::string text = TextOf(got, unit);
  // Rounding must not make a miss look like a hit.
  if (met() || text != TextOf(wanted, unit)) return text;
  return unit == Unit::kPercent ? fmt::format("{} %", 100 * got) : fmt::format("{}", got);
}

bool Thresholds::any() const {
  return max_kld || max_kld_p99 || max_kld_max || max_ppl_increase || min_same_top ||
         max_tensor_error;
}

Thresholds Thresholds::Default() {
  Thresholds thresholds;
  thresholds.max_kld = 0.05;
  thresholds.max_ppl_increase = 0.03;
  thresholds.min_same_top = 0.90;
  return thresholds;
}

std::vector<Criterion> Judge(const Thresholds& t, const Divergence& d,
                             std::span<const TensorDifference> tensors) {
  std::vector<Criterion> criteria;
  const auto add = [&](const std::optional<double>& wanted, Criterion criterion) {
    if (!wanted) return;
    criterion.wanted = *wanted;
    criteria.push_back(std::move(criterion));
  };
  const auto kld = [&](double p) { return Divergence::Percentile(d.kld_values, p).value; };
  add(t.max_kld, {"max_kld", "mean KL divergence", true, Unit::kNumber, 0, d.kld.value});
  add(t.max_kld_p99, {"max_kld_p99", "KL divergence, 99 %", true, Unit::kNumber, 0, kld(0.99)});
  add(t.max_kld_max, {"max_kld_max", "largest KL divergence", true, Unit::kNumber, 0, kld(1)});
  add(t.max_ppl_increase, {"max_ppl_increase", "increase of perplexity", true, Unit::kPercent, 0,
                           d.ppl_ratio.value - 1});
  add(t.min_same_top,
      {"min_same_top", "same best token", false, Unit::kPercent, 0, d.same_top.value});
  add(t.max_tensor_error, {"max_tensor_error", "largest relative error of a tensor", true,
                           Unit::kPercent, 0, WorstTensor(tensors)});
  return criteria;
}

double ParseShare(std::string_view text, std::string_view option) {
  std::string_view number = text;
  const bool percent = number.ends_with('%');
  if (percent) number.remove_suffix(1);
  while (number.ends_with(' ')) number.remove_suffix(1);
  double value = 0;
  const auto [end, error] = std::from_chars(number.data(), number.data() + number.size(), value);
  if (error != std::errc() || end != number.data() + number.size() || !std::isfinite(value)) {
    Fail(ErrorKind::kUsage, "{}: '{}' is neither a percent (2%) nor a fraction (0.02)", option,
         text);
  }
  if (percent) return value / 100;
  if (std::abs(value) > 1) {
    Fail(ErrorKind::kUsage, "{}: '{}' is beyond 1; for percents write '{}%'", option, text, text);
  }
  return value;
}

}  // namespace quern::cli
