#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "gguf/gguf_reader.h"
#include "gguf/gguf_writer.h"
#include "quant/file_type.h"
#include "quant/imatrix.h"
#include "quant/recipe.h"
#include "quant/typed_source.h"

namespace quern {

struct QuantizeOptions {
  FileType file_type = FileType::kQ8_0;
  bool copy = false;              // every tensor keeps its type; file_type does not count
  bool allow_requantize = false;  // decode what is quantized already
  bool keep_split = false;        // write as many files as are read, with the same tensors each
  RecipeOptions recipe = {};
  std::vector<std::pair<std::string, Value>> overrides = {};  // keys of the output
  std::vector<int64_t> pruned_layers = {};
};

// What becomes of one tensor.
struct PlannedTensor {
  size_t source;     // its index in the model that is read
  std::string name;  // in the output; another than before where layers are pruned
  Type from, to;
  std::vector<int64_t> shape;
  std::optional<Type> fell_back_from;
  bool needs_importance;
  std::vector<float> importance;

  int64_t bytes_before() const;
  int64_t bytes_after() const;
};

// A quantization thought through: made from the header alone, before anything is written.
struct QuantizePlan {
  std::vector<PlannedTensor> tensors;  // in the order of the output
  Metadata metadata;                   // of the output, in its order
  SplitPlan split;
  std::vector<std::string> notes;  // what the user should hear

  int64_t weights() const;
  int64_t bytes_before() const;
  int64_t bytes_after() const;
};

// Plans as llama-quantize works: its picks, its order of tensors and of keys. `matrix` may be null;
// its weights are copied. Errors: kBadInput and kUnsupported as PickTypes; kBadInput where the
// matrix's sizes do not fit; kUnsupported where a layer to prune is not there.
QuantizePlan PlanQuantize(const GgufModel& model, const QuantizeOptions& options,
                          const Imatrix* matrix);

// Refuses, with kUnsupported and by name, what must not be carried out: tensors whose types need
// importance weights and have none, and quantized ones that would be decoded without
// allow_requantize.
void CheckPlan(const QuantizePlan& plan, const QuantizeOptions& options);

// The model as the plan wants it, for Stream. Takes the importance weights out of the plan.
std::shared_ptr<TypedSource> SourceOf(std::shared_ptr<const GgufModel> model, QuantizePlan& plan,
                                      EncodeObserver* observer = nullptr,
                                      std::shared_ptr<DeviceEncoder> device = nullptr);

// The keys that name a file's type, where llama-quantize puts them: at the end.
void SetFileTypeKeys(Metadata& metadata, FileType file_type);

}  // namespace quern
