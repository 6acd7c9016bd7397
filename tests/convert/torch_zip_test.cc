#include "convert/torch_zip.h"

#include <doctest/doctest.h>

#include "convert/checkpoint.h"
#include "convert/pickle.h"
#include "tests/convert/torch_bytes.h"
#include "tests/support/paths.h"

namespace quern {
namespace {

using testing::Floats;
using testing::FourFloats;
using testing::PDict;
using testing::PGlobal;
using testing::PInt;
using testing::POrderedDict;
using testing::PTensor;
using testing::PText;
using testing::PTuple;
using testing::RefusalOf;
using testing::TempDir;
using testing::Torch;
using testing::WriteText;
using testing::Zip;
using testing::ZipPart;

// What a reader says to a pytorch_model.bin of these bytes: "" if it takes them.
std::string RefusalOfFile(const std::string& bytes) {
  static const TempDir dir;
  const std::string path = (dir / "m.bin").string();
  WriteText(path, bytes);
  std::string refusal = RefusalOf([&] { Checkpoint::Open(path); });
  if (const size_t at = refusal.find(path); at != std::string::npos) {
    refusal.replace(at, path.size(), "m.bin");
  }
  return refusal;
}
std::string RefusalOfPickle(const std::string& pickle) { return RefusalOfFile(Torch(pickle)); }
std::string RefusalOfTensor(const PTensor& tensor) {
  return RefusalOfPickle(PDict("w", tensor.Opcodes()));
}

TEST_CASE("a torch file is a dictionary of tensors in its order") {
  const TempDir dir;
  const std::string parameter = PGlobal("torch._utils", "_rebuild_parameter") + "(" +
                                PTensor{.offset = 1, .shape = {3}, .stride = {1}}.Opcodes() +
                                "\x88" + POrderedDict() + "tR";
  // An OrderedDict with the attribute _metadata, tensors remembered and recalled.
  const std::string pickle = "\x80\x02" + POrderedDict() + "q\x01(" + PText("z") +
                             PTensor{}.Opcodes() + "r" + testing::Little<uint32_t>(900) +
                             PText("a") + parameter + PText("s") +
                             PTensor{.offset = 3, .shape = {}, .stride = {}}.Opcodes() +
                             PText("again") + "j" + testing::Little<uint32_t>(900) + PText("half") +
                             PTensor{.storage = "BFloat16Storage",
                                     .key = "1",
                                     .elements = 3,
                                     .shape = {1, 3},
                                     .stride = {77, 1}}
                                 .Opcodes() +
                             "u}" + PText("_metadata") + POrderedDict() + "sb.";
  WriteText(dir / "pytorch_model.bin",
            Zip({{"x/data.pkl", pickle}, {"x/data/0", FourFloats()}, {"x/data/1", "abcdef"}}));
  const auto checkpoint = Checkpoint::Open(dir.path());
  REQUIRE(checkpoint->tensors().size() == 5);
  CHECK(checkpoint->tensors()[0].name == "z");
  CHECK(checkpoint->tensors()[0].shape == std::vector<int64_t>{2, 2});
  CHECK(Floats(checkpoint->ReadAll(0)) == std::vector<float>{1, 2, 3, 4});
  CHECK(checkpoint->tensors()[1].name == "a");
  CHECK(Floats(checkpoint->ReadAll(1)) == std::vector<float>{2, 3, 4});
  CHECK(checkpoint->tensors()[2].shape.empty());
  CHECK(Floats(checkpoint->ReadAll(2)) == std::vector<float>{4});
  CHECK(Floats(checkpoint->ReadAll(3)) == std::vector<float>{1, 2, 3, 4});
  CHECK(checkpoint->tensors()[4].type == Type::kBF16);
  CHECK(checkpoint->tensors()[4].shape == std::vector<int64_t>{3, 1});
  CHECK(checkpoint->ReadAll(4)[5] == std::byte{'f'});
}

TEST_CASE("a file that torch itself wrote has the values of its safetensors twin") {
  const auto bin =
      Checkpoint::Open(testing::TestData("models/adapters/modern-bin/adapter_model.bin"));
  const auto twin =
      Checkpoint::Open(testing::TestData("models/adapters/modern/adapter_model.safetensors"));
  REQUIRE(bin->tensors().size() == twin->tensors().size());
  for (size_t i = 0; i < bin->tensors().size(); ++i) {
    const auto other = twin->Find(bin->tensors()[i].name);
    REQUIRE(other);
    CHECK(bin->tensors()[i].shape == twin->tensors()[*other].shape);
    CHECK(bin->ReadAll(i) == twin->ReadAll(*other));
  }
}

TEST_CASE("shards of torch files have an index too") {
  const TempDir dir;
  WriteText(dir / "a.bin", Torch(PDict("x", PTensor{}.Opcodes())));
  WriteText(dir / "b.bin", Torch(PDict("y", PTensor{}.Opcodes())));
  const auto open = [&](const char* index) {
    WriteText(dir / "pytorch_model.bin.index.json", index);
    return Checkpoint::Open(dir.path());
  };
  CHECK(open(R"({"weight_map":{"x":"a.bin","y":"b.bin"}})")->tensors()[1].name == "y");
  CHECK_THROWS_AS(open(R"({"weight_map":{"x":"a.bin"}, "y":"a.bin"}})"), Error);
  CHECK_THROWS_AS(open(R"({"weight_map":{"x":"a.bin","y":"a.bin"}})"), Error);
}

TEST_CASE("a torch file that is cut anywhere is refused") {
  const std::string whole = Torch(PDict("w", PTensor{}.Opcodes()));
  CHECK(RefusalOfFile(whole) == "");
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(RefusalOfFile(whole.substr(0, size)).starts_with("3: m.bin: "));
  }
}

TEST_CASE("a pickle that is cut anywhere is refused") {
  const std::string whole = PDict("w", PTensor{}.Opcodes());
  for (size_t size = 0; size < whole.size(); ++size) {
    CAPTURE(size);
    CHECK(RefusalOfPickle(whole.substr(0, size)).starts_with("3: m.bin: "));
  }
}

TEST_CASE("a pickle with any byte changed is read or refused") {
  const std::string whole = PDict("w", PTensor{}.Opcodes());
  const auto accept = [](std::string_view) {};
  int refused = 0;
  for (size_t at = 0; at < whole.size(); ++at) {
    for (int byte = 0; byte < 256; ++byte) {
      std::string changed = whole;
      changed[at] = static_cast<char>(byte);
      try {
        ParsePickle(std::as_bytes(std::span(changed)), "p", accept);
      } catch (const Error& error) {
        CHECK((error.kind() == ErrorKind::kBadInput || error.kind() == ErrorKind::kUnsupported));
        ++refused;
      }
    }
  }
  CHECK(refused > 1000);
}

TEST_CASE("a pickle that wants to run code is refused by the function's name") {
  const std::string shell = "(" + PText("touch /tmp/owned") + "tR";
  const auto named = [](const std::string& name) { return "the pickle wants '" + name + "'"; };
  struct Case {
    std::string value;
    char kind;
    std::string part;
  };
  const Case cases[] = {
      {PGlobal("os", "system") + shell, '3', named("os.system")},
      {PGlobal("posix", "system") + shell, '3', named("posix.system")},
      {PGlobal("builtins", "eval") + shell, '3', named("builtins.eval")},
      {PGlobal("__builtin__", "getattr") + shell, '3', named("__builtin__.getattr")},
      {PText("os") + PText("system") + "\x93" + shell, '3', named("os.system")},
      {PGlobal("torch", "load") + shell, '4', named("torch.load")},
      {PGlobal("torch.hub", "load") + shell, '4', named("torch.hub.load")},
      {PGlobal("torch", "FloatStorage.__init__") + shell, '4', "torch.FloatStorage.__init__"},
      {PGlobal("torch._utils", "_rebuild_tensor_v3") + shell, '4', "_rebuild_tensor_v3"},
      {"(" + PText("a") + "ios\nsystem\n", '4', "opcode 0x69"},
      {"(" + PGlobal("torch", "Size") + "o", '4', "opcode 0x6f"},
      {PGlobal("torch", "Size") + ")\x81", '4', "opcode 0x81"},
      {"Pos\n", '4', "opcode 0x50"},
      {"\x82\x01", '4', "opcode 0x82"},
      {PGlobal("torch", "Size") + "}b", '3', "it gives a state to what is no dictionary"},
      {"})R", '3', "it calls what is no function"},
      {PGlobal("torch", "FloatStorage") + shell, '4', "'w' is no tensor"},
      {PGlobal("collections", "OrderedDict") + shell, '3', "is made with arguments"},
  };
  for (const Case& c : cases) {
    CAPTURE(c.part);
    const std::string refusal = RefusalOfPickle(PDict("w", c.value));
    CAPTURE(refusal);
    CHECK(refusal[0] == c.kind);
    CHECK(refusal.find(c.part) != std::string::npos);
  }
}

TEST_CASE("a pickle that breaks its machine is refused") {
  const std::string cases[] = {
      "\x80\x02.",
      "\x80\x01}.",
      "\x80\x09}.",
      "\x80\x02}}.",
      "\x80\x02}h\x05.",
      "\x80\x02q\x05.",
      "\x80\x02t.",
      "\x80\x02}u.",
      "\x80\x02}(N(u.",
      "\x80\x02}(Nu.",
      "\x80\x02](NNu.",
      "\x80\x02}(NNe.",
      "\x80\x02}Na.",
      "\x80\x02N\x86.",
      "\x80\x02}NQs.",
      "\x80\x02N)R.",
      "\x80\x02X\xff\xff\xff\xff.",
      "\x80\x04\x8d\xff\xff\xff\xff\xff\xff\xff\xff.",
      "\x80\x02\x8a\x09"
      "123456789.",
      "\x80\x02" + PGlobal(std::string(600, 'a'), "b") + ".",
      "\x80\x02" + PText(std::string(600, 'a')) + PText("b") + "\x93.",
      "\x80\x02" + std::string(kMaxPickleValues + 1, ')') + ".",
      "\x80\x02" + std::string(kMaxPickleValues + 1, '(') + ".",
      std::string("\x80\x02Nq\0", 5) + std::string(2 * kMaxPickleValues + 2, 'h') + ".",
  };
  for (const std::string& pickle : cases) {
    CAPTURE(pickle.substr(0, 40));
    const std::string refusal = RefusalOfPickle(pickle);
    CAPTURE(refusal);
    CHECK(refusal.starts_with("3: m.bin: "));
  }
  CHECK(RefusalOfPickle("\x80\x02N.") == "4: m.bin: holds no dictionary of tensors");
  CHECK(RefusalOfPickle("\x80\x02}NNs.").find("a name that is no text") != std::string::npos);
}

TEST_CASE("numbers of a pickle keep their sign") {
  const std::string bytes = std::string("\x80\x02(\x8a\x00\x8a\x01\xff\x8a\x02\xff\x00", 12) +
                            "\x8a\x08" + std::string(8, '\xff') + "K\xffM\xff\xff" + PInt(-2) +
                            "G\xbf\xf8" + std::string(6, '\0') + "t.";
  const Pickle pickle = ParsePickle(std::as_bytes(std::span(bytes)), "p", [](std::string_view) {});
  const auto& items = pickle.root->items;
  REQUIRE(items.size() == 8);
  const int64_t wanted[] = {0, -1, 255, -1, 255, 65535, -2};
  for (size_t i = 0; i < 7; ++i) CHECK(items[i]->number == wanted[i]);
  CHECK(items[7]->real == -1.5);
}

TEST_CASE("a tensor that contradicts its storage is refused") {
  struct Case {
    PTensor tensor;
    const char* refusal;
  };
  const Case cases[] = {
      {{.storage = "ComplexFloatStorage"},
       "4: m.bin: the pickle wants 'torch.ComplexFloatStorage'"},
      {{.key = "7"}, "3: m.bin: tensor 'w' has its data in '7', which is not there"},
      {{.key = "../0"}, "3: m.bin: tensor 'w' has its data in '../0', which is not there"},
      {{.elements = 5}, "3: m.bin: tensor 'w' has a storage of 5 elements, its entry holds 4"},
      {{.elements = -4}, "3: m.bin: tensor 'w' has a storage of -4 elements"},
      {{.storage = "LongStorage"},
       "3: m.bin: tensor 'w' has a storage of 4 elements, its entry ho"},
      {{.offset = 1}, "3: m.bin: tensor 'w' is 4 elements from 1, its storage has 4"},
      {{.offset = -1}, "3: m.bin: tensor 'w' is 4 elements from -1, its storage has 4"},
      {{.offset = 2147483647}, "3: m.bin: tensor 'w' is 4 elements from 2147483647"},
      {{.shape = {2, 3}, .stride = {3, 1}}, "3: m.bin: tensor 'w' is 6 elements from 0"},
      {{.shape = {-2, 2}}, "3: m.bin: tensor 'w' has a dimension of -2"},
      {{.shape = {0, 2}}, "3: m.bin: tensor 'w' has a dimension of 0"},
      {{.shape = {2147483647, 2147483647, 2147483647}}, "3: m.bin: a tensor's size overflows"},
      {{.stride = {1, 2}}, "4: m.bin: tensor 'w' does not lie row by row"},
      {{.shape = {2}, .stride = {2}}, "4: m.bin: tensor 'w' does not lie row by row"},
      {{.stride = {1}}, "3: m.bin: tensor 'w' has strides for another shape"},
      {{.shape = std::vector<int32_t>(17, 1)}, "3: m.bin: tensor 'w' has a broken shape or stride"},
  };
  for (const Case& c : cases) {
    const std::string refusal = RefusalOfTensor(c.tensor);
    CAPTURE(refusal);
    CHECK(refusal.starts_with(c.refusal));
  }
}

TEST_CASE("a value that is no tensor is refused by its name") {
  const std::string rebuild = PGlobal("torch._utils", "_rebuild_tensor_v2");
  const std::string parameter = PGlobal("torch._utils", "_rebuild_parameter");
  const std::pair<std::string, const char*> cases[] = {
      {"N", "4: m.bin: 'w' is no tensor"},
      {"}", "4: m.bin: 'w' is no tensor"},
      {rebuild + ")R", "3: m.bin: tensor 'w' lacks a storage"},
      {rebuild + "(NNNNtR", "3: m.bin: tensor 'w' has no storage"},
      {rebuild + "(NQNNNtR", "3: m.bin: tensor 'w' has no storage"},
      {rebuild + "()QNNNtR", "3: m.bin: tensor 'w' has a broken storage"},
      {parameter + ")R", "3: m.bin: tensor 'w' is a broken parameter"},
      {parameter + "(" + parameter + ")RtR", "3: m.bin: tensor 'w' is a broken parameter"},
  };
  for (const auto& [value, wanted] : cases) {
    const std::string refusal = RefusalOfPickle(PDict("w", value));
    CAPTURE(refusal);
    CHECK(refusal.starts_with(wanted));
  }
  const std::string twice =
      "\x80\x02}(" + PText("w") + PTensor{}.Opcodes() + PText("w") + PTensor{}.Opcodes() + "u.";
  CHECK(RefusalOfPickle(twice) == "3: m.bin: tensor 'w' stands twice");
}

TEST_CASE("a zip file that torch would not write is refused") {
  const std::string pickle = PDict("w", PTensor{}.Opcodes());
  const ZipPart good{"x/data.pkl", pickle}, data{"x/data/0", FourFloats()};
  const auto with = [&](ZipPart part) { return RefusalOfFile(Zip({good, data, part})); };
  CHECK(with({"x/version", "3"}) == "");
  CHECK(with({.name = "x/version", .data = "3", .zip64 = true}) == "");
  CHECK(with({"x/byteorder", "big"}) == "4: m.bin: has the byte order 'big', 'little' is wanted");
  CHECK(with({"x/byteorder", std::string(17, 'l')}).starts_with("3: m.bin: zip entry 'x/byteord"));
  CHECK(with({"x/data/0", "1"}) == "3: m.bin: zip entry 'x/data/0' stands twice");
  CHECK(with({"y/data.pkl", "."}) == "3: m.bin: has two data.pkl");
  CHECK(with({.name = "z", .data = "1", .method = 8}) ==
        "4: m.bin: zip entry 'z' is compressed or encrypted");
  CHECK(with({.name = "z", .data = "1", .flags = 1}) ==
        "4: m.bin: zip entry 'z' is compressed or encrypted");
  CHECK(with({.name = "z", .data = "1", .local_name = "y"}) ==
        "3: m.bin: zip entry 'z' has another name at byte " +
            std::to_string(Zip({good, data}).find("PK\1\2")));
  CHECK(with({.name = "x/data/0", .data = FourFloats(), .same_as = 1}) ==
        "3: m.bin: zip entry 'x/data/0' stands twice");
  CHECK(RefusalOfFile(Zip({{.name = "x/data.pkl", .data = pickle, .crc_change = 1}, data}))
            .find("has the checksum") != std::string::npos);
  CHECK(RefusalOfFile(Zip({data})) == "3: m.bin: is a zip file without data.pkl");
  CHECK(RefusalOfFile(Zip({})) == "3: m.bin: is a zip file without data.pkl");
}

TEST_CASE("zip numbers that lie are refused") {
  const std::string whole = Torch(PDict("w", PTensor{}.Opcodes()));
  const size_t end = whole.size() - 22;
  // The end's number of entries, the directory's size and offset; the first entry's fields.
  const size_t first = whole.find("PK\1\2");
  for (const size_t at : {end + 10, end + 12, end + 16, first + 20, first + 24, first + 28,
                          first + 30, first + 32, first + 42}) {
    for (const uint32_t value : {0x7FFFFFFFU, 0xFFFFFFFEU, 0xFFFFFFFFU}) {
      std::string changed = whole;
      changed.replace(at, 4, testing::Little(value));
      CAPTURE(at - first);
      CAPTURE(value);
      const std::string refusal = RefusalOfFile(changed);
      CHECK((refusal.starts_with("3: m.bin: ") || refusal.starts_with("4: m.bin: ")));
    }
  }
}

TEST_CASE("what is no torch file is refused") {
  CHECK(RefusalOfFile("") == "3: m.bin: is no torch file");
  CHECK(RefusalOfFile("hello") == "3: m.bin: is no torch file");
  CHECK(RefusalOfFile("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9 j\xa8P\x19.")
            .starts_with("4: m.bin: is a torch file of the form before torch 1.6"));
}

}  // namespace
}  // namespace quern
