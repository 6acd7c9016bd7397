// An adapter's config and the names and shapes of its tensors: any bytes give a plan or an Error.
// The input is the config, a zero byte, and for each tensor two bytes of shape, its name and a zero
// byte.
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <set>
#include <string>
#include <vector>

#include "adapters/merge_plan.h"
#include "base/error.h"

namespace quern {
namespace {

// Tensors of ones.
class Ones : public TensorSource {
 public:
  Ones(std::string name, std::vector<TensorInfo> infos)
      : TensorSource(std::move(name), std::move(infos)) {}
  void ReadRows(size_t, int64_t, int64_t, std::span<std::byte> out) const override {
    const float one = 1;
    for (size_t i = 0; i + sizeof(one) <= out.size(); i += sizeof(one)) {
      std::memcpy(out.data() + i, &one, sizeof(one));
    }
  }
};

TensorInfo Matrix(std::string name, int64_t cols, int64_t rows) {
  return {.name = std::move(name), .type = Type::kF32, .shape = {cols, rows}};
}

std::string_view TakeText(std::string_view& input) {
  const size_t end = std::min(input.find('\0'), input.size());
  const std::string_view text = input.substr(0, end);
  input.remove_prefix(std::min(end + 1, input.size()));
  return text;
}

void Plan(std::string_view input) {
  static const auto base = std::make_shared<Ones>(
      "base",
      std::vector<TensorInfo>{
          Matrix("model.embed_tokens.weight", 4, 6),
          Matrix("model.layers.0.self_attn.q_proj.weight", 4, 4),
          {.name = "model.layers.0.self_attn.q_proj.bias", .type = Type::kF32, .shape = {4}}});
  LoraConfig config = ParseLoraConfig(TakeText(input), "config");
  std::vector<TensorInfo> infos;
  std::set<std::string> names;
  while (input.size() > 2) {
    const int64_t cols = 1 + (input[0] & 7), rows = input[1] & 7;
    input.remove_prefix(2);
    std::string name(TakeText(input));
    if (!names.insert(name).second) continue;
    infos.push_back(Matrix(std::move(name), cols, std::max<int64_t>(rows, 1)));
    if (rows == 0) infos.back().shape.pop_back();
  }
  const std::vector<WeightedAdapter> adapters = {
      {std::make_shared<LoraAdapter>(std::move(config),
                                     std::make_shared<Ones>("adapter", std::move(infos))),
       1}};
  PlanMerge(*base, HfBaseNames(*base), adapters);
}

}  // namespace
}  // namespace quern

extern "C" int LLVMFuzzerTestOneInput(const uint8_t* data, size_t size) {
  try {
    quern::Plan({reinterpret_cast<const char*>(data), size});
  } catch (const quern::Error&) {
  }
  return 0;
}
