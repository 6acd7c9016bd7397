#include "adapters/extraction.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "adapters/dense_svd.h"
#include "adapters/float_rows.h"
#include "adapters/lora_adapter.h"
#include "adapters/lora_config_text.h"
#include "base/error.h"
#include "base/parallel.h"

namespace quern {
namespace {

constexpr std::string_view kWeight = ".weight";

// Rows [first, first + count) of a tensor in float32; NaN and Inf are refused.
std::vector<float> ReadFinite(const TensorSource& source, size_t index, int64_t first,
                              int64_t count) {
  const TensorInfo& info = source.tensors()[index];
  std::vector<float> values = ReadFloats(source, index, first, count);
  const auto bad =
      std::find_if(values.begin(), values.end(), [](float value) { return !std::isfinite(value); });
  if (bad != values.end()) {
    Fail(ErrorKind::kNonFinite, "{}: tensor '{}' has NaN or Inf at index {}", source.name(),
         info.name, first * info.cols() + (bad - values.begin()));
  }
  return values;
}

// Calls see(row, tuned row - base row) for all rows in the checkpoint's order, in pieces; ends
// early where `see` says so by false.
void ForDifferences(const NamedModel& base, const NamedModel& tuned, const ExtractedModule& module,
                    const std::function<bool(int64_t row, std::span<const float>)>& see) {
  const BaseTensor& base_place = base.names[module.base];
  const BaseTensor& tuned_place = tuned.names[module.tuned];
  // Within a piece the orders of a GGUF file and a checkpoint can be matched head by head.
  const int64_t head = std::max({base_place.head_rows, tuned_place.head_rows, int64_t{1}});
  const int64_t step = std::max(RowsAtATime(module.cols) / head * head, head);
  for (int64_t first = 0; first < module.rows; first += step) {
    const int64_t count = std::min(step, module.rows - first);
    std::vector<float> before(static_cast<size_t>(count * module.cols)), after(before.size());
    const auto fill = [&](const NamedModel& model, size_t index, std::vector<float>& to) {
      const std::vector<float> rows = ReadFinite(model.tensors, index, first, count);
      for (int64_t row = 0; row < count; ++row) {
        const int64_t place = model.names[index].HfRow(first + row) - first;
        std::copy_n(rows.begin() + row * module.cols, module.cols,
                    to.begin() + place * module.cols);
      }
    };
    fill(base, module.base, before);
    fill(tuned, module.tuned, after);
    for (size_t i = 0; i < after.size(); ++i) after[i] -= before[i];
    for (int64_t row = 0; row < count; ++row) {
      const auto difference = std::span<const float>(after).subspan(
          static_cast<size_t>(row * module.cols), static_cast<size_t>(module.cols));
      if (!see(first + row, difference)) return;
    }
  }
}

bool Differs(const NamedModel& base, const NamedModel& tuned, const ExtractedModule& module) {
  bool differs = false;
  ForDifferences(base, tuned, module, [&](int64_t, std::span<const float> row) {
    differs = std::any_of(row.begin(), row.end(), [](float value) { return value != 0; });
    return !differs;
  });
  return differs;
}

std::map<std::string, size_t> ByHfName(const BaseNames& names) {
  std::map<std::string, size_t> by_name;
  for (size_t t = 0; t < names.size(); ++t) {
    if (!names[t].hf_name.empty()) by_name[names[t].hf_name] = t;
  }
  return by_name;
}

double SquareSum(std::span<const float> values) {
  double sum = 0;
  for (const float value : values) sum += static_cast<double>(value) * value;
  return sum;
}

ExtractedEnergy ExtractOne(const NamedModel& base, const NamedModel& tuned,
                           const ExtractedModule& module, size_t first_tensor, TensorSink& sink) {
  std::vector<float> difference(static_cast<size_t>(module.rows * module.cols));
  ForDifferences(base, tuned, module, [&](int64_t row, std::span<const float> values) {
    std::copy(values.begin(), values.end(), difference.begin() + row * module.cols);
    return true;
  });
  const double square = SquareSum(difference);
  Factors factors = TruncateMatrix(difference, module.rows, module.cols, module.rank);
  // V is orthonormal, so the kept part is in U S alone.
  const ExtractedEnergy energy{.norm = std::sqrt(square),
                               .kept = std::min(SquareSum(factors.left) / square, 1.0)};
  std::vector<float> a = std::move(factors.right), b = std::move(factors.left);
  if (module.embeds) {
    std::vector<float> right = Transposed(a, module.rank, module.cols);
    a = Transposed(b, module.rows, module.rank);
    b = std::move(right);
  }
  sink.WriteRows(first_tensor, 0, std::as_bytes(std::span(a)));
  sink.WriteRows(first_tensor + 1, 0, std::as_bytes(std::span(b)));
  return energy;
}

}  // namespace

Extraction PlanExtraction(const NamedModel& base, const NamedModel& tuned, int64_t rank) {
  const auto ours = ByHfName(base.names), theirs = ByHfName(tuned.names);
  const bool tied = !ours.contains(kOutputHfName);
  for (const auto& [name, index] : theirs) {
    if (!ours.contains(name)) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' is not in {}", tuned.tensors.name(), name,
           base.tensors.name());
    }
  }
  std::vector<ExtractedModule> all;
  for (const auto& [name, index] : ours) {
    const auto found = theirs.find(name);
    const TensorInfo& info = base.tensors.tensors()[index];
    if (found == theirs.end()) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' is missing", tuned.tensors.name(), name);
    }
    const TensorInfo& other = tuned.tensors.tensors()[found->second];
    if (info.shape != other.shape) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' is {}, in {} it is {}", tuned.tensors.name(),
           name, ShapeText(other.shape), base.tensors.name(), ShapeText(info.shape));
    }
    all.push_back({.module = name,
                   .base = index,
                   .tuned = found->second,
                   .rows = info.rows(),
                   .cols = info.cols(),
                   .rank = std::min({rank, info.rows(), info.cols()}),
                   .embeds = name == kEmbeddingsHfName});
  }
  std::vector<char> differs(all.size());
  ParallelFor(std::ssize(all), 1, [&](int64_t begin, int64_t end) {
    for (auto i = static_cast<size_t>(begin); i < static_cast<size_t>(end); ++i) {
      differs[i] = Differs(base, tuned, all[i]);
    }
  });
  Extraction extraction;
  for (size_t i = 0; i < all.size(); ++i) {
    ExtractedModule& module = all[i];
    if (!differs[i]) continue;
    const bool matrix =
        base.tensors.tensors()[module.base].shape.size() == 2 && module.module.ends_with(kWeight);
    if (!matrix || (module.embeds && tied)) {
      extraction.notes.push_back(fmt::format(
          "'{}' differs and is left out: {}", module.module,
          matrix ? "the output is tied to it, and an adapter would change one side alone"
                 : "it is no matrix"));
      continue;
    }
    module.module.resize(module.module.size() - kWeight.size());
    extraction.modules.push_back(std::move(module));
  }
  if (extraction.modules.empty()) {
    Fail(ErrorKind::kBadInput, "{} and {}: no module differs that an adapter could change",
         base.tensors.name(), tuned.tensors.name());
  }
  return extraction;
}

std::vector<TensorInfo> ExtractedTensors(const Extraction& extraction) {
  std::vector<TensorInfo> infos;
  for (const ExtractedModule& m : extraction.modules) {
    const int64_t in = m.embeds ? m.rows : m.cols, out = m.embeds ? m.cols : m.rows;
    infos.push_back(
        {.name = PeftName(m.module, m.embeds ? AdapterPart::kEmbeddingA : AdapterPart::kA),
         .type = Type::kF32,
         .shape = {in, m.rank}});
    infos.push_back(
        {.name = PeftName(m.module, m.embeds ? AdapterPart::kEmbeddingB : AdapterPart::kB),
         .type = Type::kF32,
         .shape = {m.rank, out}});
  }
  return infos;
}

LoraConfig ExtractedConfig(const Extraction& extraction, int64_t rank, int64_t layers) {
  LoraConfig config;
  config.rank = config.alpha = static_cast<double>(rank);
  std::vector<std::string> names;
  for (const ExtractedModule& module : extraction.modules) {
    names.push_back(module.module);
    if (module.rank == rank) continue;
    config.rank_pattern.emplace_back(module.module, static_cast<double>(module.rank));
    config.alpha_pattern.emplace_back(module.module, static_cast<double>(module.rank));
  }
  config.target_modules = {.names = ShortTargets(names, layers), .regex = {}, .said = true};
  return config;
}

std::vector<ExtractedEnergy> Extract(const NamedModel& base, const NamedModel& tuned,
                                     const Extraction& extraction, TensorSink& sink,
                                     Progress& progress) {
  std::vector<ExtractedEnergy> energies;
  for (size_t i = 0; i < extraction.modules.size(); ++i) {
    const ExtractedModule& module = extraction.modules[i];
    progress.Step(static_cast<int64_t>(i) + 1, std::ssize(extraction.modules), module.module);
    energies.push_back(ExtractOne(base, tuned, module, 2 * i, sink));
  }
  return energies;
}

}  // namespace quern
