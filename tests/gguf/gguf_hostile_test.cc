// Headers that lie: each gets a clear error, none a crash. The same bytes seed the fuzzer.
#include <doctest/doctest.h>

#include <functional>

#include "base/error.h"
#include "gguf/gguf_reader.h"
#include "gguf/gguf_writer.h"

namespace quern {
namespace {

// Writes a header value by value, so that any of them can lie.
class Bytes {
 public:
  template <typename T>
  Bytes& Number(T value) {
    const auto* raw = reinterpret_cast<const char*>(&value);
    out_.append(raw, sizeof(T));
    return *this;
  }
  Bytes& Raw(std::string_view text) {
    out_ += text;
    return *this;
  }
  Bytes& Text(std::string_view text) { return Number<uint64_t>(text.size()).Raw(text); }
  Bytes& Begin(uint64_t tensors, uint64_t keys, uint32_t version = 3) {
    return Raw("GGUF").Number(version).Number(tensors).Number(keys);
  }
  Bytes& Tensor(std::string_view name, std::vector<uint64_t> shape, uint32_t type,
                uint64_t offset) {
    Text(name).Number(static_cast<uint32_t>(shape.size()));
    for (const uint64_t size : shape) Number(size);
    return Number(type).Number(offset);
  }
  Bytes& Data(size_t size) {
    out_.resize((out_.size() + 31) / 32 * 32 + size);
    return *this;
  }
  const std::string& text() const { return out_; }

 private:
  std::string out_;
};

GgufHeader Parse(std::string_view text) {
  return ParseGgufHeader(std::as_bytes(std::span(text)), text.size(), "bad.gguf");
}

struct Case {
  const char* name;
  Bytes bytes;
  ErrorKind kind;
  const char* says;
};

std::vector<Case> Cases() {
  using enum ErrorKind;
  const uint64_t huge = ~uint64_t{0};
  const uint64_t half = uint64_t{1} << 63;
  return {
      {"empty", Bytes(), kBadInput, "magic"},
      {"other magic", Bytes().Raw("GGML0000"), kBadInput, "GGUF"},
      {"version 1", Bytes().Begin(0, 0, 1), kUnsupported, "version 1"},
      {"version 4", Bytes().Begin(0, 0, 4), kUnsupported, "version 4"},
      {"tensor count", Bytes().Begin(huge, 0), kBadInput, "tensors"},
      {"key count", Bytes().Begin(0, huge), kBadInput, "keys"},
      {"key length", Bytes().Begin(0, 1).Number(huge).Data(64), kBadInput, "key 0"},
      {"key empty", Bytes().Begin(0, 1).Text("").Data(64), kBadInput, "key 0"},
      {"value type", Bytes().Begin(0, 1).Text("a").Number<uint32_t>(13).Data(64), kBadInput, "13"},
      {"bool of 2", Bytes().Begin(0, 1).Text("a").Number<uint32_t>(7).Number<uint8_t>(2).Data(64),
       kBadInput, "bool"},
      {"string length", Bytes().Begin(0, 1).Text("a").Number<uint32_t>(8).Number(huge).Data(64),
       kBadInput, "'a'"},
      {"array count overflows",
       Bytes().Begin(0, 1).Text("a").Number<uint32_t>(9).Number<uint32_t>(10).Number(huge / 4).Data(
           64),
       kBadInput, "overflows"},
      {"array count",
       Bytes().Begin(0, 1).Text("a").Number<uint32_t>(9).Number<uint32_t>(0).Number(half).Data(64),
       kBadInput, "'a'"},
      {"array of strings count",
       Bytes().Begin(0, 1).Text("a").Number<uint32_t>(9).Number<uint32_t>(8).Number(half).Data(64),
       kBadInput, "strings"},
      {"array of arrays",
       Bytes()
           .Begin(0, 1)
           .Text("a")
           .Number<uint32_t>(9)
           .Number<uint32_t>(9)
           .Number<uint64_t>(1)
           .Data(64),
       kUnsupported, "array of arrays"},
      {"key twice",
       Bytes()
           .Begin(0, 2)
           .Text("a")
           .Number<uint32_t>(0)
           .Number<uint8_t>(1)
           .Text("a")
           .Number<uint32_t>(0)
           .Number<uint8_t>(1)
           .Data(0),
       kBadInput, "twice"},
      {"alignment 0",
       Bytes()
           .Begin(0, 1)
           .Text("general.alignment")
           .Number<uint32_t>(4)
           .Number<uint32_t>(0)
           .Data(0),
       kBadInput, "alignment"},
      {"alignment 24",
       Bytes()
           .Begin(0, 1)
           .Text("general.alignment")
           .Number<uint32_t>(4)
           .Number<uint32_t>(24)
           .Data(0),
       kBadInput, "alignment"},
      {"alignment is text",
       Bytes().Begin(0, 1).Text("general.alignment").Number<uint32_t>(8).Text("32").Data(0),
       kBadInput, "alignment"},
      {"tensor name length", Bytes().Begin(1, 0).Number(huge).Data(64), kBadInput, "tensor 0"},
      {"tensor name of 64", Bytes().Begin(1, 0).Tensor(std::string(64, 'x'), {32}, 0, 0).Data(128),
       kBadInput, "name of 64"},
      {"five dimensions", Bytes().Begin(1, 0).Tensor("a", {1, 1, 1, 1, 1}, 0, 0).Data(128),
       kBadInput, "5 dimensions"},
      {"an empty dimension", Bytes().Begin(1, 0).Tensor("a", {32, 0}, 0, 0).Data(128), kBadInput,
       "empty"},
      {"elements overflow", Bytes().Begin(1, 0).Tensor("a", {huge, huge}, 0, 0).Data(128),
       kBadInput, "overflows"},
      {"elements wrap to little", Bytes().Begin(1, 0).Tensor("a", {half, 2}, 0, 0).Data(128),
       kBadInput, "'a'"},
      {"a negative size", Bytes().Begin(1, 0).Tensor("a", {huge}, 0, 0).Data(128), kBadInput,
       "'a'"},
      {"type id", Bytes().Begin(1, 0).Tensor("a", {32}, 4, 0).Data(128), kUnsupported, "type id 4"},
      {"part of a block", Bytes().Begin(1, 0).Tensor("a", {33}, 8, 0).Data(128), kBadInput,
       "multiple of 32"},
      {"offset not aligned", Bytes().Begin(1, 0).Tensor("a", {8}, 0, 8).Data(128), kBadInput,
       "aligned"},
      {"offset overflows", Bytes().Begin(1, 0).Tensor("a", {8}, 0, huge - 31).Data(128), kBadInput,
       "overflows"},
      {"data beyond the end", Bytes().Begin(1, 0).Tensor("a", {32}, 0, 32).Data(128), kBadInput,
       "the file has"},
      {"data overlap",
       Bytes().Begin(2, 0).Tensor("a", {32}, 0, 0).Tensor("b", {32}, 0, 64).Data(512), kBadInput,
       "inside of another"},
      {"tensor twice", Bytes().Begin(2, 0).Tensor("a", {8}, 0, 0).Tensor("a", {8}, 0, 32).Data(512),
       kBadInput, "twice"},
  };
}

TEST_CASE("a header that lies gets its error") {
  for (const Case& test : Cases()) {
    INFO(test.name);
    try {
      Parse(test.bytes.text());
      FAIL_CHECK("was accepted");
    } catch (const Error& error) {
      CHECK(error.kind() == test.kind);
      CHECK(std::string(error.what()).find(test.says) != std::string::npos);
      CHECK(std::string(error.what()).starts_with("bad.gguf: "));
    }
  }
}

TEST_CASE("a file cut at any byte gets an error, and whole it is accepted") {
  Bytes whole;
  whole.Begin(2, 3)
      .Text("general.architecture")
      .Number<uint32_t>(8)
      .Text("llama")
      .Text("numbers")
      .Number<uint32_t>(9)
      .Number<uint32_t>(5)
      .Number<uint64_t>(2)
      .Number<int32_t>(1)
      .Number<int32_t>(2)
      .Text("strings")
      .Number<uint32_t>(9)
      .Number<uint32_t>(8)
      .Number<uint64_t>(2)
      .Text("x")
      .Text("yz")
      .Tensor("a", {8, 2}, 0, 0)
      .Tensor("b", {32}, 8, 64)
      .Data(64 + 34);
  CHECK(Parse(whole.text()).tensors.size() == 2);
  for (size_t size = 0; size < whole.text().size(); ++size) {
    INFO(size);
    CHECK_THROWS_AS(Parse(std::string_view(whole.text()).substr(0, size)), Error);
  }
}

}  // namespace
}  // namespace quern
