#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "gguf/metadata.h"
#include "gguf/tensor_source.h"
#include "quant/file_type.h"
#include "quant/name_pattern.h"

namespace quern {

// What a recipe asks of a model beyond its tensors.
struct RecipeModel {
  std::string arch;
  int64_t layers = 0;
  int64_t experts = 0;
  int64_t heads = 0, kv_heads = 0;  // of the first layer

  // From the keys of a GGUF file; error kBadInput where one is missing.
  static RecipeModel Of(const Metadata& metadata);
};

// Tensors whose names hold a match of the pattern get the type.
struct TypeRule {
  NamePattern pattern;
  Type type = Type::kF32;
};

struct RecipeOptions {
  bool pure = false;            // the default type everywhere, no mix
  bool keep_output = false;     // output.weight keeps its type
  bool has_importance = false;  // the file is made with an importance matrix
  bool keep_order = false;      // count tensors in the order of the list, not by layer and name
  std::optional<Type> output_type = {};
  std::optional<Type> embedding_type = {};
  std::vector<TypeRule> rules = {};  // the first that matches decides
};

// The type that one tensor gets.
struct RecipePick {
  Type type = Type::kF32;
  // The type that was wanted where the row is no whole number of its blocks.
  std::optional<Type> fell_back_from = {};
  // Made without importance weights it would be worth nothing, or cannot be made.
  bool needs_importance = false;
};

// The types of `tensors` in a file of this type, as llama-quantize picks them. Counters run over
// the tensors in WorkOrder. Errors: kUnsupported where no type fits a tensor's rows, kBadInput
// where an FFN tensor of a model of experts names no layer of it.
std::vector<RecipePick> PickTypes(const RecipeModel& model, std::span<const TensorInfo> tensors,
                                  FileType file_type, const RecipeOptions& options = {});

// The order in which llama-quantize works and writes: by layer (what is in none first), then name.
std::vector<size_t> WorkOrder(std::span<const TensorInfo> tensors);

}  // namespace quern
