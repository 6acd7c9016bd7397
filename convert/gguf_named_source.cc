#include "convert/gguf_named_source.h"

#include <cstring>
#include <map>
#include <set>
#include <utility>

#include "base/error.h"
#include "model/arch/renamed_source.h"

namespace quern {
namespace {

// Buffers that old checkpoints carry and that follow from the config.
bool IsDropped(std::string_view name) {
  for (const std::string_view ending :
       {".rotary_emb.inv_freq", ".attention.masked_bias", ".attention.bias"}) {
    if (name.ends_with(ending)) return true;
  }
  return false;
}

// What checkpoints of other libraries' quantization have beside their weights.
bool LooksQuantized(std::string_view name) {
  for (const std::string_view part : {".absmax", ".quant_map", ".quant_state.", ".SCB", ".qweight",
                                      ".qzeros", ".weight_scale", ".weight_packed"}) {
    if (name.find(part) != std::string_view::npos) return true;
  }
  return false;
}

// Places every tensor of a checkpoint in the family's table, and knows what is missing.
class Placement {
 public:
  Placement(const TensorSource& hf, const GgufNaming& naming) : hf_(hf), naming_(naming) {}

  std::vector<RenamedSource::Entry> Run() {
    std::vector<RenamedSource::Entry> entries;
    for (size_t i = 0; i < hf_.tensors().size(); ++i) {
      const TensorInfo& tensor = hf_.tensors()[i];
      if (IsDropped(tensor.name)) continue;
      const TensorPlace place = Place(tensor);
      Check(tensor, place);
      entries.push_back({i, GgufName(place), HeadRows(place.rule->order, naming_.dims.head_dim)});
    }
    for (const TensorRule& rule : naming_.arch->tensors) {
      CheckComplete(rule, false);
      CheckComplete(rule, true);
    }
    return entries;
  }

 private:
  TensorPlace Place(const TensorInfo& tensor) {
    const auto place = PlaceOfHf(*naming_.arch, tensor.name);
    if (!place) {
      Fail(ErrorKind::kUnsupported, "{}: tensor '{}' is none that a {} model has{}", hf_.name(),
           tensor.name, naming_.arch->gguf,
           LooksQuantized(tensor.name) ? "; the checkpoint is quantized by another library" : "");
    }
    if (place->layer >= naming_.dims.layers) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' is of layer {}, the config has {} layers",
           hf_.name(), tensor.name, place->layer, naming_.dims.layers);
    }
    seen_[{place->rule, place->is_bias}].insert(place->layer);
    return *place;
  }

  void Check(const TensorInfo& tensor, const TensorPlace& place) const {
    if (!IsFloat(tensor.type)) {
      Fail(ErrorKind::kUnsupported, "{}: tensor '{}' holds {}, floats are wanted", hf_.name(),
           tensor.name, NameOf(tensor.type));
    }
    const std::vector<int64_t> wanted = ShapeOf(naming_.dims, place.rule->role, place.is_bias);
    if (tensor.shape != wanted) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' is {}, by the config it is {}", hf_.name(),
           tensor.name, ShapeText(tensor.shape), ShapeText(wanted));
    }
  }

  // The module is in all layers, or it is one that may be absent and is in none.
  void CheckComplete(const TensorRule& rule, bool is_bias) const {
    const bool per_layer = rule.hf.find("{}") != std::string_view::npos;
    if (rule.hf.empty()) return;
    const auto found = seen_.find({&rule, is_bias});
    const bool may_lack = is_bias || (rule.role == Role::kOutput ? naming_.tied : rule.optional);
    if (found == seen_.end() && may_lack) return;
    const int64_t first = per_layer ? 0 : -1, last = per_layer ? naming_.dims.layers - 1 : -1;
    for (int64_t layer = first; layer <= last; ++layer) {
      const int number = static_cast<int>(layer);
      if (found == seen_.end() || !found->second.contains(number)) {
        Fail(ErrorKind::kBadInput, "{}: tensor '{}' is missing", hf_.name(),
             HfName({&rule, number, is_bias}));
      }
    }
  }

  const TensorSource& hf_;
  const GgufNaming& naming_;
  std::map<std::pair<const TensorRule*, bool>, std::set<int>> seen_;
};

void CheckDims(const Dims& dims, const std::string& name) {
  for (const int64_t size : {dims.layers, dims.embedding, dims.feed_forward, dims.heads,
                             dims.kv_heads, dims.head_dim, dims.vocab}) {
    if (size <= 0 || size > int64_t{1} << 30) {
      Fail(ErrorKind::kBadInput, "{}: the config has a size of {}", name, size);
    }
  }
  if (dims.head_dim % 2 != 0) {
    Fail(ErrorKind::kBadInput, "{}: head_dim is {}, an even number is wanted", name, dims.head_dim);
  }
}

// Tensors in memory before those of another source.
class ExtendedSource : public TensorSource {
 public:
  ExtendedSource(std::vector<ExtraTensor> extra, std::shared_ptr<const TensorSource> rest)
      : TensorSource(rest->name(), Tensors(extra, *rest)),
        extra_(std::move(extra)),
        rest_(std::move(rest)) {}

  void ReadRows(size_t index, int64_t first, int64_t count,
                std::span<std::byte> out) const override {
    if (index >= extra_.size()) return rest_->ReadRows(index - extra_.size(), first, count, out);
    const TensorInfo& tensor = tensors()[index];
    QUERN_CHECK(first >= 0 && count >= 0 && first + count <= tensor.rows());
    std::memcpy(out.data(), extra_[index].values.data() + first * tensor.cols(),
                static_cast<size_t>(count * tensor.row_bytes()));
  }

 private:
  static std::vector<TensorInfo> Tensors(const std::vector<ExtraTensor>& extra,
                                         const TensorSource& rest) {
    std::vector<TensorInfo> tensors;
    for (const ExtraTensor& tensor : extra) {
      tensors.push_back({tensor.name, Type::kF32, tensor.shape});
      QUERN_CHECK(tensors.back().elements() == static_cast<int64_t>(tensor.values.size()));
    }
    tensors.insert(tensors.end(), rest.tensors().begin(), rest.tensors().end());
    return tensors;
  }

  std::vector<ExtraTensor> extra_;
  std::shared_ptr<const TensorSource> rest_;
};

}  // namespace

std::shared_ptr<TensorSource> MakeGgufNamed(std::shared_ptr<const TensorSource> hf,
                                            GgufNaming naming) {
  CheckDims(naming.dims, hf->name());
  std::vector<RenamedSource::Entry> entries = Placement(*hf, naming).Run();
  auto renamed =
      std::make_shared<RenamedSource>(std::move(hf), std::move(entries), RowDirection::kToGguf);
  if (naming.extra.empty()) return renamed;
  return std::make_shared<ExtendedSource>(std::move(naming.extra), std::move(renamed));
}

}  // namespace quern
