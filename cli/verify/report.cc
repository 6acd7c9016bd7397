#include "cli/verify/report.h"

#include <fmt/format.h>

#include <filesystem>

#include "cli/divergence_output.h"
#include "cli/verify/html.h"
#include "cli/verify/kld_curve.h"
#include "cli/verify/page_template.h"
#include "cli/verify/tensor_charts.h"

namespace quern::cli {
namespace {

std::string FileName(const std::string& path) {
  return std::filesystem::path(path).filename().string();
}

std::string Summary(const Findings& findings) {
  std::string missed;
  size_t count = 0;
  for (const Criterion& criterion : findings.criteria) {
    if (criterion.met()) continue;
    missed += fmt::format("{}{} {}, wanted {}", count++ == 0 ? "" : "; ", criterion.label,
                          criterion.GotText(), criterion.WantedText());
  }
  const size_t all = findings.criteria.size();
  if (count == 0) {
    return fmt::format("{} thresholds are met.", all == 1 ? "The" : fmt::format("All {}", all));
  }
  return fmt::format("{} of {} thresholds not met: {}.", count, all, missed);
}

std::string Tile(const std::string& value, const std::string& label) {
  return fmt::format("<div class=\"tile\"><b>{}</b><span>{}</span></div>\n", value, label);
}

std::string Tiles(const Findings& f) {
  const Divergence& d = f.divergence;
  const double share = f.reference.bytes > 0 ? 100.0 * static_cast<double>(f.candidate.bytes) /
                                                   static_cast<double>(f.reference.bytes)
                                             : 0.0;
  return Tile(SizeText(f.candidate.bytes),
              fmt::format("size, was {} ({:.0f} % is left)", SizeText(f.reference.bytes), share)) +
         Tile(fmt::format("{:.3f}", d.ppl.value),
              fmt::format("perplexity, was {:.3f} ({:+.2f} % ± {:.2f})", d.ppl_base.value,
                          100 * (d.ppl_ratio.value - 1), 100 * d.ppl_ratio.error)) +
         Tile(fmt::format("{:.4g}", d.kld.value),
              fmt::format("mean KL divergence (±\u00A0{:.2g})", d.kld.error)) +
         Tile(fmt::format("{:.1f} %", 100 * d.same_top.value),
              fmt::format("same best token (±\u00A0{:.2f})", 100 * d.same_top.error));
}

std::string CriteriaRows(const Findings& findings) {
  std::string rows;
  for (const Criterion& c : findings.criteria) {
    rows += fmt::format(
        "<tr><td>{}</td><td>{}</td><td><b>{}</b></td><td class=\"{}\"><b>{}</b></td></tr>\n",
        c.label, c.WantedText(), c.GotText(), c.met() ? "good" : "bad", c.met() ? "✓ yes" : "✗ no");
  }
  return rows;
}

std::string FigureRow(const std::string& name, const Estimate& e, double scale = 1,
                      const char* unit = "") {
  return fmt::format("<tr><td>{}</td><td>{:.5g}{}</td><td>{}</td></tr>\n", name, e.value * scale,
                     unit, e.error > 0 ? fmt::format("{:.2g}{}", e.error * scale, unit) : "–");
}

std::string Figures(const Divergence& d) {
  std::string rows = FigureRow("Perplexity of the candidate", d.ppl) +
                     FigureRow("Perplexity of the reference", d.ppl_base) +
                     FigureRow("Ratio of the two", d.ppl_ratio) +
                     FigureRow("KL divergence, mean", d.kld);
  for (const double p : {0.5, 0.9, 0.95, 0.99, 0.999, 1.0}) {
    rows += FigureRow(p == 0.5   ? "KL divergence, median"
                      : p == 1.0 ? "KL divergence, largest"
                                 : fmt::format("KL divergence, {:g} %", 100 * p),
                      Divergence::Percentile(d.kld_values, p));
  }
  rows += FigureRow("Same best token", d.same_top, 100, " %") +
          FigureRow("Probability of the text's tokens, mean change", d.delta_p, 100, " %") +
          FigureRow("Root mean square of that change", d.delta_p_rms, 100, " %");
  for (const double p : {0.001, 0.01, 0.05, 0.5, 0.95, 0.99, 0.999}) {
    rows += FigureRow(fmt::format("Change with {:g} % of them below", 100 * p),
                      Divergence::Percentile(d.delta_p_values, p), 100, " %");
  }
  return rows;
}

std::string CacheText(const KvTypes& types) {
  if (types.keys == types.values) return std::string(NameOf(types.keys));
  return fmt::format("keys {}, values {}", NameOf(types.keys), NameOf(types.values));
}

std::string Method(const Findings& f) {
  const auto row = [](const std::string& name, const std::string& value) {
    return fmt::format("<tr><td>{}</td><td class=\"text wide\">{}</td></tr>\n", name, value);
  };
  const auto path = [](const std::string& name) {
    return fmt::format("<span class=\"name\">{}</span>", Escaped(name));
  };
  const auto with_adapters = [&](const VerifiedFile& file) {
    std::string text = path(file.path);
    for (const std::string& adapter : file.adapters) text += " with the adapter " + path(adapter);
    return text;
  };
  return row("Reference", with_adapters(f.reference)) +
         row("Candidate", with_adapters(f.candidate)) + row("Text", path(f.text)) +
         row("Tokens",
             fmt::format(
                 "{} scored, in {} chunks of {}{}", f.divergence.scored, f.divergence.chunks,
                 f.method.context,
                 f.method.stride > 0 ? fmt::format(" that begin every {}", f.method.stride) : "")) +
         row("KV cache", CacheText(f.method.cache)) +
         row("Activations, candidate", TextOf(f.candidate.products)) +
         row("Activations, reference", TextOf(f.reference.products));
}

}  // namespace

std::string RenderReport(const Findings& f) {
  const char* verdict = f.passed() ? "✓ Passed" : "✗ Failed";
  return Fill(kPage, {{"title", fmt::format("{}: {}", f.passed() ? "Passed" : "Failed",
                                            Escaped(FileName(f.candidate.path)))},
                      {"style", std::string(kStyle)},
                      {"state", f.passed() ? "passed" : "failed"},
                      {"verdict", verdict},
                      {"candidate", Escaped(FileName(f.candidate.path))},
                      {"reference", Escaped(FileName(f.reference.path))},
                      {"summary", Summary(f)},
                      {"tiles", Tiles(f)},
                      {"criteria", CriteriaRows(f)},
                      {"curve", KldCurve(f.divergence)},
                      {"sizes", SizesByType(f)},
                      {"heat", ErrorMap(f)},
                      {"figures", Figures(f.divergence)},
                      {"method", Method(f)}});
}

}  // namespace quern::cli
