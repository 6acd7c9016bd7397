#include "cli/divergence_json.h"

#include <nlohmann/json.hpp>

namespace quern::cli {

nlohmann::json JsonOf(const Divergence& d) {
  const auto kld = [&](double p) { return Divergence::Percentile(d.kld_values, p); };
  const auto delta = [&](double p) { return Divergence::Percentile(d.delta_p_values, p); };
  return {{"ppl", d.ppl.value},
          {"ppl_error", d.ppl.error},
          {"ppl_base", d.ppl_base.value},
          {"ppl_base_error", d.ppl_base.error},
          {"log_ppl_ratio", d.log_ppl_ratio.value},
          {"log_ppl_ratio_error", d.log_ppl_ratio.error},
          {"correlation", d.correlation},
          {"kld",
           {{"mean", d.kld.value},
            {"error", d.kld.error},
            {"median", kld(0.5)},
            {"p90", kld(0.9)},
            {"p95", kld(0.95)},
            {"p99", kld(0.99)},
            {"p999", kld(0.999)},
            {"max", kld(1.0)},
            {"min", kld(0.0)}}},
          {"delta_p",
           {{"mean", d.delta_p.value},
            {"error", d.delta_p.error},
            {"rms", d.delta_p_rms.value},
            {"rms_error", d.delta_p_rms.error},
            {"p999", delta(0.999)},
            {"p99", delta(0.99)},
            {"p95", delta(0.95)},
            {"p05", delta(0.05)},
            {"p01", delta(0.01)},
            {"p001", delta(0.001)}}},
          {"same_top", d.same_top.value},
          {"same_top_error", d.same_top.error},
          {"scored_tokens", d.scored},
          {"chunks", d.chunks}};
}

}  // namespace quern::cli
