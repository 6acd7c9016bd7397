#include "tests/support/golden_merge.h"

#include <doctest/doctest.h>

#include <cmath>
#include <map>

#include "base/file.h"
#include "convert/checkpoint.h"
#include "kernels/codec.h"
#include "kernels/half.h"

namespace quern::testing {
namespace {

// All values of a tensor, rounded to bf16, rows in HF's order.
std::vector<float> ValuesOf(const TensorSource& source, size_t index, const BaseTensor& name) {
  const TensorInfo& tensor = source.tensors()[index];
  std::vector<float> stored(static_cast<size_t>(tensor.elements())), values(stored.size());
  Decode(tensor.type, source.ReadAll(index).data(), tensor.elements(), stored.data());
  const bool vector = tensor.shape.size() == 1;
  const int64_t rows = vector ? tensor.cols() : tensor.rows(), cols = vector ? 1 : tensor.cols();
  for (int64_t row = 0; row < rows; ++row) {
    for (int64_t col = 0; col < cols; ++col) {
      values[static_cast<size_t>(name.HfRow(row) * cols + col)] =
          Bf16ToFloat(FloatToBf16(stored[static_cast<size_t>(row * cols + col)]));
    }
  }
  return values;
}

// One step of bf16 at this magnitude; none at zero.
float Step(float value) { return value == 0 ? 0 : std::ldexp(1.0f, std::ilogb(value) - 7); }

}  // namespace

std::shared_ptr<LoraAdapter> OpenAdapter(const std::filesystem::path& folder) {
  const auto config = folder / "adapter_config.json";
  auto tensors = folder / "adapter_model.safetensors";
  if (!std::filesystem::exists(tensors)) tensors = folder / "adapter_model.bin";
  return std::make_shared<LoraAdapter>(ParseLoraConfig(ReadFile(config), config.string()),
                                       Checkpoint::Open(tensors));
}

void CheckMerged(const TensorSource& base, const TensorSource& merged, const BaseNames& names,
                 const std::filesystem::path& golden) {
  const auto wanted = Checkpoint::Open(golden);
  int64_t elements = 0, different = 0;
  size_t changed = 0;
  for (size_t t = 0; t < merged.tensors().size(); ++t) {
    const std::string& name = merged.tensors()[t].name;
    CAPTURE(name);
    const auto index = wanted->Find(names[t].hf_name);
    if (!index) {
      // An output that was untied and not changed has the embeddings' weights.
      auto same = base.Find(name);
      if (!same) same = base.Find("model.embed_tokens.weight");
      if (!same) same = base.Find("token_embd.weight");
      REQUIRE(same);
      CHECK(merged.ReadAll(t) == base.ReadAll(*same));
      continue;
    }
    ++changed;
    const auto got = ValuesOf(merged, t, names[t]);
    const auto want = ValuesOf(*wanted, *index, BaseTensor{});
    REQUIRE(got.size() == want.size());
    elements += static_cast<int64_t>(got.size());
    int64_t far = 0;
    for (size_t i = 0; i < got.size(); ++i) {
      if (got[i] == want[i]) continue;
      ++different;
      if (std::fabs(got[i] - want[i]) > std::max(1e-6f, Step(want[i]))) ++far;
    }
    CHECK(far == 0);
  }
  CHECK(changed == wanted->tensors().size());
  CAPTURE(different);
  CAPTURE(elements);
  CHECK(different * 10000 <= elements);
}

}  // namespace quern::testing
