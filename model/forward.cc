#include "model/forward.h"

#include <algorithm>
#include <cmath>

#include "base/error.h"
#include "kernels/codec.h"
#include "kernels/ops/add.h"
#include "kernels/ops/attention.h"
#include "kernels/ops/rms_norm.h"
#include "kernels/ops/rope.h"
#include "kernels/ops/swiglu.h"

namespace quern {
namespace {

// Larger batches gain nothing, and their activations would cost memory: 1024 tokens of a network
// 16384 wide are 64 MB.
constexpr int64_t kBatchTokens = 1024;

float* Room(std::vector<float>& buffer, int64_t count) {
  if (buffer.size() < static_cast<size_t>(count)) buffer.resize(static_cast<size_t>(count));
  return buffer.data();
}

}  // namespace

// All tokens of a call, one after the other.
struct Forward::Batch {
  std::span<const Segment> segments;
  std::vector<TokenId> tokens;
  RopeTable rope;

  int64_t count() const { return static_cast<int64_t>(tokens.size()); }

  static std::vector<TokenId> TokensOf(std::span<const Segment> segments) {
    std::vector<TokenId> all;
    for (const Segment& segment : segments) {
      all.insert(all.end(), segment.tokens.begin(), segment.tokens.end());
    }
    return all;
  }

  static std::vector<int64_t> PositionsOf(std::span<const Segment> segments) {
    std::vector<int64_t> all;
    for (const Segment& segment : segments) {
      for (size_t i = 0; i < segment.tokens.size(); ++i) {
        all.push_back(segment.cache->length() + static_cast<int64_t>(i));
      }
    }
    return all;
  }
};

Forward::Forward(const Weights& weights)
    : weights_(weights),
      frequencies_(RopeFrequencies(weights.hyper().rope, weights.rope_divisors)),
      magnitude_(RopeMagnitude(weights.hyper().rope)) {}

void Forward::Check(std::span<const Segment> segments) const {
  for (const Segment& segment : segments) {
    const auto count = static_cast<int64_t>(segment.tokens.size());
    if (segment.cache->length() + count > segment.cache->capacity()) {
      Fail(ErrorKind::kUsage, "{}: {} tokens after {} do not fit a context of {}", weights_.name(),
           count, segment.cache->length(), segment.cache->capacity());
    }
    for (const TokenId id : segment.tokens) {
      if (id < 0 || id >= weights_.vocab()) {
        Fail(ErrorKind::kBadInput, "{}: token {} is not of the vocabulary of {}", weights_.name(),
             id, weights_.vocab());
      }
    }
  }
}

std::vector<float> Forward::Run(std::span<const Segment> segments) {
  Check(segments);
  std::vector<float> hidden;
  std::vector<Segment> part;
  int64_t room = kBatchTokens;
  const auto flush = [&] {
    const std::vector<float> states = RunBatch(part);
    hidden.insert(hidden.end(), states.begin(), states.end());
    part.clear();
    room = kBatchTokens;
  };
  for (const Segment& segment : segments) {
    const auto count = static_cast<int64_t>(segment.tokens.size());
    for (int64_t done = 0; done < count;) {
      const int64_t take = std::min(room, count - done);
      const auto tokens =
          segment.tokens.subspan(static_cast<size_t>(done), static_cast<size_t>(take));
      part.push_back(
          {segment.cache, tokens, std::clamp<int64_t>(segment.first_output - done, 0, take)});
      done += take;
      room -= take;
      if (room == 0) flush();
    }
  }
  if (!part.empty()) flush();
  return hidden;
}

// One batch of at most kBatchTokens, no cache twice.
std::vector<float> Forward::RunBatch(std::span<const Segment> segments) {
  const Hyper& hyper = weights_.hyper();
  const auto positions = Batch::PositionsOf(segments);
  const Batch batch{segments, Batch::TokensOf(segments),
                    RopeTable(frequencies_, magnitude_, positions)};
  const int64_t tokens = batch.count();
  std::vector<float> x(static_cast<size_t>(tokens * hyper.embd));
  Embed(batch, x.data());
  for (int64_t i = 0; i < hyper.layers; ++i) {
    const LayerWeights& layer = weights_.layers[static_cast<size_t>(i)];
    Attend(layer, i, batch, x.data());
    FeedForward(layer, tokens, x.data());
  }
  // Wanted rows move to the front; a row never moves behind one that is still to be read.
  int64_t outputs = 0, row = 0;
  for (const Segment& segment : segments) {
    const auto count = static_cast<int64_t>(segment.tokens.size());
    for (int64_t t = segment.first_output; t < count; ++t, ++outputs) {
      const float* from = x.data() + (row + t) * hyper.embd;
      if (outputs != row + t) std::copy_n(from, hyper.embd, x.data() + outputs * hyper.embd);
    }
    row += count;
    segment.cache->Advance(count);
  }
  x.resize(static_cast<size_t>(outputs * hyper.embd));
  RmsNorm(x.data(), weights_.output_norm.data(), hyper.rms_eps, outputs, hyper.embd, x.data());
  return x;
}

void Forward::Logits(const float* hidden, int64_t count, float* logits) const {
  Apply({{&weights_.output, logits}}, hidden, count);
}

void Forward::Embed(const Batch& batch, float* x) const {
  const Matrix& table = weights_.token_embd;
  for (int64_t t = 0; t < batch.count(); ++t) {
    Decode(table.type, table.row(batch.tokens[static_cast<size_t>(t)]), table.cols,
           x + t * table.cols);
    for (const LowRankTerm& term : weights_.token_embd_terms) {
      term.AddRow(batch.tokens[static_cast<size_t>(t)], x + t * table.cols);
    }
  }
}

// x += attention(norm(x)).
void Forward::Attend(const LayerWeights& layer, int64_t index, const Batch& batch, float* x) {
  const Hyper& h = weights_.hyper();
  const int64_t tokens = batch.count();
  float* normed = Room(normed_, tokens * h.embd);
  float* q = Room(q_, tokens * layer.q.weight.rows);
  float* k = Room(k_, tokens * layer.k.weight.rows);
  float* v = Room(v_, tokens * layer.v.weight.rows);
  float* attended = Room(attended_, tokens * layer.attn_output.weight.cols);
  RmsNorm(x, layer.attn_norm.data(), h.rms_eps, tokens, h.embd, normed);
  Apply({{&layer.q, q}, {&layer.k, k}, {&layer.v, v}}, normed, tokens);
  if (!layer.q_norm.empty()) {
    RmsNorm(q, layer.q_norm.data(), h.rms_eps, tokens * h.heads, h.key_dim, q);
  }
  if (!layer.k_norm.empty()) {
    RmsNorm(k, layer.k_norm.data(), h.rms_eps, tokens * h.kv_heads, h.key_dim, k);
  }
  const bool neighbours = h.arch->rope_pairs == RopePairs::kNeighbours;
  Rope(batch.rope, neighbours, tokens, h.heads, h.key_dim, q);
  Rope(batch.rope, neighbours, tokens, h.kv_heads, h.key_dim, k);

  const AttentionShape shape{h.heads, h.kv_heads, h.key_dim, h.value_dim,
                             static_cast<float>(1.0 / std::sqrt(static_cast<double>(h.key_dim)))};
  int64_t row = 0;
  for (const Segment& segment : batch.segments) {
    const auto count = static_cast<int64_t>(segment.tokens.size());
    segment.cache->Store(index, k + row * h.kv_heads * h.key_dim,
                         v + row * h.kv_heads * h.value_dim, count);
    Attention(shape, segment.cache->View(index), q + row * h.heads * h.key_dim, count,
              segment.cache->length(), attended + row * h.heads * h.value_dim);
    row += count;
  }
  float* projected = Room(projected_, tokens * h.embd);
  Apply({{&layer.attn_output, projected}}, attended, tokens);
  Add(projected, tokens * h.embd, x);
}

// x += down(silu(gate(norm(x))) * up(norm(x))).
void Forward::FeedForward(const LayerWeights& layer, int64_t tokens, float* x) {
  const Hyper& h = weights_.hyper();
  float* normed = Room(normed_, tokens * h.embd);
  float* gate = Room(gate_, tokens * h.ff);
  float* up = Room(up_, tokens * h.ff);
  float* projected = Room(projected_, tokens * h.embd);
  RmsNorm(x, layer.ffn_norm.data(), h.rms_eps, tokens, h.embd, normed);
  Apply({{&layer.gate, gate}, {&layer.up, up}}, normed, tokens);
  SwiGlu(gate, up, tokens * h.ff);
  Apply({{&layer.down, projected}}, gate, tokens);
  Add(projected, tokens * h.embd, x);
}

void Forward::Apply(std::initializer_list<Output> outputs, const float* x, int64_t tokens) const {
  if (tokens == 0) return;
  std::vector<Product> products;
  for (const auto& [linear, y] : outputs) {
    if (observer_) observer_->Input(linear->name, x, tokens, linear->weight.cols);
    products.push_back({&linear->weight, y});
  }
  MatMul(products, x, tokens);
  for (const auto& [linear, y] : outputs) {
    for (const LowRankTerm& term : linear->terms) term.AddProduct(x, tokens, y);
    if (!linear->bias.empty()) AddBias(linear->bias.data(), tokens, linear->weight.rows, y);
  }
}

}  // namespace quern
