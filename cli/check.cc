#include <fmt/format.h>

#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/any_source.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "gguf/keys.h"
#include "quant/non_finite.h"

namespace quern::cli {
namespace {

struct Options {
  std::string file;
  bool json = false, quiet = false;
};

// What a loader takes for granted of the vocabulary and header does not say itself.
void CheckVocabulary(const GgufModel& model) {
  const Metadata& keys = model.metadata();
  const Array* tokens = keys.FindArray(keys::kTokens);
  if (!tokens) return;
  const size_t size = tokens->size();
  for (const auto key : {keys::kScores, keys::kTokenTypes}) {
    const Array* array = keys.FindArray(key);
    if (array && array->size() != size) {
      Fail(ErrorKind::kBadInput, "{}: key '{}' has {} elements, the vocabulary has {} tokens",
           model.name(), key, array->size(), size);
    }
  }
  for (const auto key :
       {keys::kBosId, keys::kEosId, keys::kEotId, keys::kUnknownId, keys::kPaddingId}) {
    const auto id = keys.Int(key);
    if (id && (*id < 0 || *id >= static_cast<int64_t>(size))) {
      Fail(ErrorKind::kBadInput, "{}: key '{}' is {}, the vocabulary has {} tokens", model.name(),
           key, *id, size);
    }
  }
  if (const auto index = model.Find("token_embd.weight")) {
    const TensorInfo& embedding = model.tensors()[*index];
    if (embedding.rows() != static_cast<int64_t>(size)) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' has {} rows, the vocabulary has {} tokens",
           model.name(), embedding.name, embedding.rows(), size);
    }
  }
}

int Run(const Options& options) {
  const auto progress = MakeProgress(options.quiet);
  const AnySource any = OpenAny(options.file);
  if (any.gguf) CheckVocabulary(*any.gguf);
  const auto& tensors = any.source->tensors();
  int64_t weights = 0;
  for (const TensorInfo& tensor : tensors) weights += tensor.elements();
  const auto found = FindNonFinite(*any.source, *progress);
  if (options.json) {
    nlohmann::ordered_json out = {{"file", options.file},
                                  {"tensors", tensors.size()},
                                  {"weights", weights},
                                  {"ok", found.empty()},
                                  {"non_finite", nlohmann::json::array()}};
    for (const NonFinite& bad : found) {
      out["non_finite"].push_back({{"name", tensors[bad.tensor].name}, {"index", bad.index}});
    }
    WriteJson(out);
  } else {
    for (const NonFinite& bad : found) {
      fmt::print("{}: NaN or Inf at index {}\n", tensors[bad.tensor].name, bad.index);
    }
    if (found.empty()) {
      fmt::print("{}: sound, {} tensors, {} weights\n", options.file, tensors.size(), weights);
    }
  }
  if (!found.empty()) {
    Fail(ErrorKind::kNonFinite,
         "{}: {} of {} tensors hold NaN or Inf, the first is '{}' at index {}", options.file,
         found.size(), tensors.size(), tensors[found[0].tensor].name, found[0].index);
  }
  return 0;
}

}  // namespace

std::function<int()> DefineCheck(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("MODEL", options->file, "A GGUF file or its first split, or a HF folder or file")
      .Required();
  arguments.Flag("--json", options->json, "What was found, as JSON");
  arguments.Quiet(options->quiet);
  arguments.Footer("Example:\n  quern check model-q4_k_m.gguf");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
