#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "adapters/base_names.h"
#include "adapters/lora_config.h"
#include "gguf/tensor_sink.h"
#include "gguf/tensor_source.h"

namespace quern {

// A model of which an adapter is made: names and rows in the checkpoint's order come by `names`.
struct NamedModel {
  const TensorSource& tensors;
  const BaseNames& names;
};

// One module of an extracted adapter.
struct ExtractedModule {
  std::string module;  // "model.layers.0.self_attn.q_proj"
  size_t base, tuned;  // tensors of the two models
  int64_t rows = 0, cols = 0, rank = 0;
  bool embeds = false;
};

struct Extraction {
  std::vector<ExtractedModule> modules;
  std::vector<std::string> notes;  // what differs and is left out
};

// Which modules differ between two models of one shape. Those that are equal are left out; so are
// vectors (norms, biases) and what else no A and B can express, which is noted. Errors: kBadInput
// where a tensor is missing or has another shape, or nothing differs.
Extraction PlanExtraction(const NamedModel& base, const NamedModel& tuned, int64_t rank);

// The adapter's tensors in f32, two for each module, and its config: alpha is the rank, so that the
// scale is 1.
std::vector<TensorInfo> ExtractedTensors(const Extraction& extraction);
LoraConfig ExtractedConfig(const Extraction& extraction, int64_t rank, int64_t layers);

// How much of a module's difference its A and B are.
struct ExtractedEnergy {
  double norm = 0;  // Frobenius, of the difference
  double kept = 0;  // of it, the share of the squares that is left: 1 is all
};

// Computes the factors, one module at a time, and writes them. sink: of ExtractedTensors. Gives the
// energies, one for each module. Error kNonFinite for NaN and Inf.
std::vector<ExtractedEnergy> Extract(const NamedModel& base, const NamedModel& tuned,
                                     const Extraction& extraction, TensorSink& sink,
                                     Progress& progress);

}  // namespace quern
