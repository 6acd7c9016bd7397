#include "model/eval/product_types.h"

#include <set>

namespace quern {

ProductTypes ProductTypesOf(const Weights& weights) {
  std::set<Type> types = {weights.output.weight.type};
  for (const LayerWeights& layer : weights.layers) {
    for (const Linear* linear :
         {&layer.q, &layer.k, &layer.v, &layer.attn_output, &layer.gate, &layer.up, &layer.down}) {
      types.insert(linear->weight.type);
    }
  }
  ProductTypes result;
  for (const TypeInfo& info : kTypes) {
    if (!types.contains(info.type)) continue;
    (RoundsActivations(info.type) ? result.rounding : result.exact).push_back(info.type);
  }
  return result;
}

}  // namespace quern
