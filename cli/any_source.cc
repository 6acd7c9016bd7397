#include "cli/any_source.h"

#include "convert/bnb_source.h"
#include "gguf/magic.h"

namespace quern::cli {
namespace {

// A file of that name is taken for one whatever it holds, so that a damaged one is told as such.
bool IsForGguf(const std::filesystem::path& path) {
  return path.extension() == ".gguf" || (std::filesystem::is_regular_file(path) && IsGguf(path));
}

}  // namespace

AnySource OpenAny(const std::filesystem::path& path) {
  if (!IsForGguf(path)) return {OpenWeights(path).tensors, nullptr};
  auto model = GgufModel::Open(path);
  return {model, model};
}

}  // namespace quern::cli
