#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace quern {

// A beginning and the ways in which it may go on, of which some are right.
struct ChoiceTask {
  // Whole texts, one per choice.
  std::vector<std::string> texts;
  // Winogrande: the texts' beginnings up to and with the word that differs; otherwise none.
  std::vector<std::string> heads;
  std::vector<bool> right;  // by choice
};

// The data files of llama-perplexity. `name` is the file's, for errors, which are kBadInput.

// --hellaswag: six lines per task: the context, the number of the right ending from 0, and the
// four endings. Of `count` tasks that are asked for, those that the reference draws; 0: all, in
// the file's order.
std::vector<ChoiceTask> ParseHellaswag(std::string_view text, int64_t count,
                                       const std::string& name);

// --winogrande: lines of number, sentence with a "_", first choice, second choice, 1 or 2; the
// sentence may stand in quotes. `count` as the reference draws them; 0: all.
std::vector<ChoiceTask> ParseWinogrande(std::string_view text, int64_t count,
                                        const std::string& name);

// --multiple-choice: little-endian: u32 tasks, the u32 offset of each, then for each the question
// and twice (one right answer, several right answers) u32 answers, their texts, an i32 each that
// is 1 for a right one; a text is its u32 length and its bytes. The first set of answers counts.
std::vector<ChoiceTask> ParseMultipleChoice(std::span<const std::byte> bytes, int64_t count,
                                            const std::string& name);

}  // namespace quern
