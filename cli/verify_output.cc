#include "cli/verify_output.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"

namespace quern::cli {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 20;

void VerifyTensor(const TensorSource& source, size_t index, const TensorSource& written) {
  const TensorInfo& tensor = source.tensors()[index];
  const auto found = written.Find(tensor.name);
  if (!found || written.tensors()[*found].type != tensor.type ||
      written.tensors()[*found].shape != tensor.shape) {
    Fail(ErrorKind::kOutput, "{}: tensor '{}' ({}, {}) is not in it", written.name(), tensor.name,
         NameOf(tensor.type), ShapeText(tensor.shape));
  }
  const int64_t row_bytes = std::max<int64_t>(tensor.row_bytes(), 1);
  const int64_t step = std::max<int64_t>(kPieceBytes / row_bytes, 1);
  for (int64_t first = 0; first < tensor.rows(); first += step) {
    const int64_t count = std::min(step, tensor.rows() - first);
    std::vector<std::byte> wanted(static_cast<size_t>(count * row_bytes)), got(wanted.size());
    source.ReadRows(index, first, count, wanted);
    written.ReadRows(*found, first, count, got);
    const auto differ = std::mismatch(wanted.begin(), wanted.end(), got.begin()).first;
    if (differ != wanted.end()) {
      Fail(ErrorKind::kOutput, "{}: tensor '{}' read back differs in row {}", written.name(),
           tensor.name, first + (differ - wanted.begin()) / row_bytes);
    }
  }
}

}  // namespace

void VerifyOutput(const TensorSource& source, const TensorSource& written, Progress& progress) {
  const auto total = static_cast<int64_t>(source.tensors().size());
  if (total != static_cast<int64_t>(written.tensors().size())) {
    Fail(ErrorKind::kOutput, "{}: has {} tensors, {} were written", written.name(),
         written.tensors().size(), total);
  }
  ParallelFor(total, 1, [&](int64_t begin, int64_t end) {
    for (int64_t t = begin; t < end; ++t) {
      progress.Step(t + 1, total, "verify " + source.tensors()[static_cast<size_t>(t)].name);
      VerifyTensor(source, static_cast<size_t>(t), written);
    }
  });
}

}  // namespace quern::cli
