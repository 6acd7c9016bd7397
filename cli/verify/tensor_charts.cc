#include "cli/verify/tensor_charts.h"

#include <fmt/format.h>

#include <algorithm>
#include <map>

#include "cli/verify/html.h"
#include "quant/tensor_class.h"

namespace quern::cli {
namespace {

constexpr size_t kColours = 8;     // .k0 to .k7 of the page's style
constexpr double kDarkest = 0.75;  // a cell's text has to be read

bool IsMatrix(const TensorDifference& tensor) { return tensor.shape.size() > 1; }

std::string ErrorText(const TensorDifference& tensor) {
  return tensor.error ? fmt::format("{:.2f}", 100 * tensor.error->relative()) : "–";
}

std::string TypesText(const TensorDifference& tensor) {
  if (!tensor.reference_type) return fmt::format("{}, not in the reference", NameOf(tensor.type));
  if (*tensor.reference_type == tensor.type) return std::string(NameOf(tensor.type));
  return fmt::format("{} → {}", NameOf(*tensor.reference_type), NameOf(tensor.type));
}

// The columns of the map: what stands behind "blk.N.", without ".weight".
std::string RoleOf(std::string_view name) {
  const size_t dot = name.find('.', 4);
  std::string role(name.substr(dot + 1));
  if (role.ends_with(".weight")) role.resize(role.size() - 7);
  return role;
}

struct Map {
  std::vector<std::string> roles;
  std::map<int64_t, std::map<std::string, const TensorDifference*>> layers;
  double most = 0;  // the largest relative error
};

// The order in which a layer uses them; what is not named here comes behind.
size_t RankOf(const std::string& role) {
  static constexpr std::string_view kOrder[] = {"attn_q",   "attn_k", "attn_v",  "attn_output",
                                                "ffn_gate", "ffn_up", "ffn_down"};
  return static_cast<size_t>(std::find(std::begin(kOrder), std::end(kOrder), role) -
                             std::begin(kOrder));
}

Map MapOf(std::span<const TensorDifference> tensors) {
  Map map;
  for (const TensorDifference& tensor : tensors) {
    const double error = tensor.error ? tensor.error->relative() : 0;
    map.most = std::max(map.most, error);
    const auto layer = LayerOf(tensor.name);
    // Norms and biases that were copied would be columns of zeros.
    if (!layer || (!IsMatrix(tensor) && error == 0)) continue;
    const std::string role = RoleOf(tensor.name);
    if (std::find(map.roles.begin(), map.roles.end(), role) == map.roles.end()) {
      map.roles.push_back(role);
    }
    map.layers[*layer][role] = &tensor;
  }
  std::stable_sort(map.roles.begin(), map.roles.end(),
                   [](const auto& a, const auto& b) { return RankOf(a) < RankOf(b); });
  return map;
}

std::string Hint(const TensorDifference& tensor) {
  std::string text = fmt::format("{}: {}", tensor.name, TypesText(tensor));
  if (tensor.error) {
    text +=
        fmt::format(", error {:.3g} %, rmse {:.3g}, largest {:.3g}", 100 * tensor.error->relative(),
                    tensor.error->rmse(), tensor.error->largest_error);
  }
  return Escaped(text);
}

std::string Cell(const TensorDifference& tensor, double most) {
  const double error = tensor.error ? tensor.error->relative() : 0;
  return fmt::format("<td title=\"{}\" style=\"--a:{:.3f}\">{}</td>", Hint(tensor),
                     most > 0 ? kDarkest * error / most : 0,
                     tensor.error ? fmt::format("{:.3g}", 100 * error) : "–");
}

std::string HeatTable(const Map& map) {
  std::string out = "<div class=\"scroll\"><table class=\"heat\">\n<tr><th>layer</th>";
  for (const std::string& role : map.roles) {
    std::string label = Escaped(role);
    std::replace(label.begin(), label.end(), '_', ' ');
    out += fmt::format("<th>{}</th>", label);
  }
  out += "</tr>\n";
  for (const auto& [layer, cells] : map.layers) {
    out += fmt::format("<tr><th>{}</th>", layer);
    for (const std::string& role : map.roles) {
      const auto found = cells.find(role);
      out += found == cells.end() ? "<td class=\"none\"></td>" : Cell(*found->second, map.most);
    }
    out += "</tr>\n";
  }
  return out + "</table></div>\n";
}

std::string Row(const TensorDifference& tensor) {
  return fmt::format(
      "<tr><td class=\"name\">{}</td><td class=\"text\">{}</td><td>{}</td><td>{}</td></tr>\n",
      Escaped(tensor.name), TypesText(tensor), SizeText(static_cast<uint64_t>(tensor.bytes)),
      ErrorText(tensor));
}

template <typename Wanted>
std::string TensorTable(std::span<const TensorDifference> tensors, Wanted wanted) {
  std::string rows;
  for (const TensorDifference& tensor : tensors) {
    if (wanted(tensor)) rows += Row(tensor);
  }
  if (rows.empty()) return rows;
  return "<div class=\"scroll\"><table>\n<tr><th>Tensor</th><th class=\"text\">Type</th>"
         "<th>Size</th><th>Error %</th></tr>\n" +
         rows + "</table></div>\n";
}

}  // namespace

std::string SizeText(uint64_t bytes) {
  const auto mib = static_cast<double>(bytes) / (1 << 20);
  if (mib >= 1024) return fmt::format("{:.2f} GiB", mib / 1024);
  return mib >= 1 ? fmt::format("{:.2f} MiB", mib)
                  : fmt::format("{:.1f} KiB", static_cast<double>(bytes) / 1024);
}

std::string SizesByType(const Findings& findings) {
  struct Part {
    int64_t tensors = 0, bytes = 0, weights = 0;
  };
  std::map<Type, Part> parts;
  int64_t total = 0;
  for (const TensorDifference& tensor : findings.tensors) {
    Part& part = parts[tensor.type];
    int64_t weights = 1;
    for (const int64_t n : tensor.shape) weights *= n;
    ++part.tensors;
    part.bytes += tensor.bytes;
    part.weights += weights;
    total += tensor.bytes;
  }
  std::vector<std::pair<Type, Part>> sorted(parts.begin(), parts.end());
  std::sort(sorted.begin(), sorted.end(),
            [](const auto& a, const auto& b) { return a.second.bytes > b.second.bytes; });
  const auto& rounding = findings.candidate.products.rounding;
  const auto& exact = findings.candidate.products.exact;
  const auto activations = [&](Type type) {
    if (std::find(rounding.begin(), rounding.end(), type) != rounding.end()) return "8 bits";
    return std::find(exact.begin(), exact.end(), type) != exact.end() ? "float32" : "–";
  };
  std::string bar, rows;
  for (size_t i = 0; i < sorted.size(); ++i) {
    const auto& [type, part] = sorted[i];
    const size_t colour = std::min(i, kColours - 1);
    bar += fmt::format("<i class=\"k{}\" style=\"flex-grow:{}\" title=\"{}\"></i>", colour,
                       part.bytes, NameOf(type));
    rows += fmt::format(
        "<tr><td><i class=\"swatch k{}\"></i>{}</td><td class=\"aside\">{}</td><td>{}</td>"
        "<td class=\"aside\">{:.1f} %</td><td>{:.2f}</td><td>{}</td></tr>\n",
        colour, NameOf(type), part.tensors, SizeText(static_cast<uint64_t>(part.bytes)),
        total > 0 ? 100.0 * static_cast<double>(part.bytes) / static_cast<double>(total) : 0.0,
        part.weights > 0 ? 8.0 * static_cast<double>(part.bytes) / static_cast<double>(part.weights)
                         : 0.0,
        activations(type));
  }
  return fmt::format(
      "<div class=\"bar\">{}</div>\n<div class=\"scroll\"><table>\n<tr><th>Type</th>"
      "<th class=\"aside\">Tensors</th><th>Size</th><th class=\"aside\">Share</th>"
      "<th>Bits/weight</th><th>Activations</th>"
      "</tr>\n{}</table></div>\n",
      bar, rows);
}

std::string ErrorMap(const Findings& findings) {
  const Map map = MapOf(findings.tensors);
  std::string out = fmt::format("<div class=\"scale\">0 %<i></i>{:.3g} %</div>\n", 100 * map.most);
  if (!map.layers.empty()) out += HeatTable(map);
  const std::string outside = TensorTable(findings.tensors, [](const TensorDifference& tensor) {
    return !LayerOf(tensor.name) && IsMatrix(tensor);
  });
  if (!outside.empty()) out += "<h2 class=\"outside\">Outside of the layers</h2>\n" + outside;
  return out + fmt::format("<details><summary>All {} tensors</summary>\n{}</details>\n",
                           findings.tensors.size(),
                           TensorTable(findings.tensors, [](const auto&) { return true; }));
}

}  // namespace quern::cli
