#include <doctest/doctest.h>

#include <map>
#include <sstream>
#include <tuple>

#include "base/error.h"
#include "base/hash.h"
#include "base/parallel.h"
#include "base/progress.h"
#include "gguf/gguf_writer.h"
#include "quant/plan.h"
#include "tests/support/paths.h"
#include "tests/support/tiny_llama.h"

namespace quern {
namespace {

// "q4_K 5e8f..." of each tensor by its name; empty where the reference refuses.
using Tensors = std::map<std::string, std::string>;

struct Case {
  std::string file_type;
  bool pure, matrix;
  auto operator<=>(const Case&) const = default;
};

std::string Lower(std::string text) {
  for (char& c : text) c = static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return text;
}

std::map<Case, Tensors> Goldens() {
  std::istringstream lines(testing::ReadText(testing::Shared("goldens/quantize.csv")));
  std::map<Case, Tensors> goldens;
  std::string line;
  std::getline(lines, line);
  REQUIRE(line == "file_type,mode,imatrix,tensor,type,shape,xxh64");
  while (std::getline(lines, line)) {
    std::vector<std::string> fields;
    std::istringstream parts(line);
    for (std::string field; std::getline(parts, field, ',');) fields.push_back(field);
    const Case key{fields[0], fields[1] == "pure", fields[2] == "imatrix"};
    Tensors& tensors = goldens[key];
    if (fields[4] != "REFUSED") tensors[fields[3]] = Lower(fields[4]) + " " + fields[6];
  }
  return goldens;
}

// Hashes by tensor, type and whether there are importance weights: file types share most of them.
using Known = std::map<std::tuple<std::string, Type, bool>, std::string>;

// The tensors as quantized, or nothing where the plan is refused.
Tensors Quantized(const std::shared_ptr<GgufModel>& model, const Case& key, const Imatrix& matrix,
                  Known& known) {
  QuantizeOptions options;
  options.file_type = FileTypeFromName(key.file_type).value();
  options.recipe.pure = key.pure;
  QuantizePlan plan = PlanQuantize(*model, options, key.matrix ? &matrix : nullptr);
  try {
    CheckPlan(plan, options);
  } catch (const Error& error) {
    CHECK(error.kind() == ErrorKind::kUnsupported);
    return {};
  }
  std::vector<bool> weighted;
  for (const PlannedTensor& tensor : plan.tensors) weighted.push_back(!tensor.importance.empty());
  const auto source = SourceOf(model, plan);
  Tensors tensors;
  for (size_t t = 0; t < source->tensors().size(); ++t) {
    const TensorInfo& tensor = source->tensors()[t];
    std::string& hash = known[{tensor.name, tensor.type, weighted[t]}];
    if (hash.empty()) hash = HexOf(Xxh64::Of(source->ReadAll(t)));
    tensors[tensor.name] = Lower(std::string(NameOf(tensor.type))) + " " + hash;
  }
  return tensors;
}

TEST_CASE("quantized tensors have llama-quantize's bytes, for every file type and mode") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  QUERN_NEEDS_SHARED(matrix_path, "goldens/imatrix.gguf");
  QUERN_NEEDS_SHARED(golden_path, "goldens/quantize.csv");
  testing::TempDir dir;
  testing::WriteTinyLlama(dir / "tiny.gguf");
  const auto model = GgufModel::Open(dir / "tiny.gguf");
  const Imatrix matrix = ReadImatrix(matrix_path);
  size_t done = 0;
  Known known;
  const auto goldens = Goldens();
  for (const auto& entry : goldens) {
    const Case& key = entry.first;
    CAPTURE(key.file_type);
    CAPTURE(key.pure);
    CAPTURE(key.matrix);
    const Tensors tensors = Quantized(model, key, matrix, known);
    CHECK(tensors == entry.second);
    ++done;
  }
  CHECK(done == 140);
}

// The whole file of one type, made with so many threads.
std::string FileWith(const std::shared_ptr<GgufModel>& model, int threads,
                     const std::filesystem::path& path) {
  const ThreadLimit limit(threads);
  QuantizeOptions options;
  options.file_type = FileType::kQ4_K_M;
  QuantizePlan plan = PlanQuantize(*model, options, nullptr);
  const auto source = SourceOf(model, plan);
  GgufSink sink(path, plan.metadata, source->tensors(), Overwrite::kRefuse, plan.split);
  NoProgress quiet;
  Stream(*source, sink, quiet, [] { return 1 << 12; });
  sink.Commit();
  return testing::ReadText(path);
}

TEST_CASE("a file does not depend on the number of threads") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  testing::TempDir dir;
  testing::WriteTinyLlama(dir / "tiny.gguf");
  const auto model = GgufModel::Open(dir / "tiny.gguf");
  const std::string one = FileWith(model, 1, dir / "one.gguf");
  CHECK(one == FileWith(model, 7, dir / "seven.gguf"));
}

}  // namespace
}  // namespace quern
