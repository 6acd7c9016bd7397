#include "convert/pth_sink.h"

#include <zlib.h>

#include <algorithm>
#include <array>
#include <cstring>

#include "base/error.h"
#include "convert/checkpoint.h"
#include "convert/stored_tensor.h"

// The layout: PKWARE, APPNOTE.TXT 6.3.10 (see zip.cc); the opcodes: Python's pickletools; what they
// build: torch/serialization.py of 2.x.
namespace quern {
namespace {

constexpr const char* kFile = "consolidated.00.pth";
constexpr std::string_view kFolder = "consolidated/";
constexpr uint64_t kAlignment = 64;
constexpr uint32_t kIn64 = 0xFFFFFFFF;
constexpr uint16_t kVersion64 = 45;                     // 4.5 of zip has the 64-bit fields
constexpr uint16_t kZip64Field = 1, kPadding = 0x4246;  // torch pads with a field of that id
constexpr uint16_t kDate1980 = 0x21;

// Little-endian numbers and texts, one after the other.
class Bytes {
 public:
  template <typename T>
  Bytes& Number(T value) {
    for (size_t i = 0; i < sizeof(T); ++i) {
      text_ += static_cast<char>(static_cast<uint64_t>(value) >> (8 * i));
    }
    return *this;
  }
  Bytes& Text(std::string_view text) {
    text_ += text;
    return *this;
  }
  const std::string& text() const { return text_; }
  std::span<const std::byte> bytes() const { return std::as_bytes(std::span(text_)); }

 private:
  std::string text_;
};

// Opcodes of protocol 2.
class Pickler {
 public:
  Pickler() { out_.Text("\x80\x02"); }

  Pickler& Op(char opcode) {
    out_.Number(opcode);
    return *this;
  }
  Pickler& Global(std::string_view module, std::string_view name) {
    out_.Text("c").Text(module).Text("\n").Text(name).Text("\n");
    return *this;
  }
  Pickler& Text(std::string_view text) {
    out_.Text("X").Number(static_cast<uint32_t>(text.size())).Text(text);
    return *this;
  }
  Pickler& Int(int64_t value) {
    if (value <= INT32_MAX) {
      out_.Text("J").Number(static_cast<int32_t>(value));
    } else {
      out_.Text("\x8a\x08").Number(value);
    }
    return *this;
  }
  Pickler& Tuple(const std::vector<int64_t>& values) {
    Op('(');
    for (const int64_t value : values) Int(value);
    return Op('t');
  }
  std::string Finish() { return Op('.').out_.text(); }

 private:
  Bytes out_;
};

std::string_view StorageOf(const TensorInfo& tensor, const std::string& folder) {
  const auto name = DtypeNameOf(tensor.type);
  if (!name) {
    Fail(ErrorKind::kUnsupported, "{}: tensor '{}' is {}, which torch has no storage for", folder,
         tensor.name, NameOf(tensor.type));
  }
  return DtypeFromName(*name)->storage;
}

// {name: torch._utils._rebuild_tensor_v2(storage, 0, shape, strides, False, OrderedDict())}
std::string PickleOf(const std::vector<TensorInfo>& tensors, const std::string& folder) {
  Pickler pickle;
  pickle.Op('}').Op('(');
  for (size_t t = 0; t < tensors.size(); ++t) {
    const TensorInfo& tensor = tensors[t];
    const std::vector<int64_t> shape(tensor.shape.rbegin(), tensor.shape.rend());
    std::vector<int64_t> strides(shape.size());
    int64_t stride = 1;
    for (size_t i = shape.size(); i-- > 0; stride *= shape[i]) strides[i] = stride;
    pickle.Text(tensor.name).Global("torch._utils", "_rebuild_tensor_v2").Op('(');
    pickle.Op('(')
        .Text("storage")
        .Global("torch", StorageOf(tensor, folder))
        .Text(std::to_string(t))
        .Text("cpu")
        .Int(tensor.elements())
        .Op('t')
        .Op('Q');
    pickle.Int(0).Tuple(shape).Tuple(strides).Op('\x89');
    pickle.Global("collections", "OrderedDict").Op(')').Op('R').Op('t').Op('R');
  }
  return pickle.Op('u').Finish();
}

uint32_t CrcOfBytes(std::span<const std::byte> bytes) {
  return static_cast<uint32_t>(
      crc32_z(0, reinterpret_cast<const Bytef*>(bytes.data()), bytes.size()));
}

}  // namespace

PthSink::PthSink(const std::filesystem::path& folder, std::vector<TensorInfo> tensors,
                 Overwrite overwrite)
    : folder_(folder, overwrite), tensors_(std::move(tensors)), pieces_(tensors_.size()) {
  const std::string pickle = PickleOf(tensors_, folder.string());
  file_ = std::make_unique<OutputFile>(folder_.temporary_path() / kFile, Overwrite::kRefuse);
  for (size_t t = 0; t < tensors_.size(); ++t) {
    AddEntry("data/" + std::to_string(t), static_cast<uint64_t>(tensors_[t].bytes()));
  }
  file_->Reserve(end_);
  AddSmall("data.pkl", pickle);
  AddSmall("byteorder", "little");
  AddSmall("version", "3\n");
}

PthSink::~PthSink() = default;

// Plans an entry behind the last: a local header of 30 bytes, its name, the 64-bit sizes (20 bytes)
// and a field (4 bytes and more) that brings the data to their alignment.
void PthSink::AddEntry(const std::string& name, uint64_t size) {
  Entry entry{.name = std::string(kFolder) + name, .header = end_, .size = size};
  const uint64_t least = end_ + 30 + entry.name.size() + 20 + 4;
  entry.data = (least + kAlignment - 1) / kAlignment * kAlignment;
  end_ = entry.data + size;
  entries_.push_back(std::move(entry));
}

void PthSink::AddSmall(const std::string& name, std::string_view text) {
  AddEntry(name, text.size());
  const auto bytes = std::as_bytes(std::span(text));
  entries_.back().crc = CrcOfBytes(bytes);
  file_->WriteAt(entries_.back().data, bytes);
}

void PthSink::AddFile(const std::string& name, std::string_view text) {
  folder_.WriteFile(name, text);
}

void PthSink::WriteRows(size_t index, int64_t first, std::span<const std::byte> rows) {
  const TensorInfo& tensor = tensors_[index];
  const int64_t count = static_cast<int64_t>(rows.size()) / tensor.row_bytes();
  QUERN_CHECK(count * tensor.row_bytes() == static_cast<int64_t>(rows.size()));
  QUERN_CHECK(first >= 0 && first + count <= tensor.rows());
  file_->WriteAt(entries_[index].data + static_cast<uint64_t>(first * tensor.row_bytes()), rows);
  const uint32_t crc = CrcOfBytes(rows);
  const std::lock_guard lock(mutex_);
  pieces_[index].push_back({first, rows.size(), crc});
}

// The checksum of a whole tensor from those of its pieces.
uint32_t PthSink::CrcOf(size_t tensor) {
  auto& pieces = pieces_[tensor];
  std::sort(pieces.begin(), pieces.end(),
            [](const Piece& a, const Piece& b) { return a.first < b.first; });
  uLong crc = CrcOfBytes({});
  uint64_t bytes = 0;
  for (const Piece& piece : pieces) {
    QUERN_CHECK(piece.first * tensors_[tensor].row_bytes() == static_cast<int64_t>(bytes));
    crc = crc32_combine(crc, piece.crc, static_cast<z_off_t>(piece.bytes));
    bytes += piece.bytes;
  }
  QUERN_CHECK(bytes == entries_[tensor].size);
  return static_cast<uint32_t>(crc);
}

void PthSink::WriteLocalHeader(const Entry& entry) {
  const uint64_t fixed = 30 + entry.name.size() + 20 + 4;
  const uint64_t padding = entry.data - entry.header - fixed;
  Bytes out;
  out.Text("PK\3\4").Number(kVersion64).Number<uint16_t>(0).Number<uint16_t>(0);
  out.Number<uint16_t>(0).Number(kDate1980).Number(entry.crc).Number(kIn64).Number(kIn64);
  out.Number(static_cast<uint16_t>(entry.name.size()));
  out.Number(static_cast<uint16_t>(20 + 4 + padding)).Text(entry.name);
  out.Number(kZip64Field).Number<uint16_t>(16).Number(entry.size).Number(entry.size);
  out.Number(kPadding).Number(static_cast<uint16_t>(padding)).Text(std::string(padding, 'Z'));
  QUERN_CHECK(out.text().size() == entry.data - entry.header);
  file_->WriteAt(entry.header, out.bytes());
}

// The central directory and its ends, with 64-bit numbers throughout.
void PthSink::WriteDirectory() {
  Bytes out;
  for (const Entry& entry : entries_) {
    out.Text("PK\1\2").Number(kVersion64).Number(kVersion64).Number<uint16_t>(0);
    out.Number<uint16_t>(0).Number<uint16_t>(0).Number(kDate1980).Number(entry.crc);
    out.Number(kIn64).Number(kIn64).Number(static_cast<uint16_t>(entry.name.size()));
    out.Number<uint16_t>(28).Number<uint16_t>(0).Number<uint16_t>(0).Number<uint16_t>(0);
    out.Number<uint32_t>(0).Number(kIn64).Text(entry.name);
    out.Number(kZip64Field).Number<uint16_t>(24);
    out.Number(entry.size).Number(entry.size).Number(entry.header);
  }
  const uint64_t size = out.text().size(), count = entries_.size();
  out.Text("PK\6\6").Number<uint64_t>(44).Number(kVersion64).Number(kVersion64);
  out.Number<uint32_t>(0).Number<uint32_t>(0).Number(count).Number(count).Number(size).Number(end_);
  out.Text("PK\6\7").Number<uint32_t>(0).Number(end_ + size).Number<uint32_t>(1);
  out.Text("PK\5\6").Number<uint16_t>(0).Number<uint16_t>(0);
  out.Number<uint16_t>(0xFFFF).Number<uint16_t>(0xFFFF).Number(kIn64).Number(kIn64);
  out.Number<uint16_t>(0);
  file_->WriteAt(end_, out.bytes());
}

void PthSink::Commit() {
  for (size_t t = 0; t < tensors_.size(); ++t) entries_[t].crc = CrcOf(t);
  for (const Entry& entry : entries_) WriteLocalHeader(entry);
  WriteDirectory();
  file_->Commit();
  Validate();
  folder_.Commit();
}

// What was written is what a reader finds.
void PthSink::Validate() const {
  const auto written = Checkpoint::Open(folder_.temporary_path() / kFile);
  bool same = written->tensors().size() == tensors_.size();
  for (size_t t = 0; same && t < tensors_.size(); ++t) {
    const TensorInfo& got = written->tensors()[t];
    same = got.name == tensors_[t].name && got.shape == tensors_[t].shape &&
           got.type == tensors_[t].type;
  }
  if (!same) {
    Fail(ErrorKind::kOutput, "{}: what was written reads back as something else",
         folder_.path().string());
  }
}

}  // namespace quern
