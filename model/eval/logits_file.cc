#include "model/eval/logits_file.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>

#include "base/cursor.h"
#include "base/error.h"
#include "base/parallel.h"
#include "kernels/ops/log_sum_exp.h"

namespace quern {
namespace {

constexpr char kMagic[] = {'_', 'l', 'o', 'g', 'i', 't', 's', '_'};
constexpr uint64_t kHeaderBytes = sizeof(kMagic) + 3 * sizeof(int32_t);
constexpr size_t kRowHead = 2 * sizeof(float);
constexpr float kDepth = 16;  // below the best logit, where codes end
constexpr float kMaxCode = 65535;
// Beyond these no real evaluation goes; they keep the products of what a file says in range.
constexpr int64_t kMaxContext = 1 << 24, kMaxVocab = 1 << 24, kMaxChunks = 1 << 24;

uint64_t RowBytesOf(int64_t vocab) {
  return kRowHead + static_cast<uint64_t>((vocab + 1) / 2 * 2) * sizeof(uint16_t);
}

int64_t CheckedCount(Cursor& in, const char* what, int64_t least, int64_t most) {
  const auto value = in.Read<int32_t>(what);
  if (value < least || value > most) {
    Fail(ErrorKind::kBadInput, "{}: {} is {}, wanted {} to {}", in.name(), what, value, least,
         most);
  }
  return value;
}

void EncodeRow(const float* logits, int64_t vocab, std::byte* out) {
  const auto [low, high] = std::minmax_element(logits, logits + vocab);
  const float lowest = std::max(*low, *high - kDepth);
  const float scale = (*high - lowest) / kMaxCode;
  const auto norm = static_cast<float>(LogSumExp(logits, vocab));
  const float head[] = {scale, lowest - norm};
  std::memcpy(out, head, kRowHead);
  std::byte* codes = out + kRowHead;
  std::memset(codes, 0, RowBytesOf(vocab) - kRowHead);
  if (!(scale > 0)) return;
  const float inverse = 1.0F / scale;
  for (int64_t i = 0; i < vocab; ++i) {
    if (!(logits[i] > lowest)) continue;
    const auto code =
        static_cast<uint16_t>(std::min(std::nearbyintf(inverse * (logits[i] - lowest)), kMaxCode));
    std::memcpy(codes + i * static_cast<int64_t>(sizeof code), &code, sizeof code);
  }
}

}  // namespace

bool LogitsFile::Is(const std::filesystem::path& path) {
  std::ifstream in(path, std::ios::binary);
  char magic[sizeof kMagic];
  return in.read(magic, sizeof magic) && std::memcmp(magic, kMagic, sizeof magic) == 0;
}

LogitsFile::LogitsFile(const std::filesystem::path& path) : input_(path) {
  std::vector<std::byte> head(std::min(kHeaderBytes, input_.size()));
  input_.ReadAt(0, head);
  Cursor in(head, input_.name());
  if (in.Text(sizeof kMagic, "the magic") != std::string_view(kMagic, sizeof kMagic)) {
    Fail(ErrorKind::kBadInput, "{}: is no file of logits", input_.name());
  }
  plan_.context = CheckedCount(in, "the number of tokens per chunk", 4, kMaxContext);
  vocab_ = CheckedCount(in, "the size of the vocabulary", 1, kMaxVocab);
  plan_.count = CheckedCount(in, "the number of chunks", 1, kMaxChunks);
  plan_.step = plan_.context;
  plan_.first_scored = plan_.context / 2;
  const auto tokens = static_cast<uint64_t>(plan_.count * plan_.context);
  const auto rows = static_cast<uint64_t>(plan_.count * plan_.scored());
  data_start_ = kHeaderBytes + tokens * sizeof(TokenId);
  const uint64_t needed = CheckedAdd(
      data_start_, CheckedMul(rows, RowBytesOf(vocab_), input_.name(), "the size of all logits"),
      input_.name(), "the size of the file");
  if (input_.size() < needed) {
    Fail(ErrorKind::kBadInput,
         "{}: {} chunks of {} tokens with a vocabulary of {} need {} bytes, the file has {}",
         input_.name(), plan_.count, plan_.context, vocab_, needed, input_.size());
  }
  tokens_.resize(tokens);
  input_.ReadAt(kHeaderBytes, std::as_writable_bytes(std::span(tokens_)));
}

void LogitsFile::ReadLogProbs(int64_t row, int64_t count, float* out) const {
  QUERN_CHECK(row >= 0 && row + count <= plan_.count * plan_.scored());
  const uint64_t row_bytes = RowBytesOf(vocab_);
  std::vector<std::byte> bytes(static_cast<size_t>(count) * row_bytes);
  input_.ReadAt(data_start_ + static_cast<uint64_t>(row) * row_bytes, bytes);
  ParallelFor(count, 4, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      const std::byte* from = bytes.data() + static_cast<uint64_t>(r) * row_bytes;
      float head[2];
      std::memcpy(head, from, kRowHead);
      const auto [scale, lowest] = head;
      if (!std::isfinite(scale) || !std::isfinite(lowest)) {
        Fail(ErrorKind::kBadInput, "{}: row {} has the scale {} and the lowest value {}",
             input_.name(), row + r, scale, lowest);
      }
      for (int64_t i = 0; i < vocab_; ++i) {
        uint16_t code;
        std::memcpy(&code, from + kRowHead + static_cast<size_t>(i) * sizeof code, sizeof code);
        out[r * vocab_ + i] = scale * static_cast<float>(code) + lowest;
      }
    }
  });
}

LogitsFileWriter::LogitsFileWriter(const std::filesystem::path& path, Overwrite overwrite,
                                   std::span<const TokenId> tokens, const ChunkPlan& plan,
                                   int64_t vocab)
    : output_(path, overwrite), vocab_(vocab), rows_left_(plan.count * plan.scored()) {
  if (plan.overlaps() || plan.first_scored != plan.context / 2) {
    Fail(ErrorKind::kUnsupported, "{}: a file of logits holds chunks that do not overlap",
         path.string());
  }
  const auto written = tokens.first(static_cast<size_t>(plan.count * plan.context));
  output_.Reserve(kHeaderBytes + written.size_bytes() +
                  static_cast<uint64_t>(rows_left_) * RowBytesOf(vocab));
  const int32_t counts[] = {static_cast<int32_t>(plan.context), static_cast<int32_t>(vocab),
                            static_cast<int32_t>(plan.count)};
  output_.WriteAt(0, std::as_bytes(std::span(kMagic)));
  output_.WriteAt(sizeof kMagic, std::as_bytes(std::span(counts)));
  output_.WriteAt(kHeaderBytes, std::as_bytes(written));
  end_ = kHeaderBytes + written.size_bytes();
}

void LogitsFileWriter::Add(const float* logits, int64_t count) {
  QUERN_CHECK(count <= rows_left_);
  const uint64_t row_bytes = RowBytesOf(vocab_);
  rows_.resize(static_cast<size_t>(count) * row_bytes);
  ParallelFor(count, 4, [&](int64_t begin, int64_t end) {
    for (int64_t r = begin; r < end; ++r) {
      EncodeRow(logits + r * vocab_, vocab_, rows_.data() + static_cast<uint64_t>(r) * row_bytes);
    }
  });
  output_.WriteAt(end_, rows_);
  end_ += rows_.size();
  rows_left_ -= count;
}

void LogitsFileWriter::Commit() {
  QUERN_CHECK(rows_left_ == 0);
  output_.Commit();
}

}  // namespace quern
