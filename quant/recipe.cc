#include "quant/recipe.h"

#include <algorithm>
#include <array>
#include <numeric>

#include "base/error.h"
#include "gguf/keys.h"
#include "kernels/codec.h"
#include "quant/recipe_rules.h"
#include "quant/tensor_class.h"

namespace quern {
namespace {

using namespace recipe;  // NOLINT: the table's own words

// No model comes near; keeps the recipes' arithmetic far from overflow.
constexpr int64_t kMostLayersOrHeads = 1'000'000;

// A number per model, or an array with one per layer, of which the first is taken.
std::optional<int64_t> FirstInt(const Metadata& metadata, const std::string& key) {
  const Value* value = metadata.Find(key);
  if (!value || !value->ToArray()) return metadata.Int(key);
  const auto numbers = value->ToArray()->ToInts();
  if (numbers.empty()) return std::nullopt;
  return numbers[0];
}

bool IsMore(int64_t i, int64_t n) { return i < n / 8 || i >= 7 * n / 8 || (i - n / 8) % 3 == 2; }

// Picks the types of one file: counts the tensors of each class as it goes.
class Picker {
 public:
  Picker(const RecipeModel& model, std::span<const TensorInfo> tensors, FileType file_type,
         const RecipeOptions& options)
      : model_(model), file_type_(file_type), options_(options) {
    for (const TensorInfo& tensor : tensors) {
      const TensorClass tensor_class = ClassOf(tensor.name);
      if (tensor_class == TensorClass::kV) ++v_count_;
      if (tensor_class == TensorClass::kOutput) tied_ = false;
    }
    of_model_ = WhenOfModel();
  }

  RecipePick Pick(const TensorInfo& tensor) {
    const TensorClass tensor_class = ClassOf(tensor.name);
    RecipePick pick{.type = tensor.type};
    const bool kept = tensor_class == TensorClass::kOutput && options_.keep_output;
    if (!MayQuantize(tensor) || kept) return pick;
    pick.type = InfoOf(file_type_).type;
    if (tensor_class == TensorClass::kEmbedding && options_.embedding_type) {
      pick.type = *options_.embedding_type;
    } else if (tensor_class == TensorClass::kOutput && options_.output_type) {
      pick.type = *options_.output_type;
    } else if (IsQuantized(pick.type)) {
      const Type wanted = Wanted(tensor, tensor_class);
      pick.type = Fitting(tensor, wanted);
      if (pick.type != wanted) pick.fell_back_from = wanted;
    }
    pick.needs_importance = pick.type != tensor.type && NeedsImportance(pick.type, tensor_class);
    return pick;
  }

 private:
  uint32_t WhenOfModel() const {
    uint32_t when = 0;
    const auto set = [&](When flag, bool holds) {
      if (holds) when |= flag;
    };
    set(kGqa4, model_.kv_heads > 0 && model_.heads / model_.kv_heads >= 4);
    set(kExperts4, model_.experts >= 4);
    set(kExperts8, model_.experts == 8);
    set(options_.has_importance ? kMatrix : kNoMatrix, true);
    set(model_.arch == "falcon" ? kFalcon : kNotFalcon, true);
    for (const LargeModel& large : kLargeModels) {
      set(k70B, model_.arch == large.arch && model_.layers == large.layers &&
                    !(large.needs_gqa && model_.heads == model_.kv_heads));
    }
    return when;
  }

  uint32_t WhenOfTensor(const TensorInfo& tensor, int64_t i, int64_t n) const {
    uint32_t when = of_model_;
    const auto set = [&](When flag, bool holds) {
      if (holds) when |= flag;
    };
    set(kStacked, tensor.shape.size() > 2 && tensor.shape[2] > 1);
    set(kMisfit, tensor.cols() % InfoOf(InfoOf(file_type_).type).elems != 0);
    set(kFirst2, i < 2);
    set(kFirst4, i < 4);
    set(kFirst16th, i < n / 16);
    set(kFirst8th, i < n / 8);
    set(kMiddle, i >= n / 8 && i < 7 * n / 8);
    set(kMore, IsMore(i, n));
    return when;
  }

  Type Wanted(const TensorInfo& tensor, TensorClass tensor_class) {
    for (const TypeRule& rule : options_.rules) {
      if (rule.pattern.FoundIn(tensor.name)) return rule.type;
    }
    if (options_.pure) return InfoOf(file_type_).type;
    if (tied_ && tensor_class == TensorClass::kEmbedding) {
      tensor_class = TensorClass::kOutput;
      if (options_.output_type) return *options_.output_type;
    }
    return Mixed(tensor, tensor_class);
  }

  Type Mixed(const TensorInfo& tensor, TensorClass tensor_class) {
    const int64_t i = PlaceOf(tensor, tensor_class);
    const int64_t n = tensor_class == TensorClass::kV ? v_count_ : model_.layers;
    const uint32_t when = WhenOfTensor(tensor, i, n);
    Type type = InfoOf(file_type_).type;
    for (const Rule& rule : kMix) {
      if (rule.classes.Has(tensor_class) && rule.file_types.Has(file_type_) &&
          (rule.when & ~when) == 0) {
        type = rule.type;
        break;
      }
    }
    if (tensor_class != TensorClass::kV || kIq1Iq2.Has(file_type_) || kMoe.Has(file_type_)) {
      return type;
    }
    for (const Raise& raise : kRaiseV) {
      const bool from = type == Type::kQ3_K || type == Type::kQ4_K;
      if ((raise.when & ~when) == 0 && (from || !raise.from_q3_and_q4_alone)) type = raise.type;
    }
    return type;
  }

  // i of the table: how many of the class came before, or the layer.
  int64_t PlaceOf(const TensorInfo& tensor, TensorClass tensor_class) {
    const int64_t counted = counters_[static_cast<size_t>(tensor_class)]++;
    const bool is_ffn = tensor_class == TensorClass::kDown || tensor_class == TensorClass::kGate ||
                        tensor_class == TensorClass::kUp;
    // The experts of a layer may be tensors of their own, so counting them tells no layer.
    const bool by_name =
        is_ffn && model_.experts > 1 && !kIq1Iq2.Has(file_type_) && !kMoe.Has(file_type_);
    if (!by_name) return counted;
    const auto layer = LayerOf(tensor.name);
    if (!layer || *layer < 0 || *layer >= model_.layers) {
      Fail(ErrorKind::kBadInput, "tensor '{}' is of no layer of the model, which has {}",
           tensor.name, model_.layers);
    }
    return *layer;
  }

  Type Fitting(const TensorInfo& tensor, Type type) const {
    if (tensor.cols() % InfoOf(type).elems == 0) return type;
    for (const Fallback& fallback : kFallbacks) {
      if (fallback.from != type) continue;
      return tensor.cols() % InfoOf(fallback.to).elems == 0 ? fallback.to : Type::kF16;
    }
    Fail(
        ErrorKind::kUnsupported,
        "tensor '{}' cannot be {}: its rows have {} weights, blocks of {} are needed, and no other "
        "type is given for it",
        tensor.name, NameOf(type), tensor.cols(), InfoOf(type).elems);
  }

  bool NeedsImportance(Type type, TensorClass tensor_class) const {
    if (quern::NeedsImportance(type)) return true;
    switch (type) {
      case Type::kIQ1_M:
      case Type::kIQ2_S:
      case Type::kIQ3_XXS:
        break;
      case Type::kQ2_K:
        if (file_type_ == FileType::kQ2_K_S) break;
        return false;
      default:
        return false;
    }
    return tensor_class != TensorClass::kOutput && tensor_class != TensorClass::kEmbedding;
  }

  const RecipeModel& model_;
  FileType file_type_;
  const RecipeOptions& options_;
  uint32_t of_model_ = 0;
  int64_t v_count_ = 0;
  bool tied_ = true;
  std::array<int64_t, kTensorClasses> counters_{};
};

}  // namespace

RecipeModel RecipeModel::Of(const Metadata& metadata) {
  RecipeModel model;
  model.arch = metadata.NeedText(keys::kArchitecture);
  const auto key = [&](std::string_view name) { return fmt::format("{}.{}", model.arch, name); };
  // Projectors ("clip") count no layers of a language model.
  if (model.arch != "clip") model.layers = metadata.NeedInt(key("block_count"));
  model.experts = metadata.Int(key("expert_count")).value_or(0);
  model.heads = FirstInt(metadata, key("attention.head_count")).value_or(0);
  model.kv_heads = FirstInt(metadata, key("attention.head_count_kv")).value_or(model.heads);
  for (const int64_t count : {model.layers, model.experts, model.heads, model.kv_heads}) {
    if (count < 0 || count > kMostLayersOrHeads) {
      Fail(ErrorKind::kBadInput, "{}: says it has {} layers, heads or experts", metadata.name(),
           count);
    }
  }
  return model;
}

std::vector<size_t> WorkOrder(std::span<const TensorInfo> tensors) {
  std::vector<std::pair<int64_t, size_t>> keyed(tensors.size());
  for (size_t t = 0; t < tensors.size(); ++t) keyed[t] = {LayerOf(tensors[t].name).value_or(-1), t};
  std::sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    if (a.first != b.first) return a.first < b.first;
    return tensors[a.second].name < tensors[b.second].name;
  });
  std::vector<size_t> order;
  for (const auto& entry : keyed) order.push_back(entry.second);
  return order;
}

std::vector<RecipePick> PickTypes(const RecipeModel& model, std::span<const TensorInfo> tensors,
                                  FileType file_type, const RecipeOptions& options) {
  std::vector<size_t> order(tensors.size());
  std::iota(order.begin(), order.end(), size_t{0});
  if (!options.keep_order) order = WorkOrder(tensors);
  Picker picker(model, tensors, file_type, options);
  std::vector<RecipePick> picks(tensors.size(), RecipePick{});
  for (const size_t t : order) picks[t] = picker.Pick(tensors[t]);
  return picks;
}

}  // namespace quern
