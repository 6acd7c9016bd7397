#include "adapters/gguf_adapter.h"

#include <algorithm>
#include <cmath>
#include <map>

#include "adapters/base_names.h"
#include "base/error.h"
#include "gguf/keys.h"
#include "kernels/codec.h"

namespace quern {
namespace {

constexpr std::string_view kWeight = ".weight";

// A tensor of the file, and what PEFT makes of it.
struct Part {
  size_t index;
  TensorInfo info;        // in f32, under PEFT's name
  int64_t head_rows = 0;  // rows of a head that stand in GGUF's order; 0: as they are
  bool transposed = false;
};

// The tensors of a GGUF adapter under PEFT's names, in f32, rows in the checkpoint's order.
class PeftView : public TensorSource {
 public:
  PeftView(std::shared_ptr<const GgufModel> file, std::vector<Part> parts)
      : TensorSource(file->name(), InfosOf(parts)),
        file_(std::move(file)),
        parts_(std::move(parts)) {}

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override {
    const TensorInfo& info = tensors()[index];
    QUERN_CHECK(first >= 0 && count >= 0 && first + count <= info.rows());
    QUERN_CHECK(out.size() == static_cast<size_t>(count * info.row_bytes()));
    const Part& part = parts_[index];
    const std::vector<std::byte> raw = file_->ReadAll(part.index);
    std::vector<float> stored(static_cast<size_t>(info.elements()));
    Decode(file_->tensors()[part.index].type, raw.data(), info.elements(), stored.data());
    std::vector<float> rows;
    for (int64_t row = first; row < first + count; ++row) {
      const int64_t from =
          part.head_rows == 0 ? row : SourceRow(RowDirection::kToHf, row, part.head_rows);
      for (int64_t col = 0; col < info.cols(); ++col) {
        const int64_t at = part.transposed ? col * info.rows() + row : from * info.cols() + col;
        rows.push_back(stored[static_cast<size_t>(at)]);
      }
    }
    if (!out.empty()) std::memcpy(out.data(), rows.data(), out.size());
  }

 private:
  static std::vector<TensorInfo> InfosOf(const std::vector<Part>& parts) {
    std::vector<TensorInfo> infos;
    for (const Part& part : parts) infos.push_back(part.info);
    return infos;
  }

  std::shared_ptr<const GgufModel> file_;
  std::vector<Part> parts_;
};

struct Halves {
  std::optional<size_t> a, b;
};

// The tensors by the weight that they belong to, which is in the base's naming.
std::map<std::string, Halves> PairUp(const GgufModel& file) {
  std::map<std::string, Halves> pairs;
  for (size_t t = 0; t < file.tensors().size(); ++t) {
    const TensorInfo& tensor = file.tensors()[t];
    const std::string_view name = tensor.name;
    const bool is_a = name.ends_with(kLoraAEnding), is_b = name.ends_with(kLoraBEnding);
    if (!is_a && !is_b) {
      Fail(ErrorKind::kUnsupported, "{}: tensor '{}' is neither a lora_a nor a lora_b", file.name(),
           tensor.name);
    }
    if (tensor.shape.size() != 2 || !CanDecode(tensor.type)) {
      Fail(ErrorKind::kUnsupported, "{}: tensor '{}' is {} of type {}, a matrix is wanted",
           file.name(), tensor.name, ShapeText(tensor.shape), NameOf(tensor.type));
    }
    Halves& halves = pairs[std::string(name.substr(0, name.size() - kLoraAEnding.size()))];
    (is_a ? halves.a : halves.b) = t;
  }
  for (const auto& [weight, halves] : pairs) {
    if (!halves.a || !halves.b) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' has no {} beside it", file.name(),
           file.tensors()[halves.a ? *halves.a : *halves.b].name, halves.a ? "lora_b" : "lora_a");
    }
  }
  return pairs;
}

// The architecture that adapter and base share.
const Arch& ArchOf(const GgufModel& file, const Metadata& base) {
  const std::string own = file.metadata().NeedText(keys::kArchitecture);
  const std::string wanted = base.NeedText(keys::kArchitecture);
  if (own != wanted) {
    Fail(ErrorKind::kBadInput, "{}: is an adapter for the architecture '{}', {} is '{}'",
         file.name(), own, base.name(), wanted);
  }
  const Arch* arch = FindArch(own);
  if (!arch) {
    Fail(ErrorKind::kUnsupported, "{}: architecture '{}' is not known", file.name(), own);
  }
  return *arch;
}

// Checks the keys, and gives alpha: 0 stands for a scale of 1.
double CheckKeys(const Metadata& metadata) {
  if (!IsGgufAdapter(metadata) || metadata.Text(keys::kAdapterType).value_or("") != "lora") {
    Fail(ErrorKind::kBadInput, "{}: is no LoRA adapter: general.type is '{}', adapter.type '{}'",
         metadata.name(), metadata.Text(keys::kType).value_or(""),
         metadata.Text(keys::kAdapterType).value_or(""));
  }
  if (metadata.Has(keys::kInvocationTokens)) {
    Fail(ErrorKind::kUnsupported,
         "{}: is an activated adapter ({}), which works on parts of a text alone", metadata.name(),
         keys::kInvocationTokens);
  }
  const double alpha = metadata.Number(keys::kLoraAlpha).value_or(0);
  if (!std::isfinite(alpha)) {
    Fail(ErrorKind::kBadInput, "{}: {} is {}", metadata.name(), keys::kLoraAlpha, alpha);
  }
  return alpha;
}

struct Module {
  std::string name;
  int64_t rank;
  Part a, b;
};

Module ModuleOf(const GgufModel& file, const Arch& arch, const Metadata& base,
                const std::string& weight, const Halves& halves) {
  const TensorInfo &a = file.tensors()[*halves.a], &b = file.tensors()[*halves.b];
  const auto place = PlaceOfGguf(arch, weight);
  if (!place || place->is_bias || place->rule->hf.empty()) {
    Fail(ErrorKind::kBadInput,
         "{}: tensor '{}' belongs to '{}', which the architecture '{}' has not", file.name(),
         a.name, weight, arch.gguf);
  }
  const bool embeds = place->rule->role == Role::kTokenEmbd;
  Module module{.name = HfName(*place),
                .rank = b.cols(),
                .a = {.index = *halves.a, .info = a, .transposed = embeds},
                .b = {.index = *halves.b, .info = b}};
  module.name.resize(module.name.size() - kWeight.size());
  module.a.info.name = PeftName(module.name, embeds ? AdapterPart::kEmbeddingA : AdapterPart::kA);
  module.b.info.name = PeftName(module.name, embeds ? AdapterPart::kEmbeddingB : AdapterPart::kB);
  module.a.info.type = module.b.info.type = Type::kF32;
  if (embeds) std::swap(module.a.info.shape[0], module.a.info.shape[1]);
  module.b.head_rows = HeadRowsOf(*place->rule, b.rows(), b.name, base, std::string(arch.gguf));
  return module;
}

// The config that says of each module what the file does.
LoraConfig ConfigOf(const std::string& name, double alpha, const std::vector<Module>& modules) {
  std::map<int64_t, int64_t> uses;
  for (const Module& module : modules) ++uses[module.rank];
  const int64_t commonest =
      std::max_element(uses.begin(), uses.end(), [](const auto& one, const auto& other) {
        return one.second < other.second;
      })->first;
  LoraConfig config;
  config.name = name;
  config.rank = static_cast<double>(commonest);
  config.alpha = alpha == 0 ? config.rank : alpha;
  config.target_modules.said = true;
  for (const Module& module : modules) {
    config.target_modules.names.push_back(module.name);
    if (module.rank == commonest) continue;
    const auto rank = static_cast<double>(module.rank);
    config.rank_pattern.emplace_back(module.name, rank);
    if (alpha == 0) config.alpha_pattern.emplace_back(module.name, rank);
  }
  return config;
}

}  // namespace

bool IsGgufAdapter(const Metadata& metadata) {
  const Value* type = metadata.Find(keys::kType);
  return type && type->ToText() && *type->ToText() == "adapter";
}

std::shared_ptr<const LoraAdapter> OpenGgufAdapter(std::shared_ptr<const GgufModel> file,
                                                   const Metadata& base) {
  const double alpha = CheckKeys(file->metadata());
  const Arch& arch = ArchOf(*file, base);
  std::vector<Module> modules;
  for (const auto& [weight, halves] : PairUp(*file)) {
    modules.push_back(ModuleOf(*file, arch, base, weight, halves));
  }
  if (modules.empty()) Fail(ErrorKind::kBadInput, "{}: has no tensors", file->name());
  LoraConfig config = ConfigOf(file->name(), alpha, modules);
  std::vector<Part> parts;
  for (Module& module : modules) {
    parts.push_back(std::move(module.a));
    parts.push_back(std::move(module.b));
  }
  auto view = std::make_shared<PeftView>(std::move(file), std::move(parts));
  return std::make_shared<LoraAdapter>(std::move(config), std::move(view));
}

}  // namespace quern
