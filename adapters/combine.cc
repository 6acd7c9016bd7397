#include "adapters/combine.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <map>

#include "adapters/combine_tensors.h"
#include "adapters/dense_svd.h"
#include "adapters/float_rows.h"
#include "adapters/product_svd.h"
#include "base/error.h"
#include "base/hash.h"
#include "base/named_enum.h"
#include "base/parallel.h"
#include "kernels/ops/low_rank.h"

namespace quern {
namespace {

using Floats = std::vector<float>;

constexpr std::string_view kNames[] = {
#define QUERN_COMBINATION_TEXT(name, text, dropped, elects, combined) text,
    QUERN_COMBINATIONS(QUERN_COMBINATION_TEXT)
#undef QUERN_COMBINATION_TEXT
};

struct Way {
  Dropped dropped;
  bool elects;
  Combined combined;
};
constexpr Way kWays[] = {
#define QUERN_COMBINATION_WAY(name, text, dropped, elects, combined) \
  {Dropped::dropped, elects, Combined::combined},
    QUERN_COMBINATIONS(QUERN_COMBINATION_WAY)
#undef QUERN_COMBINATION_WAY
};
const Way& WayOf(const CombineOptions& options) {
  return kWays[static_cast<size_t>(options.combination)];
}

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

// A module's A [rank, in] and B [out, rank] of one adapter.
struct Part {
  Floats a, b;
  int64_t in = 0, out = 0, rank = 0;
  double weight = 1, scale = 1;  // of the adapter, of the module
  bool embeds = false;
};

AdapterPart KindOfA(bool embeds) { return embeds ? AdapterPart::kEmbeddingA : AdapterPart::kA; }
AdapterPart KindOfB(bool embeds) { return embeds ? AdapterPart::kEmbeddingB : AdapterPart::kB; }

void RefuseMoreThanLowRank(const LoraAdapter& adapter) {
  const LoraConfig& config = adapter.config();
  if (config.dora || config.lora_bias || config.bias != BiasMode::kNone || config.fan_in_fan_out ||
      !config.modules_to_save.empty() || !config.trainable_tokens.empty() ||
      !config.target_parameters.empty()) {
    Fail(ErrorKind::kUnsupported,
         "{}: only plain LoRA of linear layers and embeddings can be combined, without DoRA, "
         "biases, "
         "whole modules or tokens",
         config.name);
  }
}

Part ReadPart(const WeightedAdapter& weighted, const AdapterModule& module) {
  const LoraAdapter& adapter = *weighted.adapter;
  const bool embeds = module[AdapterPart::kEmbeddingA] || module[AdapterPart::kEmbeddingB];
  for (size_t part = 0; part < module.parts.size(); ++part) {
    const auto kind = static_cast<AdapterPart>(part);
    // PEFT saves the base's own weights beside an adapted end of the model.
    if (kind == AdapterPart::kBaseWeight && (module[KindOfA(embeds)] || module[KindOfB(embeds)])) {
      continue;
    }
    if (!module[kind] || kind == KindOfA(embeds) || kind == KindOfB(embeds)) continue;
    Fail(ErrorKind::kUnsupported, "{}: tensor '{}' cannot be combined", adapter.name(),
         adapter.tensor(*module.parts[part]).name);
  }
  const auto [a, b] = adapter.NeedPair(module, KindOfA(embeds), KindOfB(embeds));
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
          .weight = weighted.weight,
          .scale = adapter.rules().Scale(module.name, a_info.rows()),
          .embeds = embeds};
}

// The weighted sum as it is: the ranks side by side.
Part Concatenate(const std::vector<Part>& parts) {
  Part all{.a = {}, .b = {}, .in = parts[0].in, .out = parts[0].out, .rank = 0};
  for (const Part& part : parts) all.rank += part.rank;
  all.b.resize(static_cast<size_t>(all.out * all.rank));
  int64_t begin = 0;
  for (const Part& part : parts) {
    for (const float value : part.a) {
      all.a.push_back(static_cast<float>(part.weight * part.scale) * value);
    }
    for (int64_t row = 0; row < all.out; ++row) {
      std::copy_n(part.b.begin() + row * part.rank, part.rank,
                  all.b.begin() + row * all.rank + begin);
    }
    begin += part.rank;
  }
  return all;
}

// The best A and B of a rank.
Part PartOf(Factors best) {
  return {.a = std::move(best.right),
          .b = std::move(best.left),
          .in = best.cols,
          .out = best.rows,
          .rank = best.rank};
}

// scale * B A in full, [out, in].
Floats DeltaOf(const Part& part) {
  Floats delta(static_cast<size_t>(part.out * part.in));
  ParallelFor(part.out, RowsAtATime(part.in), [&](int64_t begin, int64_t end) {
    AddLowRank(part.b.data() + begin * part.rank, part.a.data(), end - begin, part.rank, part.in,
               static_cast<float>(part.scale), delta.data() + begin * part.in);
  });
  return delta;
}

Part CombineDeltas(const std::vector<Part>& parts, const TensorSum& sum, int64_t rank,
                   RandomShares& random) {
  const int64_t out = parts[0].out, in = parts[0].in;
  // The sum of the products is one product, and its best of a rank is found without making it.
  if (sum.dropped == Dropped::kNothing && !sum.elects) {
    Part all = Concatenate(parts);
    return PartOf(TruncateProduct({.left = std::move(all.b),
                                   .right = std::move(all.a),
                                   .rows = out,
                                   .rank = all.rank,
                                   .cols = in},
                                  rank));
  }
  std::vector<Floats> deltas;
  std::vector<double> weights;
  for (const Part& part : parts) {
    deltas.push_back(DeltaOf(part));
    weights.push_back(part.weight);
  }
  const Floats delta = sum.Of(std::move(deltas), weights, random);
  return PartOf(TruncateMatrix(delta, out, in, rank));
}

Part CombineFactors(std::vector<Part> parts, const TensorSum& sum, RandomShares& random) {
  std::vector<Floats> a, b;
  std::vector<double> a_weights, b_weights;
  for (Part& part : parts) {
    const double weight = part.weight * part.scale, root = std::sqrt(std::fabs(weight));
    a_weights.push_back(std::copysign(root, weight));
    b_weights.push_back(root);
    a.push_back(std::move(part.a));
    b.push_back(std::move(part.b));
  }
  Part out = std::move(parts[0]);
  out.a = sum.Of(std::move(a), a_weights, random);
  out.b = sum.Of(std::move(b), b_weights, random);
  return out;
}

Part CombineParts(std::vector<Part> parts, const CombineOptions& options, int64_t svd_rank,
                  RandomShares& random) {
  const Way& way = WayOf(options);
  const TensorSum sum{.dropped = way.dropped,
                      .elects = way.elects,
                      .density = options.density,
                      .by_frequency = options.by_frequency};
  switch (way.combined) {
    case Combined::kRanks:
      return Concatenate(parts);
    case Combined::kFactors:
      return CombineFactors(std::move(parts), sum, random);
    case Combined::kDeltas:
      break;
  }
  return CombineDeltas(parts, sum, svd_rank, random);
}

void CheckAlike(const std::string& module, const std::vector<Part>& parts, bool equal_ranks) {
  for (const Part& part : parts) {
    if (part.embeds != parts[0].embeds) {
      Fail(ErrorKind::kBadInput,
           "'{}' is an embedding in one adapter and a linear layer in another", module);
    }
    if (part.in != parts[0].in || part.out != parts[0].out) {
      Fail(ErrorKind::kBadInput, "'{}' is {} x {} in one adapter and {} x {} in another", module,
           parts[0].in, parts[0].out, part.in, part.out);
    }
    if (equal_ranks && part.rank != parts[0].rank) {
      Fail(ErrorKind::kBadInput,
           "'{}' has rank {} in one adapter and {} in another: only cat and the svd kinds combine "
           "them",
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
      for (const bool embeds : {false, true}) {
        const auto a = module[KindOfA(embeds)];
        if (a) largest = std::max(largest, weighted.adapter->tensor(*a).rows());
      }
    }
  }
  const bool equal_ranks = WayOf(options).combined == Combined::kFactors;
  LoraConfig config;
  config.name = "combined adapters";
  config.target_modules.said = true;
  std::vector<TensorInfo> infos;
  std::vector<Floats> values;
  for (const auto& [name, sources] : all) {
    std::vector<Part> parts;
    for (const auto& [weighted, module] : sources) parts.push_back(ReadPart(*weighted, *module));
    CheckAlike(name, parts, equal_ranks);
    const bool embeds = parts[0].embeds;
    RandomShares random(options.seed ^ Xxh64::Of(std::as_bytes(std::span(name))));
    Part made = CombineParts(std::move(parts), options,
                             options.svd_rank > 0 ? options.svd_rank : largest, random);
    infos.push_back({.name = PeftName(name, KindOfA(embeds)),
                     .type = Type::kF32,
                     .shape = {made.in, made.rank}});
    infos.push_back({.name = PeftName(name, KindOfB(embeds)),
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
