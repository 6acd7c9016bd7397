#include <bit>
#include <unordered_set>

#include "gguf/gguf_reader.h"
#include "gguf/keys.h"

namespace quern {
namespace {

constexpr size_t kMaxName = 63;  // ggml's GGML_MAX_NAME counts the closing zero
constexpr uint64_t kMaxKey = 65535;

std::string ReadText(Cursor& in, std::string_view what) {
  const auto length = in.Read<uint64_t>(what);
  return std::string(in.Text(length, what));
}

template <typename T>
Value ReadScalar(Cursor& in, std::string_view what) {
  if constexpr (std::is_same_v<T, bool>) {
    const auto raw = in.Read<uint8_t>(what);
    if (raw > 1) Fail(ErrorKind::kBadInput, "{}: {} is a bool of value {}", in.name(), what, raw);
    return raw != 0;
  } else {
    return in.Read<T>(what);
  }
}

Value ReadScalarOf(Cursor& in, ValueType type, std::string_view what) {
  switch (type) {
#define QUERN_READ(name, text, id, type) \
  case ValueType::k##name:               \
    return ReadScalar<type>(in, what);
    QUERN_SCALARS(QUERN_READ)
#undef QUERN_READ
    default:
      return ReadText(in, what);
  }
}

ValueType ReadValueType(Cursor& in, std::string_view what) {
  const auto id = in.Read<uint32_t>(what);
  const auto type = ValueTypeFromId(id);
  if (!type)
    Fail(ErrorKind::kBadInput, "{}: {} has the unknown value type {}", in.name(), what, id);
  return *type;
}

Value ReadArray(Cursor& in, const std::string& what) {
  const ValueType type = ReadValueType(in, what);
  const auto count = in.Read<uint64_t>(what);
  if (type == ValueType::kArray) {
    Fail(ErrorKind::kUnsupported, "{}: {} is an array of arrays", in.name(), what);
  }
  if (type == ValueType::kString) {
    // Each string takes 8 bytes for its length alone: a count beyond that is a lie.
    if (count > in.remaining() / 8) {
      Fail(ErrorKind::kBadInput, "{}: {} claims {} strings, {} bytes are left", in.name(), what,
           count, in.remaining());
    }
    std::vector<std::string> strings;
    strings.reserve(count);
    for (uint64_t i = 0; i < count; ++i) strings.push_back(ReadText(in, what));
    return Array(std::move(strings));
  }
  const size_t size = SizeOf(type);
  const auto part = in.Bytes(CheckedMul(count, size, in.name(), what), what);
  std::vector<std::byte> bytes(part.begin(), part.end());
  if (in.order() == ByteOrder::kBig) {
    for (size_t i = 0; i < bytes.size(); i += size) {
      std::reverse(bytes.begin() + static_cast<ptrdiff_t>(i),
                   bytes.begin() + static_cast<ptrdiff_t>(i + size));
    }
  }
  return Array(type, std::move(bytes));
}

void ReadKeys(Cursor& in, uint64_t count, Metadata& metadata) {
  for (uint64_t i = 0; i < count; ++i) {
    const std::string place = fmt::format("key {}", i);
    const auto length = in.Read<uint64_t>(place);
    if (length == 0 || length > kMaxKey) {
      Fail(ErrorKind::kBadInput, "{}: {} has a name of {} bytes, 1 to {} are allowed", in.name(),
           place, length, kMaxKey);
    }
    const std::string key(in.Text(length, place));
    const std::string what = fmt::format("key '{}'", key);
    if (metadata.Has(key)) Fail(ErrorKind::kBadInput, "{}: {} stands twice", in.name(), what);
    const ValueType type = ReadValueType(in, what);
    metadata.Set(key,
                 type == ValueType::kArray ? ReadArray(in, what) : ReadScalarOf(in, type, what));
  }
}

TensorInfo ReadTensorInfo(Cursor& in, uint64_t index) {
  TensorInfo tensor;
  tensor.name = ReadText(in, fmt::format("the name of tensor {}", index));
  if (tensor.name.empty() || tensor.name.size() > kMaxName) {
    Fail(ErrorKind::kBadInput, "{}: tensor {} has a name of {} bytes, 1 to {} are allowed",
         in.name(), index, tensor.name.size(), kMaxName);
  }
  const std::string what = fmt::format("tensor '{}'", tensor.name);
  const auto dims = in.Read<uint32_t>(what);
  if (dims > 4) {
    Fail(ErrorKind::kBadInput, "{}: {} has {} dimensions, at most 4 are allowed", in.name(), what,
         dims);
  }
  // Elements times 8 must fit a signed 64-bit number, so that no later sum of bytes overflows.
  uint64_t elements = 8;
  for (uint32_t d = 0; d < dims; ++d) {
    const auto size = in.Read<uint64_t>(what);
    if (size == 0) Fail(ErrorKind::kBadInput, "{}: {} has an empty dimension", in.name(), what);
    elements = CheckedMul(elements, size, in.name(), what);
    if (elements > uint64_t{1} << 62) {
      Fail(ErrorKind::kBadInput, "{}: {} has too many elements", in.name(), what);
    }
    tensor.shape.push_back(static_cast<int64_t>(size));
  }
  const auto id = in.Read<uint32_t>(what);
  const auto type = TypeFromId(id);
  if (!type) {
    Fail(ErrorKind::kUnsupported, "{}: {} has the type id {}, which ggml does not have", in.name(),
         what, id);
  }
  tensor.type = *type;
  if (tensor.cols() % InfoOf(*type).elems != 0) {
    Fail(ErrorKind::kBadInput, "{}: {} has rows of {}, {} needs a multiple of {}", in.name(), what,
         tensor.cols(), NameOf(*type), InfoOf(*type).elems);
  }
  return tensor;
}

uint64_t AlignmentOf(const Metadata& metadata) {
  const int64_t alignment = metadata.Int(keys::kAlignment).value_or(32);
  if (alignment <= 0 || alignment > (int64_t{1} << 30) ||
      !std::has_single_bit(static_cast<uint64_t>(alignment))) {
    Fail(ErrorKind::kBadInput, "{}: general.alignment is {}, a power of two is wanted",
         metadata.name(), alignment);
  }
  return static_cast<uint64_t>(alignment);
}

// Every tensor's data lie whole in the file, on the alignment, and share no byte.
void CheckPlaces(const GgufHeader& header, uint64_t alignment, uint64_t file_size,
                 const std::string& name) {
  std::vector<size_t> order(header.tensors.size());
  for (size_t i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(),
            [&](size_t a, size_t b) { return header.offsets[a] < header.offsets[b]; });
  uint64_t end = header.data_start;
  for (size_t i : order) {
    const TensorInfo& tensor = header.tensors[i];
    const uint64_t offset = header.offsets[i];
    if ((offset - header.data_start) % alignment != 0) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' begins at {}, which is not aligned to {}", name,
           tensor.name, offset - header.data_start, alignment);
    }
    if (offset < end) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' begins at byte {}, inside of another", name,
           tensor.name, offset);
    }
    end = CheckedAdd(offset, static_cast<uint64_t>(tensor.bytes()), name, "a tensor's end");
    if (end > file_size) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' ends at byte {}, the file has {}", name,
           tensor.name, end, file_size);
    }
  }
}

void ReadVersion(Cursor& in, GgufHeader& header) {
  if (in.Text(4, "the magic") != "GGUF") {
    Fail(ErrorKind::kBadInput, "{}: does not begin with 'GGUF'", in.name());
  }
  header.version = in.Read<uint32_t>("the version");
  // A small version has its low half empty only when it is read in the wrong order.
  if ((header.version & 0xFFFF) == 0) {
    header.order = ByteOrder::kBig;
    in.set_order(header.order);
    header.version = __builtin_bswap32(header.version);
  }
  if (header.version != 2 && header.version != 3) {
    Fail(ErrorKind::kUnsupported, "{}: is GGUF version {}, 2 and 3 are known", in.name(),
         header.version);
  }
}

}  // namespace

GgufHeader ParseGgufHeader(std::span<const std::byte> bytes, uint64_t file_size,
                           const std::string& name) {
  Cursor in(bytes, name);
  GgufHeader header;
  header.metadata.set_name(name);
  ReadVersion(in, header);
  const auto tensor_count = in.Read<uint64_t>("the number of tensors");
  const auto key_count = in.Read<uint64_t>("the number of keys");
  // The smallest entries take 24 and 13 bytes.
  if (tensor_count > in.remaining() / 24 || key_count > in.remaining() / 13) {
    Fail(ErrorKind::kBadInput, "{}: claims {} tensors and {} keys, {} bytes are left", name,
         tensor_count, key_count, in.remaining());
  }
  ReadKeys(in, key_count, header.metadata);
  const uint64_t alignment = AlignmentOf(header.metadata);
  std::unordered_set<std::string> names;
  for (uint64_t i = 0; i < tensor_count; ++i) {
    header.tensors.push_back(ReadTensorInfo(in, i));
    const std::string& tensor = header.tensors.back().name;
    if (!names.insert(tensor).second) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' stands twice", name, tensor);
    }
    header.offsets.push_back(in.Read<uint64_t>(fmt::format("the offset of tensor '{}'", tensor)));
  }
  header.data_start = (in.position() + alignment - 1) / alignment * alignment;
  for (uint64_t& offset : header.offsets) {
    offset = CheckedAdd(offset, header.data_start, name, "a tensor's offset");
  }
  CheckPlaces(header, alignment, file_size, name);
  return header;
}

}  // namespace quern
