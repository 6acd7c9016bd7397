#include "cli/any_source.h"

#include <array>
#include <cstring>

#include "base/file.h"
#include "convert/bnb_source.h"

namespace quern::cli {
namespace {

constexpr std::string_view kMagic = "GGUF";

// A file of that name is taken for one whatever it holds, so that a damaged one is told as such.
bool IsGguf(const std::filesystem::path& path) {
  if (path.extension() == ".gguf") return true;
  if (!std::filesystem::is_regular_file(path)) return false;
  const InputFile file(path);
  std::array<std::byte, kMagic.size()> begin;
  if (file.size() < begin.size()) return false;
  file.ReadAt(0, begin);
  return std::memcmp(begin.data(), kMagic.data(), begin.size()) == 0;
}

}  // namespace

AnySource OpenAny(const std::filesystem::path& path) {
  if (!IsGguf(path)) return {DecodeWeights(Checkpoint::Open(path)).tensors, nullptr};
  auto model = GgufModel::Open(path);
  return {model, model};
}

}  // namespace quern::cli
