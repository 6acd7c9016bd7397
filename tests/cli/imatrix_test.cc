// imatrix against what llama-imatrix gave for the same file and text.
#include <doctest/doctest.h>

#include <cmath>
#include <cstring>
#include <nlohmann/json.hpp>

#include "gguf/gguf_reader.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

using testing::Quern;

std::vector<float> Floats(const GgufModel& model, size_t tensor) {
  const auto bytes = model.ReadAll(tensor);
  std::vector<float> values(bytes.size() / sizeof(float));
  std::memcpy(values.data(), bytes.data(), bytes.size());
  return values;
}

// Every value of `got` near that of `wanted`.
void CheckNear(const GgufModel& wanted, const GgufModel& got, double relative) {
  REQUIRE(wanted.tensors().size() == got.tensors().size());
  for (size_t t = 0; t < wanted.tensors().size(); ++t) {
    const TensorInfo& info = wanted.tensors()[t];
    CAPTURE(info.name);
    const auto at = got.Find(info.name);
    REQUIRE(at.has_value());
    CHECK(got.tensors()[*at].shape == info.shape);
    const auto a = Floats(wanted, t), b = Floats(got, *at);
    REQUIRE(a.size() == b.size());
    double worst = 0;
    for (size_t i = 0; i < a.size(); ++i) {
      worst = std::max(worst, std::abs(double{b[i]} - a[i]) / std::abs(a[i]));
    }
    CHECK(worst <= relative);
  }
}

TEST_CASE("two halves of a text, joined, are llama-imatrix's matrix of the whole") {
  QUERN_NEEDS_SHARED(model, "models/tiny-llama");
  QUERN_NEEDS_SHARED(text, "models/eval-kjv.txt");
  QUERN_NEEDS_SHARED(golden, "goldens/imatrix-f32.gguf");
  const testing::TempDir dir;
  const std::string file = dir / "m.gguf", all = dir / "all.gguf";
  REQUIRE(Quern({"convert", model.string(), "--outfile", file, "--outtype", "f32"}).exit_code == 0);
  for (const std::string first : {"0", "20"}) {
    const auto half = Quern({"imatrix", "-m", file, "-f", text.string(), "-c", "512", "--chunk",
                             first, "--chunks", "20", "-o", dir / first, "-q"});
    CAPTURE(half.err);
    REQUIRE(half.exit_code == 0);
  }
  const auto joined =
      Quern({"imatrix", "--in-file", dir / "0", "--in-file", dir / "20", "-o", all});
  CAPTURE(joined.err);
  REQUIRE(joined.exit_code == 0);
  const auto wanted = GgufModel::Open(golden), got = GgufModel::Open(all);
  CheckNear(*wanted, *got, 1e-3);
  CHECK(got->metadata().NeedInt("imatrix.chunk_count") == 40);
  CHECK(got->metadata().NeedInt("imatrix.chunk_size") == 512);
  CHECK(got->metadata().NeedArray("imatrix.datasets").size() == 2);
}

TEST_CASE("a matrix goes through the old form and back; one file counts twice when joined twice") {
  QUERN_NEEDS_SHARED(golden, "goldens/imatrix-f32.gguf");
  const testing::TempDir dir;
  const std::string old = dir / "old.dat", back = dir / "back.gguf", twice = dir / "twice.gguf";
  CHECK(Quern({"imatrix", "--in-file", golden.string(), "--output-format", "dat", "-o", old})
            .exit_code == 0);
  CHECK(Quern({"imatrix", "--in-file", old, "-o", back}).exit_code == 0);
  const auto wanted = GgufModel::Open(golden);
  CheckNear(*wanted, *GgufModel::Open(back), 1e-6);
  CHECK(Quern({"imatrix", "--in-file", golden.string() + "," + old, "-o", twice}).exit_code == 0);
  const auto doubled = GgufModel::Open(twice);
  const size_t counts = *doubled->Find("blk.0.attn_q.weight.counts");
  CHECK(Floats(*doubled, counts)[0] ==
        2 * Floats(*wanted, *wanted->Find("blk.0.attn_q.weight.counts"))[0]);
  CHECK(Quern({"imatrix", "--in-file", golden.string(), "-o", twice}).exit_code == 5);
  CHECK(Quern({"imatrix", "-o", dir / "none"}).exit_code == 2);
  testing::WriteText(dir / "cut.dat", testing::ReadText(old).substr(0, 1000));
  CHECK(Quern({"imatrix", "--in-file", dir / "cut.dat", "-o", dir / "none"}).exit_code == 3);
}

TEST_CASE("statistics are those of llama-imatrix --show-statistics") {
  QUERN_NEEDS_SHARED(golden, "goldens/imatrix-f32.gguf");
  const auto result =
      Quern({"imatrix", "--in-file", golden.string(), "--show-statistics", "--json"});
  REQUIRE(result.exit_code == 0);
  const auto statistics = nlohmann::json::parse(result.out);
  REQUIRE(statistics["tensors"].size() == 42);
  REQUIRE(statistics["layers"].size() == 6);
  const auto near = [](const nlohmann::json& got, double wanted, double digit) {
    CHECK(std::abs(got.get<double>() - wanted) <= digit);
  };
  int found = 0;
  for (const auto& tensor : statistics["tensors"]) {
    if (tensor["name"] == "blk.3.attn_q.weight") {
      ++found;
      near(tensor["sum"], 216.09, 0.01);
      near(tensor["min"], 0.4096, 1e-4);
      near(tensor["max"], 10.7319, 1e-4);
      near(tensor["mean"], 0.84, 0.005);
      near(tensor["stddev"], 0.79, 0.005);
      near(tensor["active"], 1, 0);
      near(tensor["entropy"], 7.7341, 1e-3);
      near(tensor["entropy_norm"], 0.9668, 1e-4);
      near(tensor["zd"], 0.0391, 1e-4);
      near(tensor["cos_sim"], 0.9855, 1e-4);
    }
    if (tensor["name"] == "blk.2.ffn_down.weight") {
      ++found;
      near(tensor["sum"], 46.59, 0.01);
      near(tensor["entropy"], 9.0915, 1e-3);
      near(tensor["cos_sim"], 0.4583, 1e-4);
    }
  }
  CHECK(found == 2);
  const auto& last = statistics["layers"][5];
  near(last["sum"], 384.93, 0.05);
  near(last["zd"], 0.088976, 1e-5);
  near(last["cos_sim"], 0.8589, 1e-4);
  CHECK(Quern({"imatrix", "--show-statistics"}).exit_code == 2);
}

}  // namespace
}  // namespace quern
