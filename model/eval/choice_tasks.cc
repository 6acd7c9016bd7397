#include "model/eval/choice_tasks.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <numeric>
#include <random>

#include "base/cursor.h"
#include "base/error.h"

namespace quern {
namespace {

constexpr size_t kHellaswagLines = 6;
constexpr uint32_t kMaxAnswers = 100;  // as the reference has it
constexpr uint32_t kMaxTasks = 1 << 24;

std::vector<std::string_view> Lines(std::string_view text) {
  std::vector<std::string_view> lines;
  while (!text.empty()) {
    const size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    lines.push_back(line);
    if (end == std::string_view::npos) break;
    text.remove_prefix(end + 1);
  }
  return lines;
}

int64_t ParseIndex(std::string_view text, int64_t least, int64_t most, const std::string& name,
                   size_t line) {
  while (text.starts_with(' ')) text.remove_prefix(1);
  while (text.ends_with(' ')) text.remove_suffix(1);
  int64_t value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size() || value < least || value > most) {
    Fail(ErrorKind::kBadInput, "{}: line {} says '{}', wanted a number from {} to {}", name,
         line + 1, text.substr(0, 20), least, most);
  }
  return value;
}

bool Draws(int64_t count, size_t of) { return count > 0 && static_cast<size_t>(count) < of; }

// Indices of tasks, as hellaswag draws them: one of those that are left, whose order is kept.
std::vector<size_t> DrawInOrder(int64_t count, size_t of) {
  std::vector<size_t> left(of), drawn;
  std::iota(left.begin(), left.end(), size_t{0});
  std::mt19937 random(1);
  for (int64_t i = 0; i < count; ++i) {
    const size_t at = std::uniform_int_distribution<size_t>(0, left.size() - 1)(random);
    drawn.push_back(left[at]);
    left.erase(left.begin() + static_cast<std::ptrdiff_t>(at));
  }
  return drawn;
}

// As winogrande and multiple-choice draw them: the last of those left takes the place of the drawn.
std::vector<size_t> DrawSwapping(int64_t count, size_t of) {
  std::vector<size_t> left(of), drawn;
  std::iota(left.begin(), left.end(), size_t{0});
  std::mt19937 random(1);
  constexpr float kScale = 1.0F / 4294967296.0F;
  for (int64_t i = 0; i < count; ++i) {
    const float place = kScale * static_cast<float>(random()) * static_cast<float>(left.size());
    const size_t at = std::min(static_cast<size_t>(place), left.size() - 1);
    drawn.push_back(left[at]);
    left[at] = left.back();
    left.pop_back();
  }
  return drawn;
}

std::vector<ChoiceTask> Pick(std::vector<ChoiceTask> tasks, const std::vector<size_t>& indices) {
  std::vector<ChoiceTask> picked;
  for (const size_t i : indices) picked.push_back(std::move(tasks[i]));
  return picked;
}

ChoiceTask ParseWinograndeLine(std::string_view line, const std::string& name, size_t number) {
  std::array<size_t, 4> commas{};
  size_t found = 0;
  bool quoted = false;
  for (size_t i = 0; i < line.size() && found < commas.size(); ++i) {
    if (line[i] == '"') quoted = !quoted;
    if (line[i] == ',' && !quoted) commas[found++] = i;
  }
  if (found < commas.size()) {
    Fail(ErrorKind::kBadInput, "{}: line {} has {} commas, wanted 4", name, number + 1, found);
  }
  const auto field = [&](size_t i) {
    return std::string(line.substr(commas[i] + 1, commas[i + 1] - commas[i] - 1));
  };
  std::string sentence = field(0);
  if (sentence.size() >= 2 && sentence.front() == '"') {
    sentence = sentence.substr(1, sentence.size() - 2);
  }
  const size_t gap = sentence.find('_');
  if (gap == std::string::npos) {
    Fail(ErrorKind::kBadInput, "{}: line {} has no '_' in its sentence", name, number + 1);
  }
  const int64_t right = ParseIndex(line.substr(commas[3] + 1), 1, 2, name, number);
  ChoiceTask task;
  for (const size_t choice : {1, 2}) {
    task.heads.push_back(sentence.substr(0, gap) + field(choice));
    task.texts.push_back(task.heads.back() + sentence.substr(gap + 1));
    task.right.push_back(right == static_cast<int64_t>(choice));
  }
  return task;
}

struct Answers {
  std::vector<std::string> texts;
  std::vector<bool> right;
};

std::string ReadText(Cursor& in, const char* what) {
  const auto length = in.Read<uint32_t>(what);
  return std::string(in.Text(length, what));
}

Answers ReadAnswers(Cursor& in) {
  const auto count = in.Read<uint32_t>("the number of answers");
  if (count > kMaxAnswers) {
    Fail(ErrorKind::kBadInput, "{}: a question has {} answers, at most {} are read", in.name(),
         count, kMaxAnswers);
  }
  Answers answers;
  for (uint32_t i = 0; i < count; ++i) answers.texts.push_back(ReadText(in, "an answer"));
  for (uint32_t i = 0; i < count; ++i) answers.right.push_back(in.Read<int32_t>("a label") == 1);
  return answers;
}

ChoiceTask ReadTask(Cursor& in) {
  const std::string question = ReadText(in, "a question");
  Answers answers = ReadAnswers(in);
  ReadAnswers(in);  // those with several right ones
  const bool whole = !question.empty() && !answers.texts.empty() &&
                     std::none_of(answers.texts.begin(), answers.texts.end(),
                                  [](const std::string& text) { return text.empty(); });
  if (!whole) {
    Fail(ErrorKind::kBadInput, "{}: before byte {} a question or an answer is empty", in.name(),
         in.position());
  }
  ChoiceTask task;
  for (const std::string& answer : answers.texts) task.texts.push_back(question + " " + answer);
  task.right = std::move(answers.right);
  return task;
}

}  // namespace

std::vector<ChoiceTask> ParseHellaswag(std::string_view text, int64_t count,
                                       const std::string& name) {
  const auto lines = Lines(text);
  if (lines.empty() || lines.size() % kHellaswagLines != 0) {
    Fail(ErrorKind::kBadInput, "{}: has {} lines, wanted six per task", name, lines.size());
  }
  std::vector<ChoiceTask> tasks;
  for (size_t at = 0; at < lines.size(); at += kHellaswagLines) {
    const int64_t right = ParseIndex(lines[at + 1], 0, 3, name, at + 1);
    ChoiceTask task;
    for (int64_t i = 0; i < 4; ++i) {
      task.texts.push_back(fmt::format("{} {}", lines[at], lines[at + 2 + static_cast<size_t>(i)]));
      task.right.push_back(i == right);
    }
    tasks.push_back(std::move(task));
  }
  if (!Draws(count, tasks.size())) return tasks;
  return Pick(std::move(tasks), DrawInOrder(count, lines.size() / kHellaswagLines));
}

std::vector<ChoiceTask> ParseWinogrande(std::string_view text, int64_t count,
                                        const std::string& name) {
  std::vector<ChoiceTask> tasks;
  const auto lines = Lines(text);
  for (size_t i = 0; i < lines.size(); ++i) {
    if (!lines[i].empty()) tasks.push_back(ParseWinograndeLine(lines[i], name, i));
  }
  if (tasks.empty()) Fail(ErrorKind::kBadInput, "{}: has no tasks", name);
  if (!Draws(count, tasks.size())) return tasks;
  const auto drawn = DrawSwapping(count, tasks.size());
  return Pick(std::move(tasks), drawn);
}

std::vector<ChoiceTask> ParseMultipleChoice(std::span<const std::byte> bytes, int64_t count,
                                            const std::string& name) {
  Cursor in(bytes, name);
  const auto total = in.Read<uint32_t>("the number of tasks");
  if (total == 0 || total > kMaxTasks) {
    Fail(ErrorKind::kBadInput, "{}: has {} tasks, wanted 1 to {}", name, total, kMaxTasks);
  }
  Cursor places(in.Bytes(uint64_t{total} * sizeof(uint32_t), "the tasks' places"), name);
  std::vector<ChoiceTask> tasks;
  if (!Draws(count, total)) {
    for (uint32_t i = 0; i < total; ++i) tasks.push_back(ReadTask(in));
    return tasks;
  }
  std::vector<uint32_t> offsets;
  for (uint32_t i = 0; i < total; ++i) offsets.push_back(places.Read<uint32_t>("a task's place"));
  for (const size_t i : DrawSwapping(count, total)) {
    Cursor task(bytes, name);
    task.Bytes(offsets[i], "what stands before a task");
    tasks.push_back(ReadTask(task));
  }
  return tasks;
}

}  // namespace quern
