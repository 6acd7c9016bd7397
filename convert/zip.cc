#include "convert/zip.h"

#include <algorithm>
#include <optional>
#include <span>
#include <utility>
#include <vector>

#include "base/cursor.h"
#include "base/error.h"

// The layout: PKWARE, APPNOTE.TXT 6.3.10, sections 4.3.7 (local header), 4.3.12 (central
// directory), 4.3.14 to 4.3.16 (its ends), 4.5.3 (zip64 extra field).
namespace quern {
namespace {

constexpr uint32_t kLocalMagic = 0x04034b50, kCentralMagic = 0x02014b50, kEndMagic = 0x06054b50,
                   kEnd64Magic = 0x06064b50, kLocator64Magic = 0x07064b50;
constexpr uint64_t kEndSize = 22, kLocator64Size = 20, kEnd64Size = 56, kLocalSize = 30;
constexpr uint64_t kMaxComment = 65535;
constexpr uint64_t kMaxDirectory = uint64_t{1} << 26;
constexpr uint32_t kIn64 = 0xFFFFFFFF;  // "the zip64 field has the number"

struct Directory {
  uint64_t offset, size, entries;
};

struct CentralEntry {
  std::string name;
  uint64_t local = 0, packed = 0, size = 0;
  uint32_t crc = 0;
  uint16_t flags = 0, method = 0;
};

std::string ReadPart(const InputFile& file, uint64_t offset, uint64_t size) {
  std::string bytes(size, '\0');
  file.ReadAt(offset, std::as_writable_bytes(std::span(bytes)));
  return bytes;
}

Cursor CursorOf(const std::string& bytes, const InputFile& file) {
  return Cursor(std::as_bytes(std::span(bytes)), file.name());
}

// Where the record "end of central directory" begins: its comment ends the file.
uint64_t FindEnd(const InputFile& file) {
  const uint64_t tail = std::min<uint64_t>(file.size(), kEndSize + kMaxComment);
  const std::string bytes = ReadPart(file, file.size() - tail, tail);
  for (uint64_t left = kEndSize; left <= tail; ++left) {
    Cursor in = CursorOf(bytes, file);
    in.Bytes(tail - left, "the end of the file");
    if (in.Read<uint32_t>("a magic") != kEndMagic) continue;
    in.Bytes(kEndSize - 6, "the end of the directory");
    if (in.Read<uint16_t>("the comment's length") == left - kEndSize) return file.size() - left;
  }
  Fail(ErrorKind::kBadInput, "{}: has no zip directory at its end (is it truncated?)", file.name());
}

std::optional<Directory> FindDirectory64(const InputFile& file, uint64_t end) {
  if (end < kLocator64Size) return std::nullopt;
  const std::string locator = ReadPart(file, end - kLocator64Size, kLocator64Size);
  Cursor in = CursorOf(locator, file);
  if (in.Read<uint32_t>("a magic") != kLocator64Magic) return std::nullopt;
  in.Read<uint32_t>("a disk");
  const auto offset = in.Read<uint64_t>("the offset of the zip64 end");
  const std::string end64 = ReadPart(file, offset, kEnd64Size);
  Cursor record = CursorOf(end64, file);
  if (record.Read<uint32_t>("a magic") != kEnd64Magic) {
    Fail(ErrorKind::kBadInput, "{}: has no zip64 directory end at byte {}", file.name(), offset);
  }
  record.Bytes(28, "the zip64 end");
  const auto entries = record.Read<uint64_t>("the number of entries");
  const auto size = record.Read<uint64_t>("the directory's size");
  return Directory{record.Read<uint64_t>("the directory's offset"), size, entries};
}

Directory FindDirectory(const InputFile& file) {
  const uint64_t end = FindEnd(file);
  auto directory = FindDirectory64(file, end);
  if (!directory) {
    const std::string record = ReadPart(file, end, kEndSize);
    Cursor in = CursorOf(record, file);
    in.Bytes(10, "the end of the directory");
    const auto entries = in.Read<uint16_t>("the number of entries");
    const auto size = in.Read<uint32_t>("the directory's size");
    directory = {in.Read<uint32_t>("the directory's offset"), size, entries};
  }
  if (directory->offset > end || directory->size > end - directory->offset) {
    Fail(ErrorKind::kBadInput, "{}: the zip directory is {} bytes at {}, it should end before {}",
         file.name(), directory->size, directory->offset, end);
  }
  if (directory->size > kMaxDirectory) {
    Fail(ErrorKind::kBadInput, "{}: the zip directory has {} bytes, at most {} are expected",
         file.name(), directory->size, kMaxDirectory);
  }
  return *directory;
}

// Takes from the extra fields the numbers that did not fit 32 bits, in their fixed order.
void ReadExtra64(Cursor extra, CentralEntry& entry) {
  while (extra.remaining() >= 4) {
    const auto id = extra.Read<uint16_t>("an extra field");
    const auto length = extra.Read<uint16_t>("an extra field's length");
    const auto bytes = extra.Bytes(length, "an extra field");
    if (id != 1) continue;
    Cursor field(bytes, extra.name());
    for (uint64_t* number : {&entry.size, &entry.packed, &entry.local}) {
      if (*number == kIn64) *number = field.Read<uint64_t>("a zip64 field");
    }
    return;
  }
}

CentralEntry ReadCentral(Cursor& in) {
  if (in.Read<uint32_t>("a zip entry") != kCentralMagic) {
    Fail(ErrorKind::kBadInput, "{}: the zip directory is broken at its byte {}", in.name(),
         in.position() - 4);
  }
  CentralEntry entry;
  in.Bytes(4, "a zip entry");
  entry.flags = in.Read<uint16_t>("a zip entry");
  entry.method = in.Read<uint16_t>("a zip entry");
  in.Bytes(4, "a zip entry");
  entry.crc = in.Read<uint32_t>("a zip entry");
  entry.packed = in.Read<uint32_t>("a zip entry");
  entry.size = in.Read<uint32_t>("a zip entry");
  const auto name_length = in.Read<uint16_t>("a zip entry");
  const auto extra_length = in.Read<uint16_t>("a zip entry");
  const auto comment_length = in.Read<uint16_t>("a zip entry");
  in.Bytes(8, "a zip entry");
  entry.local = in.Read<uint32_t>("a zip entry");
  entry.name = in.Text(name_length, "a zip entry's name");
  ReadExtra64(Cursor(in.Bytes(extra_length, "a zip entry's extra fields"), in.name()), entry);
  in.Bytes(comment_length, "a zip entry's comment");
  return entry;
}

// The entry's bytes begin after its local header, whose name must be the directory's.
ZipEntry Locate(const InputFile& file, const CentralEntry& entry) {
  if ((entry.flags & 1) != 0 || entry.method != 0 || entry.packed != entry.size) {
    Fail(ErrorKind::kUnsupported, "{}: zip entry '{}' is compressed or encrypted", file.name(),
         entry.name);
  }
  if (entry.local > file.size() || file.size() - entry.local < kLocalSize) {
    Fail(ErrorKind::kBadInput, "{}: zip entry '{}' begins at byte {}, the file has {}", file.name(),
         entry.name, entry.local, file.size());
  }
  const std::string header = ReadPart(file, entry.local, kLocalSize);
  Cursor in = CursorOf(header, file);
  if (in.Read<uint32_t>("a zip entry") != kLocalMagic) {
    Fail(ErrorKind::kBadInput, "{}: there is no zip entry '{}' at byte {}", file.name(), entry.name,
         entry.local);
  }
  in.Bytes(22, "a zip entry");
  const auto name_length = in.Read<uint16_t>("a zip entry");
  const auto extra_length = in.Read<uint16_t>("a zip entry");
  if (name_length != entry.name.size() ||
      ReadPart(file, entry.local + kLocalSize, name_length) != entry.name) {
    Fail(ErrorKind::kBadInput, "{}: zip entry '{}' has another name at byte {}", file.name(),
         entry.name, entry.local);
  }
  const uint64_t offset = entry.local + kLocalSize + name_length + extra_length;
  if (offset > file.size() || entry.size > file.size() - offset) {
    Fail(ErrorKind::kBadInput, "{}: zip entry '{}' is {} bytes at {}, the file has {}", file.name(),
         entry.name, entry.size, offset, file.size());
  }
  return {offset, entry.size, entry.crc};
}

void CheckApart(const std::map<std::string, ZipEntry>& entries, const std::string& file) {
  std::vector<std::pair<uint64_t, uint64_t>> parts;
  for (const auto& [name, entry] : entries) parts.push_back({entry.offset, entry.size});
  std::sort(parts.begin(), parts.end());
  for (size_t i = 1; i < parts.size(); ++i) {
    if (parts[i - 1].first + parts[i - 1].second > parts[i].first) {
      Fail(ErrorKind::kBadInput, "{}: two zip entries share byte {}", file, parts[i].first);
    }
  }
}

}  // namespace

std::map<std::string, ZipEntry> ReadZip(const InputFile& file) {
  const Directory directory = FindDirectory(file);
  const std::string bytes = ReadPart(file, directory.offset, directory.size);
  Cursor in = CursorOf(bytes, file);
  std::map<std::string, ZipEntry> entries;
  for (uint64_t i = 0; i < directory.entries; ++i) {
    const CentralEntry entry = ReadCentral(in);
    if (!entries.try_emplace(entry.name, Locate(file, entry)).second) {
      Fail(ErrorKind::kBadInput, "{}: zip entry '{}' stands twice", file.name(), entry.name);
    }
  }
  if (in.remaining() != 0) {
    Fail(ErrorKind::kBadInput, "{}: {} bytes are left in the zip directory", file.name(),
         in.remaining());
  }
  CheckApart(entries, file.name());
  return entries;
}

}  // namespace quern
