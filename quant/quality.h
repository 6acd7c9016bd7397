#pragma once

#include <cstdint>
#include <mutex>
#include <span>
#include <vector>

#include "quant/typed_source.h"

namespace quern {

// How far encoded weights are from those they were made of.
struct EncodingError {
  int64_t weights = 0;
  double squared_error = 0;   // sum of (encoded - weight)^2
  double squared_weight = 0;  // sum of weight^2
  float largest_error = 0;    // largest |encoded - weight|

  double rmse() const;
  // rmse over the root mean square of the weights; 0 where all of them are 0.
  double relative() const;
  void Add(const EncodingError& other);
};

// Of `got` against `weights`, which are as many.
EncodingError MeasureError(std::span<const float> weights, std::span<const float> got);

// Measures a TypedSource's tensors while they are encoded: decodes each piece again.
class QualityMeter : public EncodeObserver {
 public:
  // types: what each tensor is encoded to.
  explicit QualityMeter(std::vector<Type> types);

  void Encoded(size_t tensor, int64_t first, std::span<const float> weights,
               std::span<const std::byte> encoded) override;

  // Of each tensor, in the source's order; what was copied has no weights. Call when all is read.
  const std::vector<EncodingError>& errors() const { return errors_; }
  EncodingError Total() const;

 private:
  std::vector<Type> types_;
  std::mutex mutex_;
  std::vector<EncodingError> errors_;
};

}  // namespace quern
