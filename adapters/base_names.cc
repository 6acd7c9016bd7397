#include "adapters/base_names.h"

#include "base/error.h"
#include "gguf/keys.h"

namespace quern {
namespace {

// Quantized weights are merged and kept in float32 until they are encoded anew.
Type PrecisionOf(Type type) { return IsFloat(type) ? type : Type::kF32; }

}  // namespace

int64_t HeadRowsOf(const TensorRule& rule, int64_t rows, const std::string& tensor,
                   const Metadata& metadata, const std::string& arch) {
  if (rule.order == RowOrder::kAsIs) return 0;
  const std::string query_heads = arch + ".attention.head_count";
  const std::string key_heads = arch + ".attention.head_count_kv";
  const bool of_keys = rule.order == RowOrder::kInterleavedK && metadata.Has(key_heads);
  const int64_t heads = metadata.NeedInt(of_keys ? key_heads : query_heads);
  if (heads <= 0 || heads > rows || rows % heads != 0 || rows / heads % 2 != 0) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' has {} rows, which {} heads cannot share",
         metadata.name(), tensor, rows, heads);
  }
  return rows / heads;
}

std::vector<float> BaseTensor::InBaseOrder(const std::vector<float>& values) const {
  std::vector<float> out(values.size());
  for (size_t row = 0; row < out.size(); ++row) {
    out[row] = values[static_cast<size_t>(HfRow(static_cast<int64_t>(row)))];
  }
  return out;
}

BaseNames HfBaseNames(const TensorSource& base) {
  BaseNames names;
  names.output_name = kOutputHfName;
  for (const TensorInfo& tensor : base.tensors()) {
    names.tensors.push_back({.hf_name = tensor.name, .precision = PrecisionOf(tensor.type)});
  }
  return names;
}

BaseNames GgufBaseNames(const TensorSource& base, const Metadata& metadata) {
  const std::string arch_name = metadata.NeedText(keys::kArchitecture);
  const Arch* arch = FindArch(arch_name);
  if (!arch) {
    Fail(ErrorKind::kUnsupported,
         "{}: architecture '{}' is not known, so its tensors' names in an "
         "adapter are not either",
         base.name(), arch_name);
  }
  BaseNames names;
  if (const auto output = PlaceOfHf(*arch, kOutputHfName)) names.output_name = GgufName(*output);
  for (const TensorInfo& tensor : base.tensors()) {
    BaseTensor& name = names.tensors.emplace_back();
    name.precision = PrecisionOf(tensor.type);
    const auto place = PlaceOfGguf(*arch, tensor.name);
    if (!place || place->rule->hf.empty()) continue;
    name.hf_name = HfName(*place);
    name.head_rows = HeadRowsOf(*place->rule, place->is_bias ? tensor.cols() : tensor.rows(),
                                tensor.name, metadata, arch_name);
    if (place->is_bias) {
      TensorPlace weight = *place;
      weight.is_bias = false;
      const auto index = base.Find(GgufName(weight));
      if (index) name.precision = PrecisionOf(base.tensors()[*index].type);
    }
  }
  return names;
}

}  // namespace quern
