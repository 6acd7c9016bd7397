#include "model/weights.h"

#include <algorithm>

#include "base/error.h"
#include "base/parallel.h"
#include "kernels/codec.h"

namespace quern {
namespace {

using Shape = std::vector<int64_t>;

// The shape that the keys demand, in GGUF's order; -1 stands for any length.
Shape ShapeOf(const Hyper& h, Role role, bool is_bias) {
  const int64_t q = h.heads * h.key_dim, k = h.kv_heads * h.key_dim, v = h.kv_heads * h.value_dim;
  const auto matrix = [is_bias](int64_t cols, int64_t rows) {
    return is_bias ? Shape{rows} : Shape{cols, rows};
  };
  switch (role) {
    case Role::kTokenEmbd:
    case Role::kOutput:
      return matrix(h.embd, -1);
    case Role::kOutputNorm:
    case Role::kAttnNorm:
    case Role::kFfnNorm:
      return {h.embd};
    case Role::kAttnQ:
      return matrix(h.embd, q);
    case Role::kAttnK:
      return matrix(h.embd, k);
    case Role::kAttnV:
      return matrix(h.embd, v);
    case Role::kAttnOutput:
      return matrix(h.heads * h.value_dim, h.embd);
    case Role::kAttnQNorm:
    case Role::kAttnKNorm:
      return {h.key_dim};
    case Role::kFfnGate:
    case Role::kFfnUp:
      return matrix(h.embd, h.ff);
    case Role::kFfnDown:
      return matrix(h.ff, h.embd);
    case Role::kRopeFreqs:
      return {h.rope.dims / 2};
  }
  return {};
}

bool Fits(const Shape& wanted, const Shape& got) {
  for (size_t i = 0; i < std::max(wanted.size(), got.size()); ++i) {
    // Writers may leave out or add lengths of one at the end.
    const int64_t w = i < wanted.size() ? wanted[i] : 1, g = i < got.size() ? got[i] : 1;
    if (w != g && !(w == -1 && g > 0)) return false;
  }
  return true;
}

Linear* LinearOf(Weights& weights, LayerWeights* layer, Role role) {
  switch (role) {
    case Role::kOutput:
      return &weights.output;
    case Role::kAttnQ:
      return &layer->q;
    case Role::kAttnK:
      return &layer->k;
    case Role::kAttnV:
      return &layer->v;
    case Role::kAttnOutput:
      return &layer->attn_output;
    case Role::kFfnGate:
      return &layer->gate;
    case Role::kFfnUp:
      return &layer->up;
    case Role::kFfnDown:
      return &layer->down;
    default:
      return nullptr;
  }
}

std::vector<float>* VectorOf(Weights& weights, LayerWeights* layer, Role role) {
  switch (role) {
    case Role::kOutputNorm:
      return &weights.output_norm;
    case Role::kRopeFreqs:
      return &weights.rope_divisors;
    case Role::kAttnNorm:
      return &layer->attn_norm;
    case Role::kFfnNorm:
      return &layer->ffn_norm;
    case Role::kAttnQNorm:
      return &layer->q_norm;
    case Role::kAttnKNorm:
      return &layer->k_norm;
    default:
      return nullptr;
  }
}

std::vector<float> Floats(const TensorInfo& tensor, const std::byte* bytes) {
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  Decode(tensor.type, bytes, tensor.elements(), values.data());
  return values;
}

}  // namespace

std::unique_ptr<Weights> Weights::Load(const std::shared_ptr<const GgufModel>& model,
                                       Adaptation adaptation) {
  std::unique_ptr<Weights> weights(new Weights(model));
  const TensorSource* others = adaptation.tensors.get();
  for (size_t i = 0; i < model->tensors().size(); ++i) {
    const TensorInfo& tensor = model->tensors()[i];
    if (others && others->Find(tensor.name)) continue;
    weights->Place(tensor, weights->BytesOf(i));
  }
  for (size_t i = 0; others && i < others->tensors().size(); ++i) {
    weights->Place(others->tensors()[i], weights->ReadOwn(*others, i));
  }
  weights->CheckComplete();
  if (!weights->output.weight.data) {
    weights->output.name = "token_embd.weight";
    weights->output.weight = weights->token_embd;
  }
  for (LowRankTerm& term : adaptation.terms) weights->PlaceTerm(std::move(term));
  return weights;
}

Weights::Weights(const std::shared_ptr<const GgufModel>& model)
    : model_(model), hyper_(ReadHyper(model->metadata())), maps_(model->file_count()) {
  // A file whose keys claim more layers than it has tensors should not cost memory first.
  if (static_cast<size_t>(hyper_.layers) > model->tensors().size()) {
    Fail(ErrorKind::kBadInput, "{}: {} layers are announced, the file has {} tensors", name(),
         hyper_.layers, model->tensors().size());
  }
  layers.resize(static_cast<size_t>(hyper_.layers));
}

void Weights::Place(const TensorInfo& tensor, const std::byte* bytes) {
  const auto place = PlaceOfGguf(*hyper_.arch, tensor.name);
  if (!place) {
    Fail(ErrorKind::kUnsupported, "{}: tensor '{}' has no place in the architecture '{}'", name(),
         tensor.name, hyper_.arch->gguf);
  }
  if (place->layer >= hyper_.layers) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' belongs to layer {}, the model has {}", name(),
         tensor.name, place->layer, hyper_.layers);
  }
  const Role role = place->rule->role;
  const Shape wanted = ShapeOf(hyper_, role, place->is_bias);
  if (!Fits(wanted, tensor.shape)) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' has the shape {}, the keys demand {}", name(),
         tensor.name, ShapeText(tensor.shape), ShapeText(wanted));
  }
  if (!CanDecode(tensor.type)) {
    Fail(ErrorKind::kUnsupported, "{}: tensor '{}' is of type {}, which cannot be computed with",
         name(), tensor.name, NameOf(tensor.type));
  }
  LayerWeights* layer = place->layer >= 0 ? &layers[static_cast<size_t>(place->layer)] : nullptr;
  if (std::vector<float>* vector = VectorOf(*this, layer, role)) {
    *vector = Floats(tensor, bytes);
    return;
  }
  Linear* linear = LinearOf(*this, layer, role);
  if (place->is_bias) {
    linear->bias = Floats(tensor, bytes);
    return;
  }
  const Matrix matrix{tensor.type, bytes, tensor.rows(), tensor.cols()};
  if (role == Role::kTokenEmbd) {
    token_embd = matrix;
  } else {
    linear->name = tensor.name;
    linear->weight = matrix;
  }
}

void Weights::PlaceTerm(LowRankTerm term) {
  const auto place = PlaceOfGguf(*hyper_.arch, term.weight);
  if (!place || place->is_bias || place->layer >= hyper_.layers) {
    Fail(ErrorKind::kBadInput, "{}: a low-rank term belongs to '{}', which the model has not",
         name(), term.weight);
  }
  LayerWeights* layer = place->layer >= 0 ? &layers[static_cast<size_t>(place->layer)] : nullptr;
  const bool of_embeddings = place->rule->role == Role::kTokenEmbd;
  Linear* linear = LinearOf(*this, layer, place->rule->role);
  const Matrix* matrix = of_embeddings ? &token_embd : linear ? &linear->weight : nullptr;
  if (!matrix || term.rows != matrix->rows || term.cols != matrix->cols) {
    Fail(ErrorKind::kBadInput, "{}: a low-rank term of '{}' is {} x {}, the tensor {} x {}", name(),
         term.weight, term.cols, term.rows, matrix ? matrix->cols : 0, matrix ? matrix->rows : 0);
  }
  (of_embeddings ? token_embd_terms : linear->terms).push_back(std::move(term));
}

// Every rule of the table that is not optional has its tensor, in every layer.
void Weights::CheckComplete() const {
  for (const TensorRule& rule : hyper_.arch->tensors) {
    if (rule.optional) continue;
    const bool layered = rule.gguf.find("{}") != std::string_view::npos;
    for (int64_t i = 0; i < (layered ? hyper_.layers : 1); ++i) {
      const TensorPlace place{&rule, layered ? static_cast<int>(i) : -1, false};
      if (!model_->Find(GgufName(place))) {
        Fail(ErrorKind::kBadInput, "{}: tensor '{}' is missing", name(), GgufName(place));
      }
    }
  }
  if (output.weight.data && output.weight.rows != token_embd.rows) {
    Fail(ErrorKind::kBadInput, "{}: output.weight has {} rows, token_embd.weight {}", name(),
         output.weight.rows, token_embd.rows);
  }
  // The shapes of all others follow from the keys.
  const int64_t biases = std::ssize(output.bias);
  if (biases > 0 && biases != output.weight.rows) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' has {} rows, its bias {}", name(), output.name,
         output.weight.rows, biases);
  }
}

const std::byte* Weights::BytesOf(size_t index) {
  const TensorInfo& tensor = model_->tensors()[index];
  const size_t file = model_->FileOf(index);
  if (model_->header(file).order == ByteOrder::kBig) {
    return ReadOwn(*model_, index);
  }
  if (!maps_[file]) maps_[file] = std::make_unique<MappedFile>(model_->PathOf(file));
  const auto bytes = maps_[file]->bytes();
  const uint64_t offset = model_->OffsetOf(index);
  // The header was checked against the file's size; it may have been cut since.
  if (offset > bytes.size() || static_cast<uint64_t>(tensor.bytes()) > bytes.size() - offset) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' ends at byte {}, the file has {}",
         model_->PathOf(file), tensor.name, offset + static_cast<uint64_t>(tensor.bytes()),
         bytes.size());
  }
  return bytes.data() + offset;
}

// A tensor of an adaptation may be merged as it is read, so all threads read it.
const std::byte* Weights::ReadOwn(const TensorSource& source, size_t index) {
  constexpr int64_t kPieceBytes = int64_t{1} << 20;
  const TensorInfo& tensor = source.tensors()[index];
  std::vector<std::byte> bytes(static_cast<size_t>(tensor.bytes()));
  const int64_t row_bytes = tensor.row_bytes();
  const int64_t grain = std::max<int64_t>(kPieceBytes / std::max<int64_t>(row_bytes, 1), 1);
  ParallelFor(tensor.rows(), grain, [&](int64_t begin, int64_t end) {
    source.ReadRows(index, begin, end - begin,
                    std::span(bytes).subspan(static_cast<size_t>(begin * row_bytes),
                                             static_cast<size_t>((end - begin) * row_bytes)));
  });
  own_.push_back(std::move(bytes));
  return own_.back().data();
}

}  // namespace quern
