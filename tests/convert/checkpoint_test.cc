#include "convert/checkpoint.h"

#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "base/hash.h"
#include "tests/convert/bytes.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using testing::Little;
using testing::RefusalOf;
using testing::Safetensors;
using testing::TempDir;
using testing::TestData;
using testing::WriteText;

// What Checkpoint::Open says to a model.safetensors of these bytes, the folder's name cut off.
std::string RefusalOfFile(const std::string& bytes) {
  const TempDir dir;
  WriteText(dir / "model.safetensors", bytes);
  std::string refusal = RefusalOf([&] { Checkpoint::Open(dir.path()); });
  const std::string folder = dir.path().string() + "/";
  if (const size_t at = refusal.find(folder); at != std::string::npos) {
    refusal.erase(at, folder.size());
  }
  return refusal;
}

std::string RefusalOfHeader(std::string_view header, size_t data_bytes) {
  return RefusalOfFile(Safetensors(header, std::string(data_bytes, '\1')));
}

TEST_CASE("a safetensors file is a list of tensors, sorted, shapes fastest first") {
  const TempDir dir;
  const std::string path = (dir / "model.safetensors").string();
  WriteText(path, Safetensors(R"({"__metadata__":{"format":"pt"},)"
                              R"("z":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)"
                              R"("b":{"dtype":"F32","shape":[],"data_offsets":[15,19]},)"
                              R"("a":{"dtype":"BF16","shape":[2,3],"data_offsets":[3,15]}}   )",
                              "xyz" + std::string("abcdefghijkl") + Little(1.5F)));
  const auto checkpoint = Checkpoint::Open(dir.path());
  REQUIRE(checkpoint->tensors().size() == 3);
  const TensorInfo& a = checkpoint->tensors()[0];
  CHECK(a.name == "a");
  CHECK(a.type == Type::kBF16);
  CHECK(a.shape == std::vector<int64_t>{3, 2});
  std::string row(6, ' ');
  checkpoint->ReadRows(0, 1, 1, std::as_writable_bytes(std::span(row)));
  CHECK(row == "ghijkl");
  CHECK(checkpoint->tensors()[1].shape.empty());
  CHECK(testing::Floats(checkpoint->ReadAll(1)) == std::vector<float>{1.5F});
  CHECK(checkpoint->tensors()[2].type == Type::kI8);
  CHECK(checkpoint->DtypeOf(2) == "U8");
  CHECK(checkpoint->PathOf(2) == path);
  CHECK(Checkpoint::Open(path)->tensors().size() == 3);
}

TEST_CASE("a safetensors file that is cut anywhere is refused") {
  const std::string whole = Safetensors(R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}})",
                                        std::string(8, '\1'));
  CHECK(RefusalOfFile(whole) == "");
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(RefusalOfFile(whole.substr(0, size)).starts_with("3: model.safetensors: "));
  }
  CHECK(RefusalOfFile(whole + "x") ==
        "3: model.safetensors: the tensors end at byte 8 of the data, the file has 9");
  CHECK(RefusalOfFile(whole.substr(0, whole.size() - 1)) ==
        "3: model.safetensors: tensor 'a' ends at byte 8 of the data, the file has 7 (is it "
        "truncated?)");
}

TEST_CASE("a safetensors header that lies is refused") {
  struct Case {
    const char* header;
    const char* refusal;
  };
  const Case cases[] = {
      {"[]", "3: model.safetensors: the header is no JSON object"},
      {"{", "3: model.safetensors: is no valid JSON"},
      {R"({"a":1})", "3: model.safetensors: tensor 'a' is no object"},
      {R"({"__metadata__":1})", "3: model.safetensors: __metadata__ is no object"},
      {R"({"__metadata__":{"a":1}})", "3: model.safetensors: __metadata__ 'a' is no text"},
      {R"({"":{"dtype":"U8","shape":[8],"data_offsets":[0,8]}})",
       "3: model.safetensors: a tensor has no name"},
      {R"({"a":{"shape":[2],"data_offsets":[0,8]}})",
       "3: model.safetensors: tensor 'a' has no 'dtype'"},
      {R"({"a":{"dtype":4,"shape":[2],"data_offsets":[0,8]}})",
       "3: model.safetensors: tensor 'a' has no 'dtype'"},
      {R"({"a":{"dtype":"F8_E4M3","shape":[8],"data_offsets":[0,8]}})",
       "4: model.safetensors: tensor 'a' has the dtype F8_E4M3"},
      {R"({"a":{"dtype":"F32","shape":2,"data_offsets":[0,8]}})",
       "3: model.safetensors: tensor 'a' has no list 'shape'"},
      {R"({"a":{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}})",
       "3: model.safetensors: tensor 'a' has a number in 'shape'"},
      {R"({"a":{"dtype":"F32","shape":[2.0],"data_offsets":[0,8]}})",
       "3: model.safetensors: tensor 'a' has a number in 'shape'"},
      {R"({"a":{"dtype":"F32","shape":["2"],"data_offsets":[0,8]}})",
       "3: model.safetensors: tensor 'a' has a string in 'shape'"},
      {R"({"a":{"dtype":"F32","shape":[0,2],"data_offsets":[0,0]}})",
       "3: model.safetensors: tensor 'a' has a dimension of 0"},
      {R"({"a":{"dtype":"F32","shape":[18446744073709551615],"data_offsets":[0,8]}})",
       "3: model.safetensors: tensor 'a' has a dimension of 18446744073709551615"},
      {R"({"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,8]}})",
       "3: model.safetensors: a tensor's size overflows"},
      {R"({"a":{"dtype":"U8","shape":[2147483648,536870912],"data_offsets":[0,8]}})",
       "3: model.safetensors: tensor 'a' has too many elements"},
      {R"({"a":{"dtype":"F32","shape":[3],"data_offsets":[0,8]}})",
       "3: model.safetensors: tensor 'a' (F32, 3) needs 12 bytes, data_offsets give 8"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[8,0]}})",
       "3: model.safetensors: tensor 'a' has data_offsets that are no begin and end"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8,16]}})",
       "3: model.safetensors: tensor 'a' has data_offsets that are no begin and end"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[18446744073709551608,18446744073709551615]}})",
       "3: model.safetensors: tensor 'a' (F32, 2) needs 8 bytes, data_offsets give 7"},
      {R"({"a":{"dtype":"F32","shape":[2],"data_offsets":[4,12]}})",
       "3: model.safetensors: tensor 'a' begins at byte 4 of the data, 0 is wanted"},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("b":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})",
       "3: model.safetensors: tensor "},
      {R"({"a":{"dtype":"F32","shape":[1],"data_offsets":[0,4]},)"
       R"("a":{"dtype":"F32","shape":[1],"data_offsets":[4,8]}})",
       "3: model.safetensors: JSON has the key 'a' twice"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.header);
    const std::string refusal = RefusalOfHeader(c.header, 8);
    CAPTURE(refusal);
    CHECK(refusal.starts_with(c.refusal));
  }
  CHECK(RefusalOfHeader(std::string(100'000, '['), 0).find("nested deeper") != std::string::npos);
}

TEST_CASE("what is no safetensors file is refused") {
  CHECK(RefusalOfFile(Little<uint64_t>(uint64_t{1} << 40) + "{}").starts_with("3: model.safet"));
  CHECK(RefusalOfFile(Little<uint64_t>(~uint64_t{0}) + "{}").starts_with("3: model.safetensors"));
  CHECK(RefusalOfFile("version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 1\n") ==
        "3: model.safetensors: is a Git LFS pointer, not the file itself (git lfs pull)");
  const TempDir dir;
  CHECK(RefusalOf([&] { Checkpoint::Open(dir.path()); }).starts_with("3: "));
  CHECK(RefusalOf([&] { Checkpoint::Open(dir / "absent"); }).starts_with("3: "));
}

// A folder of two shards, a.safetensors with the tensor "x" and b.safetensors with "y".
struct Sharded {
  TempDir dir;
  explicit Sharded(std::string_view index) {
    const std::string one = R"(":{"dtype":"F32","shape":[1],"data_offsets":[0,4]}})";
    WriteText(dir / "a.safetensors", Safetensors(R"({"x)" + one, Little(1.0F)));
    WriteText(dir / "b.safetensors", Safetensors(R"({"y)" + one, Little(2.0F)));
    WriteText(dir / "model.safetensors.index.json", index);
  }
  std::string Refusal() const {
    return RefusalOf([this] { Checkpoint::Open(dir.path()); });
  }
};

TEST_CASE("shards are read in the order of their names") {
  const Sharded sharded(R"({"weight_map":{"x":"a.safetensors","y":"b.safetensors"}})");
  const auto checkpoint = Checkpoint::Open(sharded.dir.path());
  REQUIRE(checkpoint->tensors().size() == 2);
  CHECK(checkpoint->name() == sharded.dir.path().string());
  CHECK(testing::Floats(checkpoint->ReadAll(1)) == std::vector<float>{2});
  CHECK(Checkpoint::Open(sharded.dir / "model.safetensors.index.json")->tensors().size() == 2);
}

TEST_CASE("an index that lies is refused with the shard's name") {
  struct Case {
    const char* index;
    const char* part;
  };
  const Case cases[] = {
      {R"({"weight_map":{"x":"a.safetensors","y":"c.safetensors"}})",
       "'c.safetensors' (1 tensors)"},
      {R"({"weight_map":{"x":"a.safetensors"}, "weight_map":{}})", "'weight_map' twice"},
      {R"({"weight_map":{"x":"a.safetensors","y":"a.safetensors"}})",
       "a.safetensors: has no tensor 'y'"},
      {R"({"weight_map":{"x":"a.safetensors","z":"b.safetensors"}})",
       "b.safetensors: has tensor 'y'"},
      {R"({"weight_map":{"x":"a.safetensors","y":"../b.safetensors"}})", "names the shard '../b"},
      {R"({"weight_map":{"x":"a.safetensors","y":"/etc/passwd"}})",
       "names the shard '/etc/passwd'"},
      {R"({"weight_map":{"x":"a.safetensors","y":".."}})", "names the shard '..'"},
      {R"({"weight_map":{"x":"a.safetensors","y":""}})", "names the shard ''"},
      {R"({"weight_map":{"x":"a.safetensors","y":"b\\b"}})", "names the shard 'b\\b'"},
      {R"({"weight_map":{"x":"a.safetensors","y":"b.safetensors\u0000"}})", "names the shard"},
      {R"({"weight_map":{"x":"a.safetensors","y":1}})", "weight_map 'y' is no text"},
      {R"({"weight_map":{}})", "has no object 'weight_map'"},
      {R"({"weight_map":[]})", "has no object 'weight_map'"},
      {"[1]", "has no object 'weight_map'"},
      {"", "is no valid JSON"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.index);
    const std::string refusal = Sharded(c.index).Refusal();
    CAPTURE(refusal);
    CHECK(refusal.starts_with("3: "));
    CHECK(refusal.find(c.part) != std::string::npos);
  }
}

TEST_CASE("the adapter of a checkpoint opens as a file") {
  const auto adapter =
      Checkpoint::Open(TestData("models/adapters/modern-checkpoint/adapter_model.safetensors"));
  CHECK(adapter->Find("base_model.model.model.layers.0.self_attn.q_proj.lora_A.default.weight"));
}

}  // namespace
}  // namespace quern
