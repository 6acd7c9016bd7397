#include "model/forward.h"

#include <doctest/doctest.h>

#include "base/error.h"
#include "model/runner.h"
#include "tests/support/paths.h"
#include "tests/support/small_model.h"

namespace quern {
namespace {

struct Loaded {
  testing::TempDir dir;
  std::unique_ptr<Runner> runner;

  explicit Loaded(const std::string& arch = "llama", int64_t head_dim = 8) {
    testing::SmallModel model;
    model.arch = arch;
    model.head_dim = head_dim;
    model.Make();
    model.Write(dir / "m.gguf");
    runner = Runner::Open(dir / "m.gguf");
  }
  Forward& forward() { return runner->forward(); }
  const Hyper& hyper() const { return runner->weights().hyper(); }
};

std::vector<TokenId> SomeTokens(size_t count, int32_t seed) {
  std::vector<TokenId> ids;
  for (size_t i = 0; i < count; ++i) {
    ids.push_back(static_cast<TokenId>((i * 7 + static_cast<size_t>(seed) * 13 + i * i) % 64));
  }
  return ids;
}

void CheckClose(std::span<const float> a, std::span<const float> b, double tolerance) {
  testing::CheckNear(a, std::vector<double>(b.begin(), b.end()), tolerance);
}

TEST_CASE("tokens one by one, in pieces and all at once give the same states") {
  for (const char* arch : {"llama", "qwen2", "qwen3"}) {
    CAPTURE(arch);
    Loaded model(arch);
    const auto ids = SomeTokens(40, 1);
    KvCache whole(model.hyper(), 40, Type::kF32), pieces(model.hyper(), 50, Type::kF32);
    const Segment all{&whole, ids, 0};
    const auto at_once = model.forward().Run({&all, 1});
    std::vector<float> joined;
    for (size_t done = 0; done < ids.size();) {
      const size_t take = std::min(ids.size() - done, done < 5 ? size_t{1} : size_t{17});
      const Segment piece{&pieces, std::span(ids).subspan(done, take), 0};
      const auto states = model.forward().Run({&piece, 1});
      joined.insert(joined.end(), states.begin(), states.end());
      done += take;
    }
    CheckClose(joined, at_once, 1e-5);
    CHECK(whole.length() == 40);
  }
}

TEST_CASE("sequences of one batch do not see each other, and outputs are those asked for") {
  Loaded model;
  const auto a = SomeTokens(20, 1), b = SomeTokens(33, 2);
  const auto alone = [&](const std::vector<TokenId>& ids, int64_t first) {
    KvCache cache(model.hyper(), 64, Type::kF32);
    const Segment segment{&cache, ids, first};
    return model.forward().Run({&segment, 1});
  };
  KvCache cache_a(model.hyper(), 64, Type::kF32), cache_b(model.hyper(), 64, Type::kF32);
  const std::vector<Segment> both = {{&cache_a, a, 19}, {&cache_b, b, 10}};
  const auto states = model.forward().Run(both);
  auto wanted = alone(a, 19);
  const auto more = alone(b, 10);
  wanted.insert(wanted.end(), more.begin(), more.end());
  REQUIRE(states.size() == (1 + 23) * 32);
  CheckClose(states, wanted, 1e-5);
}

TEST_CASE("more tokens than a batch holds run in several") {
  Loaded model;
  const auto ids = SomeTokens(2500, 3);
  KvCache whole(model.hyper(), 2500, Type::kF32), stepwise(model.hyper(), 2500, Type::kF32);
  const Segment all{&whole, ids, 2400};
  const auto states = model.forward().Run({&all, 1});
  std::vector<float> wanted;
  for (size_t done = 0; done < ids.size(); done += 500) {
    const Segment piece{&stepwise, std::span(ids).subspan(done, 500),
                        done == 2000 ? int64_t{400} : int64_t{500}};
    const auto part = model.forward().Run({&piece, 1});
    wanted.insert(wanted.end(), part.begin(), part.end());
  }
  REQUIRE(states.size() == 100 * 32);
  CheckClose(states, wanted, 1e-5);
}

TEST_CASE("a smaller cache stays near the float32 one, and takes what it says") {
  Loaded model("llama", 32);
  const auto ids = SomeTokens(50, 4);
  const auto full = model.runner->LogitsAfter(ids, Type::kF32);
  const auto half = model.runner->LogitsAfter(ids, Type::kF16);
  CheckClose(half, full, 2e-3);
  CHECK(half != full);
  const auto bytes = model.runner->LogitsAfter(ids, Type::kQ8_0);
  CheckClose(bytes, half, 2e-2);
  CHECK(bytes != half);
  const auto mixed = model.runner->LogitsAfter(ids, {Type::kQ8_0, Type::kF16});
  CheckClose(mixed, half, 2e-2);
  CHECK(mixed != bytes);

  const Hyper& h = model.hyper();
  const int64_t keys = 128 * h.layers * h.kv_heads * h.key_dim;
  CHECK(KvCache(h, 128, Type::kF32).bytes() == 2 * keys * 4);
  CHECK(KvCache(h, 128, Type::kF16).bytes() == 2 * keys * 2);
  CHECK(KvCache(h, 128, Type::kQ8_0).bytes() == 2 * keys / 32 * 34);
  CHECK(KvCache(h, 128, {Type::kQ8_0, Type::kF32}).bytes() == keys / 32 * 34 + keys * 4);
  // Heads of 8 are no whole blocks.
  Loaded narrow;
  CHECK_THROWS_AS(KvCache(narrow.hyper(), 128, Type::kQ8_0), Error);
}

TEST_CASE("a truncated cache goes on from where it was cut") {
  Loaded model;
  const auto ids = SomeTokens(30, 5);
  KvCache cache(model.hyper(), 64, Type::kF32);
  const Segment first{&cache, ids, 29};
  const auto wanted = model.forward().Run({&first, 1});
  cache.Truncate(12);
  const Segment rest{&cache, std::span(ids).subspan(12), 17};
  CheckClose(model.forward().Run({&rest, 1}), wanted, 1e-5);
}

TEST_CASE(
    "a token that is not of the vocabulary and a full cache are errors, before anything runs") {
  Loaded model;
  KvCache cache(model.hyper(), 4, Type::kF32);
  for (const TokenId bad : {-1, 64, 1 << 30}) {
    const std::vector<TokenId> ids = {1, bad};
    const Segment segment{&cache, ids, 0};
    CHECK_THROWS_AS(model.forward().Run({&segment, 1}), Error);
  }
  const auto ids = SomeTokens(5, 6);
  const Segment segment{&cache, ids, 0};
  CHECK_THROWS_AS(model.forward().Run({&segment, 1}), Error);
  CHECK(cache.length() == 0);
  CHECK_THROWS_AS(KvCache(model.hyper(), 0, Type::kF32), Error);
  CHECK_THROWS_AS(KvCache(model.hyper(), int64_t{1} << 60, Type::kF16), Error);
}

}  // namespace
}  // namespace quern
