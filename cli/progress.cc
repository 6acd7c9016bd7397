#include <fmt/format.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <mutex>
#include <string>

#include "cli/command.h"
#include "cli/say.h"

namespace quern::cli {
namespace {

// "[  42/ 200] blk.3.ffn_up.weight", the form of llama-quantize.
class LineProgress : public Progress {
 public:
  void Step(int64_t done, int64_t total, std::string_view what) override {
    std::lock_guard lock(mutex_);
    Say("[{:4d}/{:4d}] {}\n", done, total, what);
  }
  void Note(std::string_view text) override {
    std::lock_guard lock(mutex_);
    Say("note: {}\n", text);
  }

 private:
  std::mutex mutex_;
};

class BarProgress : public Progress {
 public:
  ~BarProgress() override {
    if (shown_) Say("\r\x1b[K");
  }
  void Step(int64_t done, int64_t total, std::string_view what) override {
    std::lock_guard lock(mutex_);
    constexpr int64_t kWidth = 30;
    const auto full = static_cast<size_t>(kWidth * done / std::max<int64_t>(total, 1));
    Say("\r\x1b[K{}{} {:4d}/{:4d} {:.40}", std::string(full, '#'), std::string(kWidth - full, '.'),
        done, total, what);
    std::fflush(stderr);
    shown_ = true;
  }
  void Note(std::string_view text) override {
    std::lock_guard lock(mutex_);
    Say("\r\x1b[Knote: {}\n", text);
  }

 private:
  std::mutex mutex_;
  bool shown_ = false;
};

class NotesOnly : public LineProgress {
 public:
  void Step(int64_t, int64_t, std::string_view) override {}
};

}  // namespace

std::unique_ptr<Progress> MakeProgress(bool quiet) {
  if (quiet) return std::make_unique<NotesOnly>();
  if (isatty(STDERR_FILENO)) return std::make_unique<BarProgress>();
  return std::make_unique<LineProgress>();
}

}  // namespace quern::cli
