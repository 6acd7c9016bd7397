#include "adapters/combine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>
#include <numeric>

#include "adapters/product_svd.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/named_enum.h"

namespace quern {
namespace {

using Floats = std::vector<float>;

constexpr std::string_view kNames[] = {
#define QUERN_COMBINATION_TEXT(value, text) text,
    QUERN_COMBINATIONS(QUERN_COMBINATION_TEXT)
#undef QUERN_COMBINATION_TEXT
};

// Tensors that a combination has made, in f32.
class MadeTensors : public TensorSource {
 public:
  MadeTensors(std::vector<TensorInfo> infos, std::vector<Floats> values)
      : TensorSource("combined adapters", std::move(infos)), values_(std::move(values)) {}
  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override {
    const int64_t cols = tensors()[index].cols();
    QUERN_CHECK(out.size() == static_cast<size_t>(count * cols) * sizeof(float));
    std::memcpy(out.data(), values_[index].data() + first * cols, out.size());
  }

 private:
  std::vector<Floats> values_;
};

// A module's A [rank, in] and B [out, rank] of one adapter, and its weight times its scale.
struct Part {
  Floats a, b;
  int64_t in = 0, out = 0, rank = 0;
  double weight = 0;
};

void RefuseMoreThanLowRank(const LoraAdapter& adapter) {
  const LoraConfig& config = adapter.config();
  if (config.dora || config.lora_bias || config.bias != BiasMode::kNone || config.fan_in_fan_out ||
      !config.modules_to_save.empty() || !config.trainable_tokens.empty() ||
      !config.target_parameters.empty()) {
    Fail(
        ErrorKind::kUnsupported,
        "{}: only plain LoRA of linear layers can be combined, without DoRA, biases, whole modules "
        "or tokens",
        config.name);
  }
}

Part ReadPart(const WeightedAdapter& weighted, const AdapterModule& module) {
  const LoraAdapter& adapter = *weighted.adapter;
  for (size_t part = 0; part < module.parts.size(); ++part) {
    const auto kind = static_cast<AdapterPart>(part);
    if (!module[kind] || kind == AdapterPart::kA || kind == AdapterPart::kB) continue;
    Fail(ErrorKind::kUnsupported, "{}: tensor '{}' cannot be combined", adapter.name(),
         adapter.tensor(*module.parts[part]).name);
  }
  const auto [a, b] = adapter.NeedPair(module, AdapterPart::kA, AdapterPart::kB);
  const TensorInfo &a_info = adapter.tensor(a), &b_info = adapter.tensor(b);
  if (a_info.shape.size() != 2 || b_info.shape.size() != 2 || a_info.rows() != b_info.cols()) {
    Fail(ErrorKind::kBadInput, "{}: tensors '{}' ({}) and '{}' ({}) do not fit each other",
         adapter.name(), a_info.name, ShapeText(a_info.shape), b_info.name,
         ShapeText(b_info.shape));
  }
  if (!adapter.rules().Targets(module.name)) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' belongs to a module that {} does not target",
         adapter.name(), a_info.name, adapter.config().name);
  }
  return {.a = adapter.Read(a),
          .b = adapter.Read(b),
          .in = a_info.cols(),
          .out = b_info.rows(),
          .rank = a_info.rows(),
          .weight = weighted.weight * adapter.rules().Scale(module.name, a_info.rows())};
}

// SplitMix64 (Steele et al. 2014): numbers in [0, 1), the same everywhere.
class Random {
 public:
  explicit Random(uint64_t seed) : state_(seed) {}
  double Next() {
    uint64_t z = (state_ += 0x9e3779b97f4a7c15u);
    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
    return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
  }

 private:
  uint64_t state_;
};

// Keeps the share `density` of the elements, the largest by magnitude.
void PruneSmall(Floats& values, double density) {
  const auto keep = static_cast<size_t>(density * static_cast<double>(values.size()));
  std::vector<size_t> order(values.size());
  std::iota(order.begin(), order.end(), 0);
  std::nth_element(order.begin(), order.begin() + static_cast<int64_t>(keep), order.end(),
                   [&](size_t a, size_t b) {
                     const float x = std::fabs(values[a]), y = std::fabs(values[b]);
                     return x != y ? x > y : a < b;
                   });
  for (size_t i = keep; i < order.size(); ++i) values[order[i]] = 0;
}

// Drops elements at random and makes up for them.
void PruneRandom(Floats& values, double density, Random& random) {
  for (float& value : values) {
    value = random.Next() < density ? static_cast<float>(value / density) : 0;
  }
}

Floats Sum(const std::vector<Floats>& tensors, const std::vector<double>& weights) {
  Floats sum(tensors[0].size());
  for (size_t t = 0; t < tensors.size(); ++t) {
    const auto weight = static_cast<float>(weights[t]);
    for (size_t i = 0; i < sum.size(); ++i) sum[i] += weight * tensors[t][i];
  }
  return sum;
}

// TIES (Yadav et al. 2023): the mean of the weighted elements whose sign won the election.
Floats SumElected(const std::vector<Floats>& tensors, const std::vector<double>& weights,
                  bool by_frequency) {
  Floats out(tensors[0].size());
  for (size_t i = 0; i < out.size(); ++i) {
    const auto sign = [](float value) { return static_cast<float>((value > 0) - (value < 0)); };
    float votes = 0, sum = 0;
    for (const Floats& tensor : tensors) votes += by_frequency ? sign(tensor[i]) : tensor[i];
    const float elected = votes >= 0 ? 1 : -1;
    int count = 0;
    for (size_t t = 0; t < tensors.size(); ++t) {
      if (sign(tensors[t][i]) != elected) continue;
      sum += static_cast<float>(weights[t]) * tensors[t][i];
      ++count;
    }
    out[i] = sum / static_cast<float>(std::max(count, 1));
  }
  return out;
}

Floats CombineTensors(std::vector<Floats> tensors, const std::vector<double>& weights,
                      const CombineOptions& options, Random& random) {
  for (Floats& tensor : tensors) {
    switch (options.combination) {
      case Combination::kTies:
      case Combination::kMagnitudePrune:
        PruneSmall(tensor, options.density);
        break;
      case Combination::kDareLinear:
      case Combination::kDareTies:
        PruneRandom(tensor, options.density, random);
        break;
      default:
        break;
    }
  }
  const bool elects =
      options.combination == Combination::kTies || options.combination == Combination::kDareTies;
  return elects ? SumElected(tensors, weights, options.by_frequency) : Sum(tensors, weights);
}

// The weighted sum as it is: the ranks side by side.
Part Concatenate(const std::vector<Part>& parts) {
  Part all{.a = {}, .b = {}, .in = parts[0].in, .out = parts[0].out, .rank = 0, .weight = 1};
  for (const Part& part : parts) all.rank += part.rank;
  all.b.resize(static_cast<size_t>(all.out * all.rank));
  int64_t begin = 0;
  for (const Part& part : parts) {
    for (const float value : part.a) {
      all.a.push_back(static_cast<float>(part.weight) * value);
    }
    for (int64_t row = 0; row < all.out; ++row) {
      std::copy_n(part.b.begin() + row * part.rank, part.rank,
                  all.b.begin() + row * all.rank + begin);
    }
    begin += part.rank;
  }
  return all;
}

Part CombineParts(std::vector<Part> parts, const CombineOptions& options, int64_t svd_rank,
                  Random& random) {
  if (options.combination == Combination::kCat) return Concatenate(parts);
  if (options.combination == Combination::kSvd) {
    Part all = Concatenate(parts);
    Factors best = TruncateProduct({.left = std::move(all.b),
                                    .right = std::move(all.a),
                                    .rows = all.out,
                                    .rank = all.rank,
                                    .cols = all.in},
                                   svd_rank);
    return {.a = std::move(best.right),
            .b = std::move(best.left),
            .in = all.in,
            .out = all.out,
            .rank = best.rank,
            .weight = 1};
  }
  std::vector<Floats> a, b;
  std::vector<double> a_weights, b_weights;
  for (Part& part : parts) {
    const double root = std::sqrt(std::fabs(part.weight));
    a_weights.push_back(std::copysign(root, part.weight));
    b_weights.push_back(root);
    a.push_back(std::move(part.a));
    b.push_back(std::move(part.b));
  }
  Part out = std::move(parts[0]);
  out.a = CombineTensors(std::move(a), a_weights, options, random);
  out.b = CombineTensors(std::move(b), b_weights, options, random);
  out.weight = 1;
  return out;
}

void CheckAlike(const std::string& module, const std::vector<Part>& parts, bool equal_ranks) {
  for (const Part& part : parts) {
    if (part.in != parts[0].in || part.out != parts[0].out) {
      Fail(ErrorKind::kBadInput, "'{}' is {} x {} in one adapter and {} x {} in another", module,
           parts[0].in, parts[0].out, part.in, part.out);
    }
    if (equal_ranks && part.rank != parts[0].rank) {
      Fail(ErrorKind::kBadInput,
           "'{}' has rank {} in one adapter and {} in another: only cat and svd combine them",
           module, parts[0].rank, part.rank);
    }
  }
}

std::string Escaped(const std::string& name) {
  std::string out;
  for (const char c : name) {
    if (!std::isalnum(static_cast<unsigned char>(c)) && c != '_') out += '\\';
    out += c;
  }
  return out;
}

}  // namespace

std::string_view NameOf(Combination combination) {
  return kNames[static_cast<size_t>(combination)];
}

std::optional<Combination> CombinationFromName(std::string_view name) {
  return NamedEnum<Combination>(kNames, name);
}

std::shared_ptr<const LoraAdapter> CombineAdapters(std::span<const WeightedAdapter> adapters,
                                                   const CombineOptions& options) {
  if (!(options.density > 0 && options.density <= 1)) {
    Fail(ErrorKind::kUsage, "a density of {} is not in (0, 1]", options.density);
  }
  std::map<std::string, std::vector<std::pair<const WeightedAdapter*, const AdapterModule*>>> all;
  int64_t largest = 0;
  for (const WeightedAdapter& weighted : adapters) {
    RefuseMoreThanLowRank(*weighted.adapter);
    for (const AdapterModule& module : weighted.adapter->modules()) {
      all[module.name].emplace_back(&weighted, &module);
      if (const auto a = module[AdapterPart::kA]) {
        largest = std::max(largest, weighted.adapter->tensor(*a).rows());
      }
    }
  }
  const bool any_ranks =
      options.combination == Combination::kCat || options.combination == Combination::kSvd;
  LoraConfig config;
  config.name = "combined adapters";
  config.target_modules.said = true;
  std::vector<TensorInfo> infos;
  std::vector<Floats> values;
  for (const auto& [name, sources] : all) {
    std::vector<Part> parts;
    for (const auto& [weighted, module] : sources) parts.push_back(ReadPart(*weighted, *module));
    CheckAlike(name, parts, !any_ranks);
    Random random(options.seed ^ Xxh64::Of(std::as_bytes(std::span(name))));
    Part made = CombineParts(std::move(parts), options,
                             options.svd_rank > 0 ? options.svd_rank : largest, random);
    infos.push_back({.name = PeftName(name, AdapterPart::kA),
                     .type = Type::kF32,
                     .shape = {made.in, made.rank}});
    infos.push_back({.name = PeftName(name, AdapterPart::kB),
                     .type = Type::kF32,
                     .shape = {made.rank, made.out}});
    values.push_back(std::move(made.a));
    values.push_back(std::move(made.b));
    config.target_modules.names.push_back(name);
    config.rank_pattern.emplace_back(Escaped(name), static_cast<double>(made.rank));
    config.alpha_pattern.emplace_back(Escaped(name), static_cast<double>(made.rank));
  }
  return std::make_shared<LoraAdapter>(
      std::move(config), std::make_shared<MadeTensors>(std::move(infos), std::move(values)));
}

}  // namespace quern
