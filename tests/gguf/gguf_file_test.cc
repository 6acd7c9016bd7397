// Files written and read back: types, splits, byte orders.
#include <doctest/doctest.h>

#include <algorithm>

#include "base/error.h"
#include "gguf/byte_swap.h"
#include "gguf/gguf_reader.h"
#include "gguf/gguf_writer.h"
#include "gguf/split_name.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

namespace fs = std::filesystem;
using testing::TempDir;

Metadata SomeKeys() {
  Metadata keys;
  keys.Set("general.architecture", "llama");
  keys.Set("a.u8", uint8_t{200});
  keys.Set("a.i16", int16_t{-300});
  keys.Set("a.f32", 1.5f);
  keys.Set("a.bool", true);
  keys.Set("a.u64", ~uint64_t{0});
  keys.Set("a.f64", -2.25);
  keys.Set("a.numbers", Array::Of<int32_t>(std::vector<int32_t>{1, -2, 3}));
  keys.Set("a.strings", Array(std::vector<std::string>{"", "b", std::string("\0c", 2)}));
  return keys;
}

// One tensor of each type, two rows of one block.
std::vector<TensorInfo> OneOfEachType() {
  std::vector<TensorInfo> tensors;
  for (const TypeInfo& info : kTypes) {
    tensors.push_back({"t." + std::string(info.name), info.type, {info.elems * 2, 2}});
  }
  return tensors;
}

// Bytes that tell tensor and row.
std::vector<std::byte> RowsOf(const TensorInfo& tensor, size_t index) {
  std::vector<std::byte> bytes(static_cast<size_t>(tensor.bytes()));
  for (size_t i = 0; i < bytes.size(); ++i) bytes[i] = static_cast<std::byte>(i * 7 + index * 31);
  return bytes;
}

void Write(const fs::path& path, const Metadata& keys, const std::vector<TensorInfo>& tensors,
           const SplitPlan& plan = {}) {
  GgufSink sink(path, keys, tensors, Overwrite::kRefuse, plan);
  for (size_t t = tensors.size(); t-- > 0;) {
    const auto bytes = RowsOf(tensors[t], t);
    const auto row = static_cast<size_t>(tensors[t].row_bytes());
    sink.WriteRows(t, 1, std::span(bytes).subspan(row));
    sink.WriteRows(t, 0, std::span(bytes).first(row));
  }
  sink.Commit();
}

void CheckTensors(const GgufModel& model, const std::vector<TensorInfo>& tensors) {
  REQUIRE(model.tensors().size() == tensors.size());
  for (size_t t = 0; t < tensors.size(); ++t) {
    CHECK(model.tensors()[t].name == tensors[t].name);
    CHECK(model.tensors()[t].type == tensors[t].type);
    CHECK(model.tensors()[t].shape == tensors[t].shape);
    CHECK(model.ReadAll(t) == RowsOf(tensors[t], t));
  }
}

TEST_CASE("keys and tensors of every type come back") {
  TempDir dir;
  for (const uint32_t alignment : {0u, 8u, 32u, 4096u}) {
    Metadata keys = SomeKeys();
    if (alignment) keys.Set("general.alignment", alignment);
    const auto path = dir / std::to_string(alignment);
    const auto tensors = OneOfEachType();
    Write(path, keys, tensors);
    const auto model = GgufModel::Open(path);
    CHECK(model->metadata().entries() == keys.entries());
    CheckTensors(*model, tensors);
    for (size_t t = 0; t < tensors.size(); ++t) {
      CHECK(model->OffsetOf(t) % (alignment ? alignment : 32) == 0);
    }
  }
}

TEST_CASE("splits: by tensors, by bytes, as told") {
  const auto tensors = OneOfEachType();
  const auto total = tensors.size();
  SplitPlan by_tensors, by_bytes, as_told;
  by_tensors.max_tensors = 10;
  by_bytes.max_bytes = 1000;
  for (size_t t = 0; t < total; ++t) as_told.file_of.push_back(t < 5 ? 0 : 1);
  for (const SplitPlan& plan : {by_tensors, by_bytes, as_told}) {
    TempDir dir;
    Write(dir / "m.gguf", SomeKeys(), tensors, plan);
    const auto first = std::find_if(fs::directory_iterator(dir.path()), fs::directory_iterator(),
                                    [](const auto& entry) {
                                      const auto name = ParseSplitName(entry.path());
                                      return name && name->number == 0;
                                    });
    REQUIRE(first != fs::directory_iterator());
    const auto model = GgufModel::Open(first->path());
    CHECK(model->file_count() > 1);
    CheckTensors(*model, tensors);
    CHECK(model->metadata().Int("split.tensors.count") == static_cast<int64_t>(total));
    // A split that is not there is named.
    const auto last = SplitPath(dir / "m", static_cast<int64_t>(model->file_count()) - 1,
                                static_cast<int64_t>(model->file_count()));
    fs::remove(last);
    CHECK_THROWS_WITH_AS(GgufModel::Open(first->path()),
                         doctest::Contains(last.filename().string().c_str()), Error);
  }
}

TEST_CASE("a sink that missed rows does not commit") {
  TempDir dir;
  const std::vector<TensorInfo> tensors = {{"a", Type::kF32, {4, 2}}};
  {
    GgufSink sink(dir / "m.gguf", SomeKeys(), tensors, Overwrite::kRefuse);
    sink.WriteRows(0, 0, std::vector<std::byte>(16));
    CHECK_THROWS_AS(sink.Commit(), std::logic_error);
  }
  CHECK(fs::is_empty(dir.path()));
}

// The same file in big-endian: every number of header and data reversed.
std::string BigEndian() {
  std::string out = "GGUF";
  auto number = [&](auto value) {
    std::string raw(sizeof(value), '\0');
    std::memcpy(raw.data(), &value, sizeof(value));
    out.append(raw.rbegin(), raw.rend());
  };
  auto text = [&](std::string_view value) {
    number(uint64_t{value.size()});
    out += value;
  };
  number(uint32_t{3});
  number(uint64_t{1});
  number(uint64_t{2});
  text("general.architecture");
  number(uint32_t{8});
  text("llama");
  text("numbers");
  number(uint32_t{9});
  number(uint32_t{5});
  number(uint64_t{2});
  number(int32_t{-5});
  number(int32_t{70000});
  text("a");
  number(uint32_t{1});
  number(uint64_t{32});
  number(uint32_t{8});  // q8_0
  number(uint64_t{0});
  out.resize((out.size() + 31) / 32 * 32);
  number(uint16_t{0x3C00});
  for (int i = 0; i < 32; ++i) out += static_cast<char>(i);
  return out;
}

TEST_CASE("a big-endian file comes out little-endian") {
  TempDir dir;
  testing::WriteText(dir / "big.gguf", BigEndian());
  const auto model = GgufModel::Open(dir / "big.gguf");
  CHECK(model->header(0).order == ByteOrder::kBig);
  CHECK(model->metadata().NeedArray("numbers").ToInts() == std::vector<int64_t>{-5, 70000});
  const auto block = model->ReadAll(0);
  CHECK(block[0] == std::byte{0x00});
  CHECK(block[1] == std::byte{0x3C});
  CHECK(block[2 + 31] == std::byte{31});
}

TEST_CASE("swapping twice gives the block back, for every type") {
  for (const TypeInfo& info : kTypes) {
    std::vector<std::byte> block(static_cast<size_t>(info.bytes * 3));
    for (size_t i = 0; i < block.size(); ++i) block[i] = static_cast<std::byte>(i);
    const auto before = block;
    SwapBlocks(info.type, block);
    INFO(info.name);
    CHECK((block != before) ==
          (info.type != Type::kI8 && info.type != Type::kMXFP4 && info.type != Type::kNVFP4));
    SwapBlocks(info.type, block);
    CHECK(block == before);
  }
}

TEST_CASE("names of splits") {
  CHECK(SplitPath("dir/m", 1, 12) == "dir/m-00002-of-00012.gguf");
  const auto name = ParseSplitName("dir/m-00002-of-00012.gguf");
  REQUIRE(name);
  CHECK(name->prefix == "dir/m");
  CHECK(name->number == 1);
  CHECK(name->count == 12);
  CHECK_FALSE(ParseSplitName("m.gguf"));
  CHECK_FALSE(ParseSplitName("m-00000-of-00002.gguf"));
  CHECK_FALSE(ParseSplitName("m-00003-of-00002.gguf"));
  CHECK_FALSE(ParseSplitName("-00001-of-00002.gguf"));
}

}  // namespace
}  // namespace quern
