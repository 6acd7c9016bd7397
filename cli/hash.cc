#include "base/hash.h"

#include <fmt/format.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/cancel.h"
#include "cli/any_source.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/json_output.h"

namespace quern::cli {
namespace {

constexpr int64_t kPieceBytes = int64_t{1} << 22;

struct Options {
  std::string file;
  bool json = false;
};

// Hashes a tensor's bytes as they are stored, and goes on with them in `whole`.
uint64_t HashTensor(const TensorSource& source, size_t index, Xxh64& whole) {
  const TensorInfo& tensor = source.tensors()[index];
  const int64_t step = std::max<int64_t>(kPieceBytes / std::max<int64_t>(tensor.row_bytes(), 1), 1);
  Xxh64 own;
  std::vector<std::byte> piece;
  for (int64_t row = 0; row < tensor.rows(); row += step) {
    ThrowIfCancelled();
    const int64_t count = std::min(step, tensor.rows() - row);
    piece.resize(static_cast<size_t>(count * tensor.row_bytes()));
    source.ReadRows(index, row, count, piece);
    own.Update(piece);
    whole.Update(piece);
  }
  return own.Digest();
}

int Run(const Options& options) {
  const AnySource any = OpenAny(options.file);
  const auto& tensors = any.source->tensors();
  nlohmann::ordered_json out;
  out["file"] = options.file;
  out["tensors"] = nlohmann::json::array();
  Xxh64 whole;
  for (size_t t = 0; t < tensors.size(); ++t) {
    const std::string hash = HexOf(HashTensor(*any.source, t, whole));
    if (options.json) {
      out["tensors"].push_back({{"name", tensors[t].name},
                                {"type", NameOf(tensors[t].type)},
                                {"shape", tensors[t].shape},
                                {"xxh64", hash}});
    } else {
      fmt::print("xxh64  {}  {}:{}\n", hash, options.file, tensors[t].name);
    }
  }
  out["xxh64"] = HexOf(whole.Digest());
  if (options.json) {
    WriteJson(out);
  } else {
    fmt::print("xxh64  {}  {}\n", HexOf(whole.Digest()), options.file);
  }
  return 0;
}

}  // namespace

std::function<int()> DefineHash(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("MODEL", options->file, "A GGUF file or its first split, or a HF folder or file")
      .Required();
  arguments.Flag("--json", options->json, "The hashes as JSON");
  arguments.Footer(
      "The last hash is of all tensors' bytes one after the other, as llama-gguf-hash takes it:\n"
      "keys and splits do not change it.\n"
      "Example:\n  quern hash model-q4_k_m.gguf");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
