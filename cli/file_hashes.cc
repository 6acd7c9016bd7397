#include "cli/file_hashes.h"

#include <algorithm>

#include "base/file.h"
#include "base/hash.h"

namespace quern::cli {
namespace {

constexpr uint64_t kPieceBytes = uint64_t{1} << 20;

FileHash HashOf(const std::filesystem::path& path, const std::atomic<bool>& stop) {
  const InputFile file(path);
  Xxh64 hash;
  std::vector<std::byte> piece;
  for (uint64_t at = 0; at < file.size() && !stop; at += piece.size()) {
    piece.resize(std::min(kPieceBytes, file.size() - at));
    file.ReadAt(at, piece);
    hash.Update(piece);
  }
  return {.path = path, .bytes = file.size(), .xxh64 = HexOf(hash.Digest())};
}

}  // namespace

FileHashes::FileHashes(std::vector<std::filesystem::path> paths)
    : paths_(std::move(paths)), work_(std::async(std::launch::async, [this] {
        std::vector<FileHash> hashes;
        for (const auto& path : paths_) hashes.push_back(HashOf(path, stop_));
        return hashes;
      })) {}

FileHashes::~FileHashes() {
  stop_ = true;
  if (work_.valid()) work_.wait();
}

const std::vector<FileHash>& FileHashes::Get() {
  if (work_.valid()) hashes_ = work_.get();
  return hashes_;
}

}  // namespace quern::cli
