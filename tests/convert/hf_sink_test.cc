#include "convert/hf_sink.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "convert/checkpoint.h"
#include "tests/convert/bytes.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using testing::MemorySource;
using testing::ReadText;
using testing::RefusalOf;
using testing::TempDir;

// Three tensors of 24, 6 and 16 bytes.
std::shared_ptr<TensorSource> Three() {
  std::vector<std::byte> bytes(24);
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i + 1);
  const auto part = [&](size_t size) {
    return std::vector<std::byte>(bytes.begin(), bytes.begin() + static_cast<ptrdiff_t>(size));
  };
  return std::make_shared<MemorySource>(
      std::vector<TensorInfo>{
          {"b", Type::kF32, {2, 3}}, {"a", Type::kBF16, {3}}, {"c", Type::kI64, {1, 2}}},
      std::vector<std::vector<std::byte>>{part(24), part(6), part(16)});
}

void WriteAll(const TensorSource& source, HfSink& sink) {
  NoProgress quiet;
  Stream(source, sink, quiet, [] { return 2; });
  sink.Commit();
}

void CheckSame(const TensorSource& source, const fs::path& folder) {
  const auto written = Checkpoint::Open(folder);
  REQUIRE(written->tensors().size() == source.tensors().size());
  for (size_t i = 0; i < source.tensors().size(); ++i) {
    const auto found = written->Find(source.tensors()[i].name);
    REQUIRE(found);
    CHECK(written->tensors()[*found].shape == source.tensors()[i].shape);
    CHECK(written->ReadAll(*found) == source.ReadAll(i));
  }
}

TEST_CASE("a folder with one file is written as safetensors lays it out") {
  const TempDir dir;
  const auto source = Three();
  HfSink sink(dir / "out", source->tensors(), Overwrite::kRefuse);
  sink.AddFile("config.json", "{}");
  CHECK(sink.total_bytes() == 46);
  WriteAll(*source, sink);
  CheckSame(*source, dir / "out");
  CHECK(ReadText(dir / "out" / "config.json") == "{}");
  const std::string file = ReadText(dir / "out" / "model.safetensors");
  const std::string header =
      R"({"__metadata__":{"format":"pt"},"c":{"dtype":"I64","shape":[2,1],"data_offsets":[0,16]},)"
      R"("b":{"dtype":"F32","shape":[3,2],"data_offsets":[16,40]},)"
      R"("a":{"dtype":"BF16","shape":[3],"data_offsets":[40,46]}})";
  CHECK(file.substr(8, header.size()) == header);
  CHECK((file.size() - 46) % 8 == 0);
  CHECK_FALSE(fs::exists(dir / "out" / "model.safetensors.index.json"));
}

TEST_CASE("shards are filled in order, and a large tensor has its own") {
  const auto source = Three();
  struct Case {
    int64_t limit;
    size_t shards;
  };
  const Case cases[] = {{46, 1}, {45, 2}, {30, 2}, {22, 2}, {21, 3}, {1, 3}};
  for (const Case& c : cases) {
    CAPTURE(c.limit);
    const TempDir dir;
    HfSink sink(dir / "out", source->tensors(), Overwrite::kRefuse, c.limit);
    CHECK(sink.shard_count() == c.shards);
    WriteAll(*source, sink);
    CheckSame(*source, dir / "out");
    CHECK(fs::exists(dir / "out" / "model.safetensors") == (c.shards == 1));
  }
}

TEST_CASE("the index says where every tensor is") {
  const TempDir dir;
  const auto source = Three();
  HfSink sink(dir / "out", source->tensors(), Overwrite::kRefuse, 30);
  WriteAll(*source, sink);
  const auto index = nlohmann::json::parse(ReadText(dir / "out" / "model.safetensors.index.json"));
  CHECK(index["metadata"]["total_size"] == 46);
  CHECK(index["metadata"]["total_parameters"] == 11);
  CHECK(index["weight_map"] == nlohmann::json{{"a", "model-00001-of-00002.safetensors"},
                                              {"b", "model-00001-of-00002.safetensors"},
                                              {"c", "model-00002-of-00002.safetensors"}});
}

TEST_CASE("nothing stands under the name before Commit, and nothing is left without it") {
  const TempDir dir;
  const auto source = Three();
  {
    HfSink sink(dir / "out", source->tensors(), Overwrite::kRefuse, 1);
    sink.WriteRows(0, 0, source->ReadAll(0));
    CHECK_FALSE(fs::exists(dir / "out"));
    CHECK_THROWS_AS(sink.Commit(), std::logic_error);
  }
  CHECK(fs::is_empty(dir.path()));
}

TEST_CASE("an output that cannot be is refused") {
  const TempDir dir;
  const auto source = Three();
  fs::create_directory(dir / "there");
  CHECK(RefusalOf([&] {
          HfSink(dir / "there", source->tensors(), Overwrite::kRefuse);
        }).starts_with("5: "));
  const std::vector<TensorInfo> quantized = {{"q", Type::kQ8_0, {32}}};
  CHECK(RefusalOf([&] { HfSink(dir / "out", quantized, Overwrite::kRefuse); }).starts_with("4: "));
  CHECK_FALSE(fs::exists(dir / "out"));
  HfSink sink(dir / "there", source->tensors(), Overwrite::kReplace);
  WriteAll(*source, sink);
  CheckSame(*source, dir / "there");
}

TEST_CASE("a checkpoint copied through the sink keeps every byte") {
  const auto source = Checkpoint::Open(testing::TestData("models/tiny-llama"));
  const TempDir dir;
  HfSink sink(dir / "out", source->tensors(), Overwrite::kRefuse, 4'000'000);
  CHECK(sink.shard_count() > 2);
  NoProgress quiet;
  Stream(*source, sink, quiet);
  sink.Commit();
  CheckSame(*source, dir / "out");
}

}  // namespace
}  // namespace quern
