#include "convert/safetensors.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/cursor.h"
#include "base/error.h"
#include "base/json_text.h"

namespace quern {
namespace {

using nlohmann::json;

void CheckMetadata(const json& metadata, const std::string& file) {
  if (!metadata.is_object()) Fail(ErrorKind::kBadInput, "{}: __metadata__ is no object", file);
  for (const auto& [key, value] : metadata.items()) {
    if (!value.is_string()) {
      Fail(ErrorKind::kBadInput, "{}: __metadata__ '{}' is no text", file, key);
    }
  }
}

// The list `key` of a tensor's entry: whole numbers that are not negative.
std::vector<uint64_t> Numbers(const json& entry, const char* key, const std::string& what) {
  const auto found = entry.find(key);
  if (found == entry.end() || !found->is_array()) {
    Fail(ErrorKind::kBadInput, "{} has no list '{}'", what, key);
  }
  std::vector<uint64_t> numbers;
  for (const json& number : *found) {
    if (!number.is_number_unsigned()) {
      Fail(ErrorKind::kBadInput, "{} has a {} in '{}', a whole number from 0 is wanted", what,
           number.type_name(), key);
    }
    numbers.push_back(number.get<uint64_t>());
  }
  return numbers;
}

Dtype DtypeOf(const json& entry, const std::string& what) {
  const auto found = entry.find("dtype");
  if (found == entry.end() || !found->is_string()) {
    Fail(ErrorKind::kBadInput, "{} has no 'dtype'", what);
  }
  const auto& name = found->get_ref<const std::string&>();
  const auto dtype = DtypeFromName(name);
  if (!dtype) {
    Fail(ErrorKind::kUnsupported, "{} has the dtype {}, which GGUF has no type for", what, name);
  }
  return *dtype;
}

std::vector<int64_t> ShapeOf(const json& entry, const std::string& what) {
  std::vector<int64_t> shape;
  for (const uint64_t size : Numbers(entry, "shape", what)) {
    if (size > uint64_t{1} << 62) {
      Fail(ErrorKind::kBadInput, "{} has a dimension of {}", what, size);
    }
    shape.push_back(static_cast<int64_t>(size));
  }
  return shape;
}

StoredTensor TensorOf(const std::string& name, const json& entry, const std::string& file) {
  const std::string what = fmt::format("{}: tensor '{}'", file, name);
  if (!entry.is_object()) Fail(ErrorKind::kBadInput, "{} is no object", what);
  const Dtype dtype = DtypeOf(entry, what);
  StoredTensor tensor{MakeTensorInfo(file, name, dtype, ShapeOf(entry, what)), dtype.name, 0};
  const std::vector<uint64_t> offsets = Numbers(entry, "data_offsets", what);
  if (offsets.size() != 2 || offsets[0] > offsets[1]) {
    Fail(ErrorKind::kBadInput, "{} has data_offsets that are no begin and end", what);
  }
  const uint64_t bytes = offsets[1] - offsets[0];
  if (bytes != static_cast<uint64_t>(tensor.info.bytes())) {
    Fail(ErrorKind::kBadInput, "{} ({}, {}) needs {} bytes, data_offsets give {}", what, dtype.name,
         ShapeText(tensor.info.shape), tensor.info.bytes(), bytes);
  }
  tensor.offset = offsets[0];
  return tensor;
}

// The tensors fill the `data_size` bytes after the header without gap or overlap.
void CheckPlaces(const std::vector<StoredTensor>& tensors, uint64_t data_size,
                 const std::string& file) {
  std::vector<const StoredTensor*> order;
  for (const StoredTensor& tensor : tensors) order.push_back(&tensor);
  std::sort(order.begin(), order.end(),
            [](const StoredTensor* a, const StoredTensor* b) { return a->offset < b->offset; });
  uint64_t end = 0;
  for (const StoredTensor* tensor : order) {
    if (tensor->offset != end) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' begins at byte {} of the data, {} is wanted",
           file, tensor->info.name, tensor->offset, end);
    }
    end = tensor->offset + static_cast<uint64_t>(tensor->info.bytes());
    if (end > data_size) {
      Fail(ErrorKind::kBadInput,
           "{}: tensor '{}' ends at byte {} of the data, the file has {} (is it truncated?)", file,
           tensor->info.name, end, data_size);
    }
  }
  if (end != data_size) {
    Fail(ErrorKind::kBadInput, "{}: the tensors end at byte {} of the data, the file has {}", file,
         end, data_size);
  }
}

}  // namespace

std::vector<StoredTensor> ParseSafetensorsHeader(std::string_view text, uint64_t file_size,
                                                 const std::string& name) {
  const json header = ParseJson(text, name);
  if (!header.is_object()) Fail(ErrorKind::kBadInput, "{}: the header is no JSON object", name);
  // json keeps an object's keys sorted by their bytes, which is the order that is wanted.
  std::vector<StoredTensor> tensors;
  for (const auto& [key, entry] : header.items()) {
    if (key == "__metadata__") {
      CheckMetadata(entry, name);
    } else {
      tensors.push_back(TensorOf(key, entry, name));
    }
  }
  const uint64_t data_start = 8 + text.size();
  if (file_size < data_start) {
    Fail(ErrorKind::kBadInput, "{}: the header ends at byte {}, the file has {}", name, data_start,
         file_size);
  }
  CheckPlaces(tensors, file_size - data_start, name);
  for (StoredTensor& tensor : tensors) tensor.offset += data_start;
  return tensors;
}

std::vector<StoredTensor> ReadSafetensors(const InputFile& file) {
  std::byte raw[8];
  if (file.size() < sizeof(raw)) {
    Fail(ErrorKind::kBadInput, "{}: has {} bytes, a safetensors file has 8 at least", file.name(),
         file.size());
  }
  file.ReadAt(0, raw);
  const auto length = Cursor(raw, file.name()).Read<uint64_t>("the header's length");
  if (length > kMaxSafetensorsHeader) {
    Fail(ErrorKind::kBadInput,
         "{}: the header's length is {}, at most {} are allowed (is it a safetensors file?)",
         file.name(), length, kMaxSafetensorsHeader);
  }
  if (length > file.size() - sizeof(raw)) {
    Fail(ErrorKind::kBadInput, "{}: the header has {} bytes, the file ends after {} (truncated?)",
         file.name(), length, file.size() - sizeof(raw));
  }
  std::string text(length, '\0');
  file.ReadAt(sizeof(raw), std::as_writable_bytes(std::span(text)));
  return ParseSafetensorsHeader(text, file.size(), file.name());
}

}  // namespace quern
