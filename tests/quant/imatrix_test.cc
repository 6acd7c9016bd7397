#include "quant/imatrix.h"

#include <doctest/doctest.h>

#include <cmath>

#include "base/error.h"
#include "gguf/gguf_writer.h"
#include "tests/support/memory_source.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using testing::MemoryTensor;

template <typename T>
void Put(std::string& out, T value) {
  out.append(reinterpret_cast<const char*>(&value), sizeof(T));
}

// An entry of the old form.
void PutEntry(std::string& out, const std::string& name, int32_t calls,
              const std::vector<float>& values) {
  Put(out, static_cast<int32_t>(name.size()));
  out += name;
  Put(out, calls);
  Put(out, static_cast<int32_t>(values.size()));
  for (const float value : values) Put(out, value);
}

std::string Dat() {
  std::string out;
  Put(out, int32_t{2});
  PutEntry(out, "blk.0.attn_q.weight", 4, {4, 8, 12});
  PutEntry(out, "blk.0.ffn_up.weight", 0, {5, 6});
  Put(out, int32_t{40});
  Put(out, int32_t{4});
  return out + "text";
}

Imatrix Read(const std::string& bytes) {
  testing::TempDir dir;
  testing::WriteText(dir / "m.dat", bytes);
  return ReadImatrix(dir / "m.dat");
}

TEST_CASE("the old form: sums over the calls") {
  const Imatrix matrix = Read(Dat());
  CHECK(matrix.weights.at("blk.0.attn_q.weight") == std::vector<float>{1, 2, 3});
  CHECK(matrix.weights.at("blk.0.ffn_up.weight") == std::vector<float>{5, 6});
  CHECK(matrix.chunks == 40);
  CHECK(matrix.datasets == std::vector<std::string>{"text"});
}

TEST_CASE("the old form cut short anywhere is an error, or lacks its optional end") {
  const std::string whole = Dat();
  const size_t entries = whole.size() - 12;
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    if (size == entries || size == entries + 4) {
      CHECK_NOTHROW(Read(whole.substr(0, size)));
    } else {
      CHECK_THROWS_AS(Read(whole.substr(0, size)), Error);
    }
  }
}

TEST_CASE("the old form with absurd counts, twice the same name, or no numbers") {
  const auto with = [](size_t offset, int32_t value) {
    std::string bytes = Dat();
    bytes.replace(offset, 4, reinterpret_cast<const char*>(&value), 4);
    return bytes;
  };
  for (const int32_t absurd : {-1, 0x7FFFFFFF}) {
    CHECK_THROWS_AS(Read(with(0, absurd)), Error);
    CHECK_THROWS_AS(Read(with(4, absurd)), Error);
    CHECK_THROWS_AS(Read(with(31, absurd)), Error);
  }
  std::string twice;
  Put(twice, int32_t{2});
  PutEntry(twice, "a", 1, {1});
  PutEntry(twice, "a", 1, {1});
  CHECK_THROWS_WITH_AS(Read(twice), doctest::Contains("twice"), Error);
  std::string nan;
  Put(nan, int32_t{1});
  PutEntry(nan, "a", 1, {1, NAN});
  CHECK_THROWS_WITH_AS(Read(nan), doctest::Contains("'a' is nan at index 1"), Error);
  std::string negative;
  Put(negative, int32_t{1});
  PutEntry(negative, "a", 1, {-1});
  CHECK_THROWS_WITH_AS(Read(negative), doctest::Contains("below zero"), Error);
}

void WriteGguf(const std::filesystem::path& path, std::vector<MemoryTensor> tensors,
               bool with_keys = true) {
  const testing::MemorySource source("memory", std::move(tensors));
  Metadata keys("keys");
  keys.Set("general.type", "imatrix");
  if (with_keys) {
    keys.Set("imatrix.datasets", Array(std::vector<std::string>{"one.txt", "two.txt"}));
    keys.Set("imatrix.chunk_count", uint32_t{7});
    keys.Set("imatrix.chunk_size", uint32_t{512});
  }
  GgufSink sink(path, keys, source.tensors(), Overwrite::kReplace);
  NoProgress quiet;
  Stream(source, sink, quiet);
  sink.Commit();
}

TEST_CASE("the GGUF form: means per slice, and 1 where nothing was counted") {
  testing::TempDir dir;
  WriteGguf(dir / "m.gguf",
            {{"w.in_sum2", {3, 2}, {2, 4, 6, 1, 2, 3}}, {"w.counts", {1, 2}, {2, 0}}});
  const Imatrix matrix = ReadImatrix(dir / "m.gguf");
  CHECK(matrix.weights.at("w") == std::vector<float>{1, 2, 3, 1, 1, 1});
  CHECK(matrix.chunks == 7);
  CHECK(matrix.datasets == std::vector<std::string>{"one.txt", "two.txt"});
}

TEST_CASE("the GGUF form that contradicts itself is refused") {
  testing::TempDir dir;
  const auto path = dir / "m.gguf";
  const auto refused = [&](std::vector<MemoryTensor> tensors, const char* why, bool keys = true) {
    WriteGguf(path, std::move(tensors), keys);
    CHECK_THROWS_WITH_AS(ReadImatrix(path), doctest::Contains(why), Error);
  };
  refused({{"w.in_sum2", {3}, {1, 2, 3}}}, "has sums and no counts");
  refused({{"w.counts", {1}, {1}}}, "has counts and no sums");
  refused({{"w.in_sum2", {3}, {1, 2, 3}}, {"w.counts", {2}, {1, 1}}}, "3 sums and 2 counts");
  refused({{"w.in_sum2", {3}, {1, 2, 3}}, {"w.counts", {1}, {NAN}}}, "a count of nan");
  refused({{"w.in_sum2", {3}, {1, INFINITY, 3}}, {"w.counts", {1}, {1}}}, "is inf at index 1");
  refused({{"w.in_sum2", {3}, {1, 2, 3}}, {"w.counts", {1}, {1}}}, "imatrix.datasets", false);
  refused({{"other", {1}, {1}}}, "holds no importance matrix");
}

TEST_CASE("weights are kept or left out by parts of their names") {
  Imatrix matrix = Read(Dat());
  const std::vector<std::string> attention{"attn_"};
  Imatrix without = matrix;
  without.Exclude(attention);
  CHECK(without.weights.size() == 1);
  CHECK(without.weights.contains("blk.0.ffn_up.weight"));
  matrix.Include(attention);
  CHECK(matrix.weights.size() == 1);
  CHECK(matrix.weights.contains("blk.0.attn_q.weight"));
}

}  // namespace
}  // namespace quern
