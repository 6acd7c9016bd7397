#include "quant/plan.h"

#include <fmt/ranges.h>

#include <algorithm>
#include <numeric>
#include <set>

#include "base/error.h"
#include "gguf/keys.h"
#include "quant/selected_source.h"
#include "quant/tensor_class.h"

namespace quern {
namespace {

// GGML_QNT_VERSION of ggml.h.
constexpr uint32_t kQuantizationVersion = 2;
// What llama-quantize keeps of a text that it writes into a key.
constexpr size_t kKeptText = 127;
constexpr size_t kNamesInNote = 8;

// "a, b, c and 5 more".
std::string Listed(const std::vector<std::string>& names) {
  const size_t shown = std::min(names.size(), kNamesInNote);
  const auto end = names.begin() + static_cast<ptrdiff_t>(shown);
  std::string text = fmt::format("{}", fmt::join(names.begin(), end, ", "));
  if (names.size() > shown) text += fmt::format(" and {} more", names.size() - shown);
  return text;
}

// What remains of the model's tensors, under their new names, in the order of the output.
std::vector<PlannedTensor> Remaining(const GgufModel& model, const QuantizeOptions& options) {
  const auto& tensors = model.tensors();
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (options.keep_split) {
    std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) {
      return std::pair(model.FileOf(a), model.OffsetOf(a)) <
             std::pair(model.FileOf(b), model.OffsetOf(b));
    });
  } else {
    order = WorkOrder(tensors);
  }
  const std::set<int64_t> pruned(options.pruned_layers.begin(), options.pruned_layers.end());
  std::set<int64_t> met;
  std::vector<PlannedTensor> remaining;
  for (const size_t t : order) {
    const auto layer = LayerOf(tensors[t].name);
    std::string name = tensors[t].name;
    if (layer && pruned.contains(*layer)) {
      met.insert(*layer);
      continue;
    }
    if (layer && !pruned.empty()) {
      const auto before = std::distance(pruned.begin(), pruned.lower_bound(*layer));
      name = fmt::format("blk.{}{}", *layer - before, name.substr(name.find('.', 4)));
    }
    remaining.push_back({.source = t,
                         .name = name,
                         .from = tensors[t].type,
                         .to = tensors[t].type,
                         .shape = tensors[t].shape,
                         .fell_back_from = {},
                         .needs_importance = false,
                         .importance = {}});
  }
  for (const int64_t layer : pruned) {
    if (!met.contains(layer)) {
      Fail(ErrorKind::kUnsupported, "{}: there is no layer {} to prune", model.name(), layer);
    }
  }
  return remaining;
}

TensorInfo InfoFrom(const PlannedTensor& tensor, Type type) {
  return {.name = tensor.name, .type = type, .shape = tensor.shape};
}

void PickTypesOf(QuantizePlan& plan, const RecipeModel& model, const QuantizeOptions& options,
                 bool has_importance) {
  std::vector<TensorInfo> infos;
  for (const PlannedTensor& tensor : plan.tensors) infos.push_back(InfoFrom(tensor, tensor.from));
  RecipeOptions recipe = options.recipe;
  recipe.has_importance = has_importance;
  recipe.keep_order = true;
  const auto picks = PickTypes(model, infos, options.file_type, recipe);
  std::vector<std::string> fell_back;
  for (size_t t = 0; t < picks.size(); ++t) {
    PlannedTensor& tensor = plan.tensors[t];
    tensor.to = picks[t].type;
    tensor.fell_back_from = picks[t].fell_back_from;
    tensor.needs_importance = picks[t].needs_importance;
    if (tensor.fell_back_from) {
      fell_back.push_back(fmt::format("{} ({} -> {})", tensor.name, NameOf(*tensor.fell_back_from),
                                      NameOf(tensor.to)));
    }
  }
  if (!fell_back.empty()) {
    plan.notes.push_back(
        fmt::format("{} of {} tensors have rows that do not divide into blocks: {}",
                    fell_back.size(), picks.size(), Listed(fell_back)));
  }
}

// Gives each tensor that is encoded its weights, and tells how far the matrix reaches.
void TakeImportance(QuantizePlan& plan, const GgufModel& model, const Imatrix& matrix) {
  std::vector<std::string> without;
  size_t encoded = 0;
  for (PlannedTensor& tensor : plan.tensors) {
    if (tensor.to == tensor.from || !IsQuantized(tensor.to)) continue;
    ++encoded;
    // The matrix was measured on the model as it is, before layers are pruned.
    const auto found = matrix.weights.find(model.tensors()[tensor.source].name);
    const auto slices = tensor.shape.size() > 2 ? tensor.shape[2] : 1;
    const auto wanted = static_cast<size_t>(tensor.shape[0] * slices);
    if (found != matrix.weights.end() && found->second.size() == wanted) {
      tensor.importance = found->second;
      continue;
    }
    without.push_back(tensor.name);
    if (found != matrix.weights.end() && ClassOf(tensor.name) != TensorClass::kEmbedding) {
      Fail(ErrorKind::kBadInput, "{}: has {} values for '{}', {} are needed", matrix.name,
           found->second.size(), tensor.name, wanted);
    }
  }
  std::vector<std::string> unused;
  for (const auto& entry : matrix.weights) {
    if (!model.Find(entry.first)) unused.push_back(entry.first);
  }
  plan.notes.push_back(
      fmt::format("{}: {} of {} tensors that are quantized have importance weights", matrix.name,
                  encoded - without.size(), encoded));
  if (!without.empty()) plan.notes.push_back("without importance weights: " + Listed(without));
  if (!unused.empty()) {
    plan.notes.push_back(fmt::format("{}: the model has no {}", matrix.name, Listed(unused)));
  }
}

void SetImatrixKeys(Metadata& metadata, const Imatrix& matrix) {
  metadata.SetLast("quantize.imatrix.file", matrix.name.substr(0, kKeptText));
  if (!matrix.datasets.empty()) {
    metadata.SetLast("quantize.imatrix.dataset", matrix.datasets[0].substr(0, kKeptText));
  }
  metadata.SetLast("quantize.imatrix.entries_count", static_cast<uint32_t>(matrix.weights.size()));
  if (matrix.chunks > 0) {
    metadata.SetLast("quantize.imatrix.chunks_count", static_cast<uint32_t>(matrix.chunks));
  }
}

// An array of the architecture's keys with an entry per layer loses those of the pruned ones.
Array Pruned(const Array& array, const std::set<int64_t>& layers) {
  if (array.type() == ValueType::kString) return array;
  const size_t size = SizeOf(array.type());
  std::vector<std::byte> bytes;
  for (size_t i = 0; i < array.size(); ++i) {
    if (layers.contains(static_cast<int64_t>(i))) continue;
    const auto entry = array.bytes().subspan(i * size, size);
    bytes.insert(bytes.end(), entry.begin(), entry.end());
  }
  return Array(array.type(), std::move(bytes));
}

void PruneKeys(Metadata& metadata, const RecipeModel& model, const QuantizeOptions& options) {
  const std::set<int64_t> layers(options.pruned_layers.begin(), options.pruned_layers.end());
  if (layers.empty()) return;
  const std::string prefix = model.arch + ".";
  const auto entries = metadata.entries();
  for (const auto& [key, value] : entries) {
    const Array* array = value.ToArray();
    const bool per_layer = array && static_cast<int64_t>(array->size()) == model.layers;
    if (per_layer && key.starts_with(prefix)) metadata.Set(key, Pruned(*array, layers));
  }
  const int64_t left = std::max<int64_t>(model.layers - static_cast<int64_t>(layers.size()), 0);
  metadata.SetLast(prefix + "block_count", static_cast<uint32_t>(left));
}

// The files of the tensors as they were, without those that have lost all their tensors.
SplitPlan KeptSplit(const GgufModel& model, const std::vector<PlannedTensor>& tensors) {
  SplitPlan split;
  size_t file = 0;
  for (size_t t = 0; t < tensors.size(); ++t) {
    if (t > 0 && model.FileOf(tensors[t].source) != model.FileOf(tensors[t - 1].source)) ++file;
    split.file_of.push_back(file);
  }
  return split;
}

}  // namespace

int64_t PlannedTensor::bytes_before() const {
  return TensorInfo{.name = {}, .type = from, .shape = shape}.bytes();
}
int64_t PlannedTensor::bytes_after() const {
  return TensorInfo{.name = {}, .type = to, .shape = shape}.bytes();
}

int64_t QuantizePlan::weights() const {
  int64_t sum = 0;
  for (const auto& tensor : tensors) sum += InfoFrom(tensor, tensor.from).elements();
  return sum;
}
int64_t QuantizePlan::bytes_before() const {
  int64_t sum = 0;
  for (const auto& tensor : tensors) sum += tensor.bytes_before();
  return sum;
}
int64_t QuantizePlan::bytes_after() const {
  int64_t sum = 0;
  for (const auto& tensor : tensors) sum += tensor.bytes_after();
  return sum;
}

void SetFileTypeKeys(Metadata& metadata, FileType file_type) {
  metadata.SetLast(keys::kQuantizationVersion, kQuantizationVersion);
  metadata.SetLast(keys::kFileType, InfoOf(file_type).id);
}

QuantizePlan PlanQuantize(const GgufModel& model, const QuantizeOptions& options,
                          const Imatrix* matrix) {
  QuantizePlan plan;
  plan.metadata = model.metadata();
  if (options.copy) {
    plan.metadata.SetLast(keys::kQuantizationVersion, kQuantizationVersion);
    if (const Value* type = model.metadata().Find(keys::kFileType)) {
      plan.metadata.SetLast(keys::kFileType, *type);
    }
  } else {
    SetFileTypeKeys(plan.metadata, options.file_type);
  }
  for (const auto key : {keys::kSplitNo, keys::kSplitCount, keys::kSplitTensors}) {
    plan.metadata.Remove(key);
  }
  for (const auto& [key, value] : options.overrides) plan.metadata.SetLast(key, value);
  if (matrix) SetImatrixKeys(plan.metadata, *matrix);
  const bool needs_model = !options.copy || !options.pruned_layers.empty();
  const RecipeModel recipe_model = needs_model ? RecipeModel::Of(plan.metadata) : RecipeModel{};
  PruneKeys(plan.metadata, recipe_model, options);

  plan.tensors = Remaining(model, options);
  if (!options.copy) PickTypesOf(plan, recipe_model, options, matrix != nullptr);
  if (matrix) TakeImportance(plan, model, *matrix);
  if (options.keep_split && model.file_count() > 1) plan.split = KeptSplit(model, plan.tensors);
  return plan;
}

void CheckPlan(const QuantizePlan& plan, const QuantizeOptions& options) {
  std::vector<std::string> bare, quantized;
  for (const PlannedTensor& tensor : plan.tensors) {
    if (tensor.to == tensor.from) continue;
    if (tensor.needs_importance && tensor.importance.empty()) {
      bare.push_back(fmt::format("{} ({})", tensor.name, NameOf(tensor.to)));
    }
    if (IsQuantized(tensor.from) && !options.allow_requantize) {
      quantized.push_back(fmt::format("{} ({})", tensor.name, NameOf(tensor.from)));
    }
  }
  if (!quantized.empty()) {
    Fail(ErrorKind::kUnsupported,
         "{} tensors are quantized already and lose more when that is done again: take the "
         "original, or allow requantizing: {}",
         quantized.size(), Listed(quantized));
  }
  if (!bare.empty()) {
    Fail(ErrorKind::kUnsupported,
         "{} tensors get types that need an importance matrix and have no weights in one: {}",
         bare.size(), Listed(bare));
  }
}

std::shared_ptr<TypedSource> SourceOf(std::shared_ptr<const GgufModel> model, QuantizePlan& plan,
                                      EncodeObserver* observer,
                                      std::shared_ptr<DeviceEncoder> device) {
  std::vector<SelectedSource::Pick> picks;
  std::vector<Type> types;
  Importance importance;
  for (PlannedTensor& tensor : plan.tensors) {
    picks.push_back({tensor.source, tensor.name});
    types.push_back(tensor.to);
    importance.push_back(std::move(tensor.importance));
  }
  return std::make_shared<TypedSource>(std::make_shared<SelectedSource>(std::move(model), picks),
                                       types, std::move(importance), observer, std::move(device));
}

}  // namespace quern
