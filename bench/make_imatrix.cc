// make-imatrix MODEL.gguf OUT.gguf: an importance matrix of random weights (squares of normal
// numbers, and 0.01) for every matrix of the model, the embeddings too, so that benchmarks can
// quantize to any type with --pure.
#include <cstdio>
#include <cstring>
#include <random>

#include "base/error.h"
#include "gguf/gguf_reader.h"
#include "gguf/gguf_writer.h"

namespace quern {
namespace {

// Sums and counts for each matrix: X.in_sum2 and X.counts.
std::vector<TensorInfo> InfosFor(const TensorSource& model) {
  std::vector<TensorInfo> infos;
  for (const TensorInfo& tensor : model.tensors()) {
    if (tensor.shape.size() < 2) continue;
    const int64_t slices = tensor.shape.size() > 2 ? tensor.shape[2] : 1;
    infos.push_back({tensor.name + ".in_sum2", Type::kF32, {tensor.cols(), slices}});
    infos.push_back({tensor.name + ".counts", Type::kF32, {1, slices}});
  }
  return infos;
}

int Run(const char* model_path, const char* out_path) {
  const auto infos = InfosFor(*GgufModel::Open(model_path));
  Metadata keys("imatrix");
  keys.Set("general.type", "imatrix");
  keys.Set("imatrix.datasets", Array(std::vector<std::string>{"random"}));
  keys.Set("imatrix.chunk_count", uint32_t{1});
  keys.Set("imatrix.chunk_size", uint32_t{512});
  GgufSink sink(out_path, keys, infos, Overwrite::kReplace);
  std::mt19937_64 bits(1);
  std::normal_distribution<float> normal;
  for (size_t t = 0; t < infos.size(); ++t) {
    std::vector<float> values(static_cast<size_t>(infos[t].elements()), 1.0F);
    if (infos[t].name.ends_with(".in_sum2")) {
      for (float& value : values) {
        const float g = normal(bits);
        value = g * g + 0.01F;
      }
    }
    sink.WriteRows(t, 0, std::as_bytes(std::span(values)));
  }
  sink.Commit();
  return 0;
}

}  // namespace
}  // namespace quern

int main(int argc, char** argv) {
  if (argc != 3) {
    std::fprintf(stderr, "usage: make-imatrix MODEL.gguf OUT.gguf\n");
    return 2;
  }
  try {
    return quern::Run(argv[1], argv[2]);
  } catch (const std::exception& error) {
    std::fprintf(stderr, "error: %s\n", error.what());
    return 1;
  }
}
