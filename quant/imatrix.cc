#include "quant/imatrix.h"

#include <algorithm>
#include <cmath>
#include <cstring>

#include "base/cursor.h"
#include "base/error.h"
#include "base/file.h"
#include "gguf/gguf_reader.h"
#include "gguf/magic.h"

namespace quern {
namespace {

constexpr std::string_view kSumSuffix = ".in_sum2";
constexpr std::string_view kCountSuffix = ".counts";

bool HoldsAny(std::string_view name, std::span<const std::string> words) {
  return std::any_of(words.begin(), words.end(), [&](const std::string& word) {
    return name.find(word) != std::string_view::npos;
  });
}

// A mean square is a number and is not negative; the quantizers' searches rely on it.
void CheckWeights(const std::string& file, const std::string& tensor,
                  std::span<const float> weights) {
  for (size_t i = 0; i < weights.size(); ++i) {
    if (!std::isfinite(weights[i])) {
      Fail(ErrorKind::kNonFinite, "{}: the importance of '{}' is {} at index {}", file, tensor,
           weights[i], i);
    }
    if (weights[i] < 0) {
      Fail(ErrorKind::kBadInput, "{}: the importance of '{}' is {} at index {}, below zero", file,
           tensor, weights[i], i);
    }
  }
}

std::vector<float> Floats(const GgufModel& model, size_t index) {
  const TensorInfo& tensor = model.tensors()[index];
  if (tensor.type != Type::kF32) {
    Fail(ErrorKind::kBadInput, "{}: tensor '{}' should be f32, it is {}", model.name(), tensor.name,
         NameOf(tensor.type));
  }
  std::vector<float> values(static_cast<size_t>(tensor.elements()));
  model.ReadRows(index, 0, tensor.rows(), std::as_writable_bytes(std::span(values)));
  return values;
}

// sum / count per slice; where nothing was counted every column counts alike.
std::vector<float> Means(std::vector<float> sums, const std::vector<float>& counts,
                         const GgufModel& model, const std::string& name) {
  if (sums.empty() || counts.empty() || sums.size() % counts.size() != 0) {
    Fail(ErrorKind::kBadInput, "{}: '{}' has {} sums and {} counts, the first should be a multiple",
         model.name(), name, sums.size(), counts.size());
  }
  const size_t cols = sums.size() / counts.size();
  for (size_t slice = 0; slice < counts.size(); ++slice) {
    if (!std::isfinite(counts[slice]) || std::abs(counts[slice]) > 1e15F) {
      Fail(ErrorKind::kBadInput, "{}: '{}' has a count of {}", model.name(), name, counts[slice]);
    }
    const auto count = static_cast<float>(std::lround(counts[slice]));
    for (size_t i = slice * cols; i < (slice + 1) * cols; ++i) {
      sums[i] = count > 0 ? sums[i] / count : 1.0F;
    }
  }
  return sums;
}

Imatrix ReadGguf(const std::filesystem::path& path) {
  const auto model = GgufModel::Open(path);
  const Metadata& metadata = model->metadata();
  Imatrix matrix{.name = path.string(), .datasets = {}, .chunks = 0, .weights = {}};
  const Array& datasets = metadata.NeedArray("imatrix.datasets");
  matrix.datasets = datasets.strings();
  matrix.chunks = metadata.NeedInt("imatrix.chunk_count");
  metadata.NeedInt("imatrix.chunk_size");
  for (size_t t = 0; t < model->tensors().size(); ++t) {
    std::string name = model->tensors()[t].name;
    const bool is_sum = name.ends_with(kSumSuffix);
    if (!is_sum && !name.ends_with(kCountSuffix)) continue;
    name.resize(name.size() - (is_sum ? kSumSuffix : kCountSuffix).size());
    const auto other = model->Find(name + std::string(is_sum ? kCountSuffix : kSumSuffix));
    if (!other) {
      Fail(ErrorKind::kBadInput, "{}: '{}' has {} and no {}", model->name(), name,
           is_sum ? "sums" : "counts", is_sum ? "counts" : "sums");
    }
    if (is_sum) {
      matrix.weights[name] = Means(Floats(*model, t), Floats(*model, *other), *model, name);
    }
  }
  return matrix;
}

}  // namespace

void Imatrix::Include(std::span<const std::string> words) {
  std::erase_if(weights, [&](const auto& entry) { return !HoldsAny(entry.first, words); });
}

void Imatrix::Exclude(std::span<const std::string> words) {
  std::erase_if(weights, [&](const auto& entry) { return HoldsAny(entry.first, words); });
}

// llama.cpp's first form: i32 entries; for each i32 length, name, i32 calls, i32 values, f32 sums
// of means over the calls; then, perhaps, i32 chunks, i32 length and the data set's name.
Imatrix ParseDatImatrix(std::span<const std::byte> bytes, const std::string& name) {
  Cursor in(bytes, name);
  Imatrix matrix{.name = name, .datasets = {}, .chunks = 0, .weights = {}};
  const auto length = [&](std::string_view what) {
    const auto value = in.Read<int32_t>(what);
    if (value < 0) Fail(ErrorKind::kBadInput, "{}: {} is {}", in.name(), what, value);
    return static_cast<uint64_t>(value);
  };
  const uint64_t entries = length("the number of entries");
  for (uint64_t e = 0; e < entries; ++e) {
    const std::string text(in.Text(length("a name's length"), "a name"));
    const std::string tensor = text.substr(0, text.find('\0'));
    const auto calls = in.Read<int32_t>("the number of calls");
    const uint64_t count = length("the number of values");
    const auto raw = in.Bytes(count * sizeof(float), "the values");
    std::vector<float> values(count);
    if (count > 0) std::memcpy(values.data(), raw.data(), raw.size());
    if (calls > 0) {
      for (float& value : values) value /= static_cast<float>(calls);
    }
    if (count == 0 || !matrix.weights.try_emplace(tensor, std::move(values)).second) {
      Fail(ErrorKind::kBadInput, "{}: '{}' {}", in.name(), tensor,
           count == 0 ? "has no values" : "stands there twice");
    }
  }
  if (in.remaining() >= sizeof(int32_t)) matrix.chunks = in.Read<int32_t>("the number of chunks");
  if (in.remaining() > 0) {
    matrix.datasets.emplace_back(in.Text(length("the data set's length"), "the data set"));
  }
  return matrix;
}

Imatrix ReadImatrix(const std::filesystem::path& path) {
  Imatrix matrix =
      IsGguf(path) ? ReadGguf(path) : ParseDatImatrix(MappedFile(path).bytes(), path.string());
  if (matrix.weights.empty()) {
    Fail(ErrorKind::kBadInput, "{}: holds no importance matrix", matrix.name);
  }
  for (const auto& [name, weights] : matrix.weights) CheckWeights(matrix.name, name, weights);
  return matrix;
}

}  // namespace quern
