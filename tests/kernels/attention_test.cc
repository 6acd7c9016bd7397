#include "kernels/ops/attention.h"

#include "kernels/codec.h"
#include "tests/support/ops.h"

namespace quern {
namespace {

struct Case {
  AttentionShape shape;
  int64_t first, tokens, capacity;
};

// The same in double, straight from the formula. keys and values are [tokens, kv_heads, dim].
std::vector<double> Truth(const Case& c, const std::vector<float>& q, const std::vector<float>& k,
                          const std::vector<float>& v) {
  const AttentionShape& s = c.shape;
  std::vector<double> out;
  for (int64_t t = 0; t < c.tokens; ++t) {
    for (int64_t h = 0; h < s.heads; ++h) {
      const int64_t kv_head = h / (s.heads / s.kv_heads), seen = c.first + t + 1;
      std::vector<double> weights;
      double sum = 0;
      for (int64_t p = 0; p < seen; ++p) {
        double score = 0;
        for (int64_t i = 0; i < s.key_dim; ++i) {
          score += static_cast<double>(q[static_cast<size_t>((t * s.heads + h) * s.key_dim + i)]) *
                   k[static_cast<size_t>((p * s.kv_heads + kv_head) * s.key_dim + i)];
        }
        weights.push_back(std::exp(score * s.scale));
        sum += weights.back();
      }
      for (int64_t i = 0; i < s.value_dim; ++i) {
        double mean = 0;
        for (int64_t p = 0; p < seen; ++p) {
          mean += weights[static_cast<size_t>(p)] / sum *
                  v[static_cast<size_t>((p * s.kv_heads + kv_head) * s.value_dim + i)];
        }
        out.push_back(mean);
      }
    }
  }
  return out;
}

// x as a cache of this type holds it, rows of `dim`.
void RoundAs(Type type, int64_t dim, std::vector<float>& x) {
  const int64_t rows = std::ssize(x) / dim;
  std::vector<std::byte> bytes(static_cast<size_t>(rows * RowBytes(type, dim)));
  EncodeRows(type, x.data(), rows, dim, {}, bytes.data());
  Decode(type, bytes.data(), std::ssize(x), x.data());
}

void CheckCase(const Case& c, KvTypes types) {
  const AttentionShape& s = c.shape;
  const int64_t total = c.first + c.tokens;
  const auto q = testing::Normal(c.tokens * s.heads * s.key_dim, 1);
  auto k = testing::Normal(total * s.kv_heads * s.key_dim, 2);
  auto v = testing::Normal(total * s.kv_heads * s.value_dim, 3);
  std::vector<std::byte> keys(
      static_cast<size_t>(c.capacity * s.kv_heads * RowBytes(types.keys, s.key_dim)));
  std::vector<std::byte> values(
      static_cast<size_t>(c.capacity * s.kv_heads * RowBytes(types.values, s.value_dim)));
  // In two parts, as a prompt and what follows it come.
  const int64_t cut = c.first;
  StoreKv(k.data(), cut, s.kv_heads, s.key_dim, types.keys, 0, c.capacity, keys.data());
  StoreKv(v.data(), cut, s.kv_heads, s.value_dim, types.values, 0, c.capacity, values.data());
  StoreKv(k.data() + cut * s.kv_heads * s.key_dim, c.tokens, s.kv_heads, s.key_dim, types.keys, cut,
          c.capacity, keys.data());
  StoreKv(v.data() + cut * s.kv_heads * s.value_dim, c.tokens, s.kv_heads, s.value_dim,
          types.values, cut, c.capacity, values.data());
  RoundAs(types.keys, s.key_dim, k);
  RoundAs(types.values, s.value_dim, v);
  std::vector<float> out(static_cast<size_t>(c.tokens * s.heads * s.value_dim), NAN);
  const KvView view{{types.keys, keys.data(), c.capacity, s.key_dim},
                    {types.values, values.data(), c.capacity, s.value_dim}};
  Attention(s, view, q.data(), c.tokens, c.first, out.data());
  testing::CheckNear(out, Truth(c, q, k, v), 2e-5);
}

TEST_CASE("attention equals its formula at awkward sizes, on every target, in all caches") {
  testing::OnEveryTarget([] {
    const KvTypes caches[] = {Type::kF32, Type::kF16, Type::kQ8_0, {Type::kQ8_0, Type::kF16}};
    for (const KvTypes& types : caches) {
      const bool blocks = types.keys == Type::kQ8_0;
      const std::vector<int64_t> dims =
          blocks ? std::vector<int64_t>{32, 96} : std::vector<int64_t>{1, 31, 32, 33, 64};
      for (const int64_t dim : dims) {
        for (const int64_t first : {0, 1, 33, 256}) {
          for (const int64_t tokens : {1, 5, 33}) {
            CAPTURE(dim);
            CAPTURE(first);
            CAPTURE(tokens);
            CheckCase({{6, 2, dim, dim, 0.3f}, first, tokens, first + tokens + 3}, types);
          }
        }
      }
      if (!blocks) CheckCase({{4, 4, 48, 16, 0.1f}, 7, 20, 27}, types);
    }
  });
}

}  // namespace
}  // namespace quern
