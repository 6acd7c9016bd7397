#pragma once

#include <zlib.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "tests/convert/bytes.h"

// Torch files made by hand: the opcodes of a pickle, and a zip round it.
namespace quern::testing {

struct ZipPart {
  std::string name;
  std::string data;
  uint16_t flags = 0;
  uint16_t method = 0;
  bool zip64 = false;           // sizes and offset in the extra field
  std::string local_name = {};  // where it differs
  int64_t same_as = -1;         // lies at the place of this part
  uint32_t crc_change = 0;      // xor
};

inline std::string Zip(const std::vector<ZipPart>& parts) {
  std::string file, directory;
  std::vector<uint64_t> offsets;
  for (const ZipPart& part : parts) {
    const uint64_t size = part.data.size();
    const auto crc = part.crc_change ^ static_cast<uint32_t>(crc32(
                                           0, reinterpret_cast<const Bytef*>(part.data.data()),
                                           static_cast<uInt>(size)));
    const uint64_t offset =
        part.same_as >= 0 ? offsets[static_cast<size_t>(part.same_as)] : file.size();
    offsets.push_back(offset);
    const std::string& local = part.local_name.empty() ? part.name : part.local_name;
    if (part.same_as < 0) {
      file += "PK\3\4" + Little<uint16_t>(20) + Little(part.flags) + Little(part.method) +
              Little<uint32_t>(0) + Little(crc) + Little(static_cast<uint32_t>(size)) +
              Little(static_cast<uint32_t>(size)) + Little(static_cast<uint16_t>(local.size())) +
              Little<uint16_t>(3) + local + "pad" + part.data;
    }
    const auto number = [&](uint64_t n) {
      return Little(part.zip64 ? 0xFFFFFFFF : static_cast<uint32_t>(n));
    };
    const std::string extra = part.zip64 ? Little<uint16_t>(7) + Little<uint16_t>(1) + "x" +
                                               Little<uint16_t>(1) + Little<uint16_t>(24) +
                                               Little(size) + Little(size) + Little(offset)
                                         : "";
    directory += "PK\1\2" + Little<uint32_t>(20) + Little(part.flags) + Little(part.method) +
                 Little<uint32_t>(0) + Little(crc) + number(size) + number(size) +
                 Little(static_cast<uint16_t>(part.name.size())) +
                 Little(static_cast<uint16_t>(extra.size())) + Little<uint16_t>(0) +
                 std::string(8, '\0') + number(offset) + part.name + extra;
  }
  const auto count = static_cast<uint16_t>(parts.size());
  return file + directory + "PK\5\6" + Little<uint32_t>(0) + Little(count) + Little(count) +
         Little(static_cast<uint32_t>(directory.size())) +
         Little(static_cast<uint32_t>(file.size())) + Little<uint16_t>(0);
}

// Opcodes.
inline std::string PText(std::string_view text) {
  return "X" + Little(static_cast<uint32_t>(text.size())) + std::string(text);
}
inline std::string PInt(int32_t number) { return "J" + Little(number); }
inline std::string PTuple(const std::vector<int32_t>& numbers) {
  std::string opcodes = "(";
  for (const int32_t number : numbers) opcodes += PInt(number);
  return opcodes + "t";
}
inline std::string PGlobal(const std::string& module, const std::string& name) {
  return "c" + module + "\n" + name + "\n";
}
inline std::string POrderedDict() { return PGlobal("collections", "OrderedDict") + ")R"; }

// A tensor as torch.save describes it.
struct PTensor {
  std::string storage = "FloatStorage";
  std::string key = "0";
  int32_t elements = 4;
  int32_t offset = 0;
  std::vector<int32_t> shape = {2, 2};
  std::vector<int32_t> stride = {2, 1};

  std::string Opcodes() const {
    return PGlobal("torch._utils", "_rebuild_tensor_v2") + "((" + PText("storage") +
           PGlobal("torch", storage) + PText(key) + PText("cpu") + PInt(elements) + "tQ" +
           PInt(offset) + PTuple(shape) + PTuple(stride) + "\x89" + POrderedDict() + "tR";
  }
};

// A dictionary with one entry of these opcodes.
inline std::string PDict(std::string_view key, const std::string& value) {
  return "\x80\x02}" + PText(key) + value + "s.";
}

// A file of torch.save with this pickle and one storage of four floats 1, 2, 3, 4.
inline std::string FourFloats() {
  return Little(1.0F) + Little(2.0F) + Little(3.0F) + Little(4.0F);
}
inline std::string Torch(const std::string& pickle) {
  return Zip({{"x/data.pkl", pickle}, {"x/byteorder", "little"}, {"x/data/0", FourFloats()}});
}

}  // namespace quern::testing
