#include "convert/torch_zip.h"

#include <zlib.h>

#include <algorithm>
#include <unordered_set>

#include "base/cursor.h"
#include "base/error.h"
#include "convert/pickle.h"
#include "convert/zip.h"

namespace quern {
namespace {

using Kind = PickleValue::Kind;

constexpr uint64_t kMaxPickle = uint64_t{1} << 25;
constexpr std::string_view kTensor = "torch._utils._rebuild_tensor_v2";
constexpr std::string_view kOldTensor = "torch._utils._rebuild_tensor";
constexpr std::string_view kParameter = "torch._utils._rebuild_parameter";
constexpr std::string_view kSize = "torch.Size";
constexpr std::string_view kTorch = "torch.";

std::optional<Dtype> StorageOf(std::string_view global) {
  if (!global.starts_with(kTorch)) return std::nullopt;
  return DtypeFromStorage(global.substr(kTorch.size()));
}

bool IsAllowed(std::string_view global) {
  return global == "collections.OrderedDict" || global == kTensor || global == kOldTensor ||
         global == kParameter || global == kSize || StorageOf(global);
}

// Reads the dictionary of one file.
class TorchFile {
 public:
  explicit TorchFile(const InputFile& file) : file_(file), entries_(ReadZip(file)) {
    FindPrefix();
    CheckByteOrder();
  }

  std::vector<StoredTensor> Read() const {
    const std::string bytes = ReadSmall(prefix_ + "data.pkl", kMaxPickle);
    const Pickle pickle =
        ParsePickle(std::as_bytes(std::span(bytes)), file_.name(), [this](std::string_view global) {
          if (IsAllowed(global)) return;
          Fail(global.starts_with(kTorch) ? ErrorKind::kUnsupported : ErrorKind::kBadInput,
               "{}: the pickle wants '{}', which is no part of a dictionary of tensors",
               file_.name(), global);
        });
    if (pickle.root->kind != Kind::kDict) {
      Fail(ErrorKind::kUnsupported, "{}: holds no dictionary of tensors", file_.name());
    }
    std::vector<StoredTensor> tensors;
    std::unordered_set<std::string> names;
    const auto& items = pickle.root->items;
    for (size_t i = 0; i < items.size(); i += 2) {
      if (items[i]->kind != Kind::kText) Bad("", "a name that is no text");
      const std::string& name = items[i]->text;
      if (!names.insert(name).second) Bad(name, "stands twice");
      tensors.push_back(TensorOf(name, *items[i + 1]));
    }
    return tensors;
  }

 private:
  struct Storage {
    Dtype dtype;
    uint64_t offset;  // in the file
    uint64_t elements;
  };

  [[noreturn]] void Bad(std::string_view tensor, std::string_view what) const {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' {}", file_.name(), tensor, what);
  }

  // All entries lie below one folder, which is named after the file that was saved.
  void FindPrefix() {
    constexpr std::string_view kPickle = "data.pkl";
    bool found = false;
    for (const auto& [name, entry] : entries_) {
      const bool here = name == kPickle || (name.ends_with("/data.pkl") &&
                                            std::count(name.begin(), name.end(), '/') == 1);
      if (!here) continue;
      if (found) Fail(ErrorKind::kBadInput, "{}: has two data.pkl", file_.name());
      prefix_ = name.substr(0, name.size() - kPickle.size());
      found = true;
    }
    if (!found) Fail(ErrorKind::kBadInput, "{}: is a zip file without data.pkl", file_.name());
  }

  void CheckByteOrder() const {
    const std::string name = prefix_ + "byteorder";
    if (!entries_.contains(name)) return;
    if (const std::string order = ReadSmall(name, 16); order != "little") {
      Fail(ErrorKind::kUnsupported, "{}: has the byte order '{}', 'little' is wanted", file_.name(),
           order);
    }
  }

  std::string ReadSmall(const std::string& name, uint64_t limit) const {
    const ZipEntry& entry = entries_.at(name);
    if (entry.size > limit) {
      Fail(ErrorKind::kBadInput, "{}: zip entry '{}' has {} bytes, at most {} are expected",
           file_.name(), name, entry.size, limit);
    }
    std::string bytes(entry.size, '\0');
    file_.ReadAt(entry.offset, std::as_writable_bytes(std::span(bytes)));
    const auto crc =
        crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size()));
    if (crc != entry.crc) {
      Fail(ErrorKind::kBadInput, "{}: zip entry '{}' has the checksum {:08x}, {:08x} is wanted",
           file_.name(), name, crc, entry.crc);
    }
    return bytes;
  }

  StoredTensor TensorOf(const std::string& name, const PickleValue& value) const {
    if (value.kind == Kind::kCall && value.text == kParameter) {
      const auto& arguments = value.items[0]->items;
      if (arguments.empty() || IsParameter(*arguments[0])) Bad(name, "is a broken parameter");
      return TensorOf(name, *arguments[0]);
    }
    if (value.kind != Kind::kCall || (value.text != kTensor && value.text != kOldTensor)) {
      Fail(ErrorKind::kUnsupported, "{}: '{}' is no tensor", file_.name(), name);
    }
    const auto& arguments = value.items[0]->items;
    if (arguments.size() < 4) Bad(name, "lacks a storage, offset, shape or stride");
    const Storage storage = StorageOfId(name, *arguments[0]);
    const int64_t first = Number(name, *arguments[1]);
    const std::vector<int64_t> shape = Numbers(name, *arguments[2]);
    TensorInfo info = MakeTensorInfo(file_.name(), name, storage.dtype, shape);
    CheckStride(name, shape, Numbers(name, *arguments[3]));
    const auto elements = static_cast<uint64_t>(info.elements());
    const auto begin = static_cast<uint64_t>(first);
    if (first < 0 || begin > storage.elements || elements > storage.elements - begin) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' is {} elements from {}, its storage has {}",
           file_.name(), name, elements, first, storage.elements);
    }
    const auto size = static_cast<uint64_t>(InfoOf(info.type).bytes);
    return {std::move(info), storage.dtype.name, storage.offset + begin * size};
  }

  static bool IsParameter(const PickleValue& value) {
    return value.kind == Kind::kCall && value.text == kParameter;
  }

  // A storage is ('storage', its class, the name of its entry, a device, its elements).
  Storage StorageOfId(const std::string& tensor, const PickleValue& value) const {
    if (value.kind != Kind::kId || value.items[0]->kind != Kind::kTuple) {
      Bad(tensor, "has no storage");
    }
    const auto& id = value.items[0]->items;
    if (id.size() < 5 || id[0]->text != "storage" || id[1]->kind != Kind::kGlobal ||
        id[2]->kind != Kind::kText || id[4]->kind != Kind::kInt) {
      Bad(tensor, "has a broken storage");
    }
    const auto dtype = StorageOf(id[1]->text);
    if (!dtype) Bad(tensor, "has a storage that is none");
    const auto entry = entries_.find(prefix_ + "data/" + id[2]->text);
    if (entry == entries_.end()) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' has its data in '{}', which is not there",
           file_.name(), tensor, id[2]->text);
    }
    const uint64_t elements = entry->second.size / static_cast<uint64_t>(InfoOf(dtype->type).bytes);
    if (id[4]->number < 0 || static_cast<uint64_t>(id[4]->number) != elements) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' has a storage of {} elements, its entry holds {}",
           file_.name(), tensor, id[4]->number, elements);
    }
    return {*dtype, entry->second.offset, elements};
  }

  int64_t Number(const std::string& tensor, const PickleValue& value) const {
    if (value.kind != Kind::kInt) Bad(tensor, "has something else where a number should be");
    return value.number;
  }

  // A tuple of numbers, or torch.Size of one.
  std::vector<int64_t> Numbers(const std::string& tensor, const PickleValue& value) const {
    const PickleValue* tuple = &value;
    if (value.kind == Kind::kCall && value.text == kSize) {
      if (value.items[0]->items.size() != 1) Bad(tensor, "has a broken shape");
      tuple = value.items[0]->items[0];
    }
    if (tuple->kind != Kind::kTuple || tuple->items.size() > 16) {
      Bad(tensor, "has a broken shape or stride");
    }
    std::vector<int64_t> numbers;
    for (const PickleValue* item : tuple->items) numbers.push_back(Number(tensor, *item));
    return numbers;
  }

  // The stride of a dimension of one element says nothing.
  void CheckStride(const std::string& tensor, const std::vector<int64_t>& shape,
                   const std::vector<int64_t>& stride) const {
    if (stride.size() != shape.size()) Bad(tensor, "has strides for another shape");
    int64_t wanted = 1;
    for (size_t i = shape.size(); i-- > 0;) {
      if (shape[i] > 1 && stride[i] != wanted) {
        Fail(ErrorKind::kUnsupported,
             "{}: tensor '{}' does not lie row by row (a transposed or cut view; save it with "
             ".contiguous())",
             file_.name(), tensor);
      }
      wanted *= shape[i];
    }
  }

  const InputFile& file_;
  std::map<std::string, ZipEntry> entries_;
  std::string prefix_;
};

}  // namespace

std::vector<StoredTensor> ReadTorchFile(const InputFile& file) {
  std::string head(std::min<uint64_t>(file.size(), 2), '\0');
  file.ReadAt(0, std::as_writable_bytes(std::span(head)));
  // A bare pickle, or a tar of them, is what torch.save wrote before 1.6.
  if (head.starts_with("\x80")) {
    Fail(ErrorKind::kUnsupported,
         "{}: is a torch file of the form before torch 1.6; load and save it with a newer torch",
         file.name());
  }
  if (head != "PK") Fail(ErrorKind::kBadInput, "{}: is no torch file", file.name());
  return TorchFile(file).Read();
}

}  // namespace quern
