#include "adapters/float_rows.h"

#include <algorithm>

#include "base/error.h"
#include "kernels/codec.h"

namespace quern {

int64_t RowsAtATime(int64_t cols) {
  constexpr int64_t kWeights = int64_t{1} << 16;
  return std::max<int64_t>(kWeights / std::max<int64_t>(cols, 1), 1);
}

std::vector<float> ReadFloats(const TensorSource& source, size_t index, int64_t first,
                              int64_t count) {
  const TensorInfo& tensor = source.tensors()[index];
  if (!CanDecode(tensor.type)) {
    Fail(ErrorKind::kUnsupported, "{}: tensor '{}' is {}, which cannot be decoded", source.name(),
         tensor.name, NameOf(tensor.type));
  }
  std::vector<std::byte> raw(static_cast<size_t>(count * tensor.row_bytes()));
  source.ReadRows(index, first, count, raw);
  std::vector<float> values(static_cast<size_t>(count * tensor.cols()));
  Decode(tensor.type, raw.data(), count * tensor.cols(), values.data());
  return values;
}

std::vector<float> Transposed(const std::vector<float>& in, int64_t rows, int64_t cols) {
  std::vector<float> out(in.size());
  for (int64_t r = 0; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) {
      out[static_cast<size_t>(c * rows + r)] = in[static_cast<size_t>(r * cols + c)];
    }
  }
  return out;
}

}  // namespace quern
