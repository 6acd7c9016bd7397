#include "cli/verify/kld_curve.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cmath>

namespace quern::cli {
namespace {

// The drawing's size and its plot's edges, in SVG units: a phone shows them at about 0.7 px.
constexpr double kWidth = 480, kHeight = 290;
constexpr double kLeft = 54, kRight = 462, kTop = 16, kBottom = 244;

// Below this a divergence is noise of float32.
constexpr double kNoise = 1e-6;

struct Axes {
  double x_most;         // -log10(1 - p) of the last value
  double y_low, y_high;  // log10 of the divergence

  double X(double nines) const { return kLeft + (kRight - kLeft) * nines / x_most; }
  double Y(double kld) const {
    const double share = (std::log10(std::max(kld, kNoise)) - y_low) / (y_high - y_low);
    return kBottom - (kBottom - kTop) * std::clamp(share, 0.0, 1.0);
  }
};

// The divergence with 10^-nines of the values above it; the last of n values has log10(n).
double AtNines(const Divergence& d, double nines) {
  return Divergence::Percentile(d.kld_values, 1 - std::pow(10, -nines)).value;
}

std::string Grid(const Axes& axes) {
  std::string out;
  for (double y = axes.y_low; y <= axes.y_high; y += 1) {
    const double at = axes.Y(std::pow(10, y));
    out += fmt::format(
        "<line class=\"grid\" x1=\"{}\" x2=\"{}\" y1=\"{:.1f}\" y2=\"{:.1f}\"/>"
        "<text x=\"{}\" y=\"{:.1f}\" text-anchor=\"end\">{:g}</text>\n",
        kLeft, kRight, at, at, kLeft - 6, at + 4, std::pow(10, y));
  }
  constexpr std::array kTicks = {0.0, 0.5, 0.9, 0.99, 0.999, 0.9999, 0.99999};
  for (const double p : kTicks) {
    const double nines = -std::log10(1 - p);
    if (nines > axes.x_most + 1e-9) break;
    out += fmt::format(
        "<line class=\"grid\" x1=\"{0:.1f}\" x2=\"{0:.1f}\" y1=\"{1}\" y2=\"{2}\"/>"
        "<text x=\"{0:.1f}\" y=\"{3}\" text-anchor=\"middle\">{4:g} %</text>\n",
        axes.X(nines), kTop, kBottom, kBottom + 18, 100 * p);
  }
  return out + fmt::format(
                   "<text x=\"{}\" y=\"{}\" text-anchor=\"middle\">share of tokens that diverge "
                   "less</text>\n",
                   (kLeft + kRight) / 2, kBottom + 38);
}

std::string Curve(const Axes& axes, const Divergence& d) {
  constexpr int kSteps = 160;
  std::string points;
  for (int i = 0; i <= kSteps; ++i) {
    const double nines = axes.x_most * i / kSteps;
    const double value = i == kSteps ? d.kld_values.back() : AtNines(d, nines);
    points += fmt::format("{}{:.1f} {:.1f}", i == 0 ? "M" : " L", axes.X(nines), axes.Y(value));
  }
  return fmt::format(
      "<path class=\"under\" d=\"{0} L{1} {2} L{3} {2} Z\"/><path class=\"curve\" d=\"{0}\"/>\n",
      points, kRight, kBottom, kLeft);
}

std::string Dots(const Axes& axes, const Divergence& d) {
  std::string out;
  // The first dot's text would lie over the axis, the highest one's over the edge.
  const auto dot = [&](double nines, double value) {
    const double x = axes.X(nines), y = axes.Y(value);
    const bool early = x < kLeft + 60, high = y < kTop + 20;
    out += fmt::format(
        "<circle class=\"dot\" cx=\"{:.1f}\" cy=\"{:.1f}\" r=\"4\"/>"
        "<text class=\"value\" x=\"{:.1f}\" y=\"{:.1f}\" text-anchor=\"{}\">{:.2g}</text>\n",
        x, y, early ? x + 8 : x - (high ? 8 : 2), early ? y + 15 : y + (high ? 4 : -9),
        early ? "start" : "end", value);
  };
  for (const double p : {0.5, 0.9, 0.99, 0.999}) {
    const double nines = -std::log10(1 - p);
    if (nines < axes.x_most - 0.25) dot(nines, AtNines(d, nines));
  }
  dot(axes.x_most, d.kld_values.back());
  return out;
}

}  // namespace

std::string KldCurve(const Divergence& d) {
  if (d.kld_values.size() < 2 || d.kld_values.back() < 10 * kNoise) {
    return "<p>Both files predict the same at every token.</p>";
  }
  const auto n = static_cast<double>(d.kld_values.size());
  const double low = std::max(AtNines(d, 0.05), kNoise);
  Axes axes{std::log10(n), std::floor(std::log10(low)), std::ceil(std::log10(d.kld_values.back()))};
  if (axes.y_high <= axes.y_low) axes.y_high = axes.y_low + 1;
  const double mean = axes.Y(d.kld.value);
  return fmt::format(
             "<svg viewBox=\"0 0 {} {}\" role=\"img\" aria-label=\"Percentiles of the KL "
             "divergence; mean {:.4g}, largest {:.4g}\">\n",
             kWidth, kHeight, d.kld.value, d.kld_values.back()) +
         Grid(axes) + Curve(axes, d) +
         fmt::format(
             "<line class=\"mean\" x1=\"{0}\" x2=\"{1}\" y1=\"{2:.1f}\" y2=\"{2:.1f}\"/>"
             "<text x=\"{1}\" y=\"{3:.1f}\" text-anchor=\"end\">mean {4:.2g}</text>\n",
             kLeft, kRight, mean, mean + 14, d.kld.value) +
         Dots(axes, d) + "</svg>";
}

}  // namespace quern::cli
