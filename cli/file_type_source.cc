#include "cli/file_type_source.h"

#include "base/error.h"
#include "quant/plan.h"
#include "quant/recipe.h"
#include "quant/selected_source.h"
#include "quant/typed_source.h"

namespace quern::cli {

namespace {

// The types that the reference's converter has itself: it gives them to all matrices alike.
bool IsDirect(FileType type) {
  return type == FileType::kF32 || type == FileType::kF16 || type == FileType::kBF16 ||
         type == FileType::kQ8_0 || type == FileType::kTQ1_0 || type == FileType::kTQ2_0;
}

FileType FileTypeOf(const std::string& name, const TensorSource& checkpoint) {
  if (name == "auto") {
    return GuessType(checkpoint) == Type::kBF16 ? FileType::kBF16 : FileType::kF16;
  }
  const auto type = FileTypeFromName(name);
  if (!type) Fail(ErrorKind::kUsage, "--outtype {}: there is no such type", name);
  return *type;
}

int64_t WeightsOf(const TensorSource& source) {
  int64_t count = 0;
  for (const TensorInfo& tensor : source.tensors()) count += tensor.elements();
  return count;
}

}  // namespace

std::shared_ptr<const TensorSource> QuantizedSource(std::shared_ptr<const TensorSource> model,
                                                    FileType type, Metadata& keys,
                                                    std::shared_ptr<DeviceEncoder> device) {
  const auto order = WorkOrder(model->tensors());
  std::vector<SelectedSource::Pick> picks;
  for (const size_t index : order) picks.push_back({index, model->tensors()[index].name});
  auto ordered = std::make_shared<SelectedSource>(std::move(model), picks);
  std::vector<Type> types;
  for (const RecipePick& pick : PickTypes(RecipeModel::Of(keys), ordered->tensors(), type)) {
    if (pick.needs_importance) {
      Fail(ErrorKind::kUnsupported,
           "{}: '{}' becomes {}, which needs an importance matrix: write bf16, then quantize with "
           "--imatrix",
           NameOf(type), ordered->tensors()[types.size()].name, NameOf(pick.type));
    }
    types.push_back(pick.type);
  }
  SetFileTypeKeys(keys, type);
  return std::make_shared<TypedSource>(std::move(ordered), types, Importance(), nullptr,
                                       std::move(device));
}

ConvertedModel ConvertModel(const HfModel& model, std::shared_ptr<const TensorSource> checkpoint,
                            const std::string& outtype, Progress& progress,
                            std::shared_ptr<DeviceEncoder> device) {
  ConvertedModel out;
  out.file_type = FileTypeOf(outtype, *checkpoint);
  const Type first = IsDirect(out.file_type) ? InfoOf(out.file_type).type : Type::kBF16;
  auto named = model.Named(std::move(checkpoint));
  const auto types = ConvertedTypes(named->tensors(), first);
  out.tensors =
      std::make_shared<TypedSource>(std::move(named), types, Importance(), nullptr, device);
  out.keys = model.Keys(WeightsOf(*out.tensors), InfoOf(out.file_type).id, progress, out.name);
  if (!IsDirect(out.file_type)) {
    out.tensors = QuantizedSource(std::move(out.tensors), out.file_type, out.keys, device);
  }
  return out;
}

}  // namespace quern::cli
