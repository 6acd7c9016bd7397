#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <filesystem>
#include <fstream>
#include <nlohmann/json.hpp>
#include <sstream>

#include "base/ascii.h"
#include "base/error.h"
#include "base/parallel.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/device_option.h"
#include "cli/json_output.h"
#include "gguf/split_name.h"
#include "quant/plan.h"
#include "quant/quality.h"

namespace quern::cli {
namespace fs = std::filesystem;
namespace {

struct Options {
  std::vector<std::string> words;
  std::string imatrix, output_type, embedding_type;
  std::vector<std::string> included, excluded, tensor_types, tensor_type_files, overrides, pruned;
  QuantizeOptions quantize;
  bool dry_run = false, json = false, force = false, quiet = false, quality = false;

  std::string input;
  fs::path output;
  std::string type_name;  // "Q4_K_M", "COPY"
  int threads = 0;
  std::string device = "cpu";
};

[[noreturn]] void FailUsage(const std::string& message) { Fail(ErrorKind::kUsage, "{}", message); }

Type ParseType(const std::string& text, std::string_view option) {
  const auto type = TypeFromName(text);
  if (!type) FailUsage(fmt::format("{}: '{}' is no tensor type", option, text));
  return *type;
}

template <typename T>
T ParseNumber(std::string_view text, const std::string& what) {
  T value{};
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) {
    FailUsage(fmt::format("{}: '{}' is no number that fits", what, text));
  }
  return value;
}

bool IsCopy(std::string_view word) { return SameInAnyCase(word, "copy"); }

// Takes the file type that the word names, if it names one.
bool TakeFileType(const std::string& word, Options& options) {
  options.quantize.copy = IsCopy(word);
  const auto file_type = FileTypeFromName(word);
  if (file_type) options.quantize.file_type = *file_type;
  if (file_type) options.type_name = NameOf(*file_type);
  if (options.quantize.copy) options.type_name = "COPY";
  return file_type || options.quantize.copy;
}

// IN [OUT] TYPE [THREADS]: the second word is the output unless it names a type.
void ParseWords(Options& options) {
  const auto& words = options.words;
  options.input = words[0];
  size_t next = 1;
  if (!TakeFileType(words[next], options)) {
    options.output = words[next++];
    if (next == words.size()) FailUsage(fmt::format("'{}' is no file type", words[1]));
    if (!TakeFileType(words[next], options)) {
      FailUsage(fmt::format("'{}' is no file type", words[next]));
    }
  }
  ++next;
  if (next < words.size()) {
    options.threads = ParseNumber<int>(words[next++], "the number of threads");
    if (options.threads < 0) FailUsage("the number of threads is below zero");
  }
  if (next < words.size()) FailUsage(fmt::format("'{}' is one word too many", words[next]));
  if (options.output.empty()) {
    options.output = fs::path(options.input).parent_path() /
                     fmt::format("ggml-model-{}.gguf", options.type_name);
  }
}

// REGEX=TYPE.
TypeRule ParseTypeRule(const std::string& text) {
  const auto sign = text.find('=');
  if (sign == std::string::npos || sign == 0) {
    FailUsage(fmt::format("'{}' should be REGEX=TYPE", text));
  }
  return {NamePattern(text.substr(0, sign)), ParseType(text.substr(sign + 1), text)};
}

// KEY=TYPE:VALUE with the types int, float, bool and str, written as llama-quantize writes them.
std::pair<std::string, Value> ParseOverride(const std::string& text) {
  const auto sign = text.find('=');
  const auto colon = sign == std::string::npos ? sign : text.find(':', sign);
  if (colon == std::string::npos || sign == 0) {
    FailUsage(fmt::format("'{}' should be KEY=TYPE:VALUE", text));
  }
  const std::string key = text.substr(0, sign);
  const std::string type = text.substr(sign + 1, colon - sign - 1);
  const std::string value = text.substr(colon + 1);
  if (type == "int") return {key, ParseNumber<uint32_t>(value, text)};
  if (type == "float") return {key, ParseNumber<float>(value, text)};
  if (type == "str") return {key, value};
  if (type == "bool" && (value == "true" || value == "false")) return {key, value == "true"};
  FailUsage(fmt::format("'{}': the type is int, float, str or bool (true, false)", text));
}

void ParseTypeFile(const std::string& path, std::vector<TypeRule>& rules) {
  std::istringstream words(ReadFile(path));
  std::string word;
  while (words >> word) rules.push_back(ParseTypeRule(word));
}

void Parse(Options& options) {
  ParseWords(options);
  RecipeOptions& recipe = options.quantize.recipe;
  if (!options.output_type.empty()) {
    recipe.output_type = ParseType(options.output_type, "--output-tensor-type");
  }
  if (!options.embedding_type.empty()) {
    recipe.embedding_type = ParseType(options.embedding_type, "--token-embedding-type");
  }
  for (const auto& text : options.tensor_types) recipe.rules.push_back(ParseTypeRule(text));
  for (const auto& path : options.tensor_type_files) ParseTypeFile(path, recipe.rules);
  for (const auto& text : options.overrides) {
    options.quantize.overrides.push_back(ParseOverride(text));
  }
  for (const auto& text : options.pruned) {
    const auto layer = ParseNumber<int64_t>(text, "--prune-layers");
    if (layer < 0) FailUsage("--prune-layers: a layer is below zero");
    options.quantize.pruned_layers.push_back(layer);
  }
  if (!options.included.empty() && !options.excluded.empty()) {
    FailUsage("--include-weights and --exclude-weights cannot go together");
  }
}

std::optional<Imatrix> TakeImatrix(const Options& options, Progress& progress) {
  if (options.imatrix.empty()) return std::nullopt;
  Imatrix matrix = ReadImatrix(options.imatrix);
  if (!options.included.empty()) matrix.Include(options.included);
  if (!options.excluded.empty()) matrix.Exclude(options.excluded);
  if (!matrix.weights.empty()) return matrix;
  progress.Note(fmt::format("{}: no weights are left of it", matrix.name));
  return std::nullopt;
}

// "blk.0.attn_q.weight - [4096, 4096], type = bf16, converting to q4_K", for the progress lines.
class PlanProgress : public Progress {
 public:
  PlanProgress(Progress& shown, const QuantizePlan& plan) : shown_(shown) {
    for (const PlannedTensor& tensor : plan.tensors) {
      lines_.push_back(fmt::format(
          "{:<36} - [{}], type = {}{}", tensor.name, ShapeText(tensor.shape), NameOf(tensor.from),
          tensor.to == tensor.from ? "" : fmt::format(", converting to {}", NameOf(tensor.to))));
    }
  }
  void Step(int64_t done, int64_t total, std::string_view) override {
    shown_.Step(done, total, lines_[static_cast<size_t>(done - 1)]);
  }
  void Note(std::string_view text) override { shown_.Note(text); }

 private:
  Progress& shown_;
  std::vector<std::string> lines_;
};

double BitsPerWeight(int64_t bytes, int64_t weights) {
  return weights ? 8.0 * static_cast<double>(bytes) / static_cast<double>(weights) : 0;
}
double Mib(int64_t bytes) { return static_cast<double>(bytes) / (1 << 20); }

nlohmann::ordered_json JsonOf(const EncodingError& error) {
  return {{"rmse", error.rmse()}, {"relative", error.relative()}, {"largest", error.largest_error}};
}

// meter: null without --quality.
void PrintJson(const Options& options, const QuantizePlan& plan,
               const std::vector<fs::path>& written, const QualityMeter* meter) {
  nlohmann::ordered_json out;
  out["input"] = options.input;
  out["outputs"] = nlohmann::json::array();
  for (const auto& path : written) out["outputs"].push_back(path.string());
  out["file_type"] = options.type_name;
  out["tensors"] = nlohmann::json::array();
  for (size_t t = 0; t < plan.tensors.size(); ++t) {
    const PlannedTensor& tensor = plan.tensors[t];
    nlohmann::ordered_json entry = {{"name", tensor.name},
                                    {"type", NameOf(tensor.to)},
                                    {"from", NameOf(tensor.from)},
                                    {"shape", tensor.shape},
                                    {"bytes_before", tensor.bytes_before()},
                                    {"bytes", tensor.bytes_after()},
                                    {"needs_imatrix", tensor.needs_importance}};
    if (tensor.fell_back_from) entry["fell_back_from"] = NameOf(*tensor.fell_back_from);
    if (meter) entry["error"] = JsonOf(meter->errors()[t]);
    out["tensors"].push_back(std::move(entry));
  }
  out["weights"] = plan.weights();
  out["bytes_before"] = plan.bytes_before();
  out["bytes"] = plan.bytes_after();
  out["bits_per_weight"] = BitsPerWeight(plan.bytes_after(), plan.weights());
  if (meter) out["error"] = JsonOf(meter->Total());
  WriteJson(out);
}

void PrintErrorLine(std::string_view name, std::string_view type, const EncodingError& error) {
  fmt::print("{:<36} {:<8} {:>12.6g} {:>10.4f} % {:>12.6g}\n", name, type, error.rmse(),
             100 * error.relative(), error.largest_error);
}

void PrintQuality(const QuantizePlan& plan, const QualityMeter& meter) {
  fmt::print("{:<36} {:<8} {:>12} {:>12} {:>12}\n", "tensor", "type", "RMSE", "relative",
             "largest");
  for (size_t t = 0; t < plan.tensors.size(); ++t) {
    const EncodingError& error = meter.errors()[t];
    if (error.weights > 0) PrintErrorLine(plan.tensors[t].name, NameOf(plan.tensors[t].to), error);
  }
  PrintErrorLine("all that was encoded", "", meter.Total());
}

void PrintSizes(const QuantizePlan& plan) {
  const int64_t weights = plan.weights();
  fmt::print("model size = {:8.2f} MiB ({:.2f} BPW)\n", Mib(plan.bytes_before()),
             BitsPerWeight(plan.bytes_before(), weights));
  fmt::print("quant size = {:8.2f} MiB ({:.2f} BPW)\n", Mib(plan.bytes_after()),
             BitsPerWeight(plan.bytes_after(), weights));
}

void PrintDryRun(const QuantizePlan& plan) {
  size_t done = 0;
  for (const PlannedTensor& tensor : plan.tensors) {
    fmt::print("[{:4d}/{:4d}] {:<36} - [{}], type = {:>6}, size = {:8.3f} MiB", ++done,
               plan.tensors.size(), tensor.name, ShapeText(tensor.shape), NameOf(tensor.from),
               Mib(tensor.bytes_before()));
    if (tensor.to != tensor.from) {
      fmt::print(" -> {:8.3f} MiB ({})", Mib(tensor.bytes_after()), NameOf(tensor.to));
    }
    fmt::print("\n");
  }
  PrintSizes(plan);
}

// An output that is one of the inputs would be read while it is written.
void RefuseInputAsOutput(const GgufModel& model, const Options& options, const QuantizePlan& plan) {
  for (size_t f = 0; f < model.file_count(); ++f) {
    fs::path out = options.output;
    if (plan.split.splits()) {
      const auto count = static_cast<int64_t>(plan.split.file_of.back()) + 1;
      if (static_cast<int64_t>(f) >= count) break;
      const fs::path prefix = out.extension() == ".gguf" ? out.parent_path() / out.stem() : out;
      out = SplitPath(prefix, static_cast<int64_t>(f), count);
    }
    std::error_code absent;
    if (fs::equivalent(model.PathOf(f), out, absent)) {
      FailUsage(fmt::format("{}: is the input and the output", out.string()));
    }
  }
}

int DryRun(const Options& options, const QuantizePlan& plan, Progress& progress) {
  const bool lacks = std::any_of(plan.tensors.begin(), plan.tensors.end(), [](const auto& tensor) {
    return tensor.needs_importance && tensor.importance.empty();
  });
  if (lacks) progress.Note("to do this for good an importance matrix is needed (--imatrix FILE)");
  if (options.json) {
    PrintJson(options, plan, {}, nullptr);
  } else {
    PrintDryRun(plan);
  }
  return 0;
}

int Run(Options& options) {
  Parse(options);
  const auto progress = MakeProgress(options.quiet);
  const auto model = GgufModel::Open(options.input);
  auto matrix = TakeImatrix(options, *progress);
  QuantizePlan plan = PlanQuantize(*model, options.quantize, matrix ? &*matrix : nullptr);
  matrix.reset();  // the plan has what it needs of it
  for (const std::string& note : plan.notes) progress->Note(note);
  if (options.dry_run) return DryRun(options, plan, *progress);
  CheckPlan(plan, options.quantize);
  RefuseInputAsOutput(*model, options, plan);
  const ThreadLimit limit(options.threads);
  std::vector<Type> types;
  for (const PlannedTensor& tensor : plan.tensors) types.push_back(tensor.to);
  QualityMeter meter(types);
  const auto device = OpenDevice(options.device, *progress);
  const auto source = SourceOf(model, plan, options.quality ? &meter : nullptr, device);
  GgufSink sink(options.output, plan.metadata, source->tensors(),
                options.force ? Overwrite::kReplace : Overwrite::kRefuse, plan.split);
  PlanProgress lines(*progress, plan);
  Stream(*source, sink, lines, PiecesFor(device.get()));
  sink.Commit();
  if (options.json) {
    PrintJson(options, plan, sink.paths(), options.quality ? &meter : nullptr);
    return 0;
  }
  if (options.quality) PrintQuality(plan, meter);
  PrintSizes(plan);
  for (const auto& path : sink.paths()) fmt::print("{}\n", path.string());
  return 0;
}

std::string FileTypeTable() {
  std::string text = "File types:\n";
  for (const FileTypeInfo& info : kFileTypes) {
    text += fmt::format("  {:>2} or {:<10} {}\n", info.id, info.name, info.about);
  }
  text += "        COPY       every tensor keeps its type\n";
  return text;
}

void DefineTypeOptions(const Arguments& arguments, Options& options) {
  RecipeOptions& recipe = options.quantize.recipe;
  arguments.Flag("--pure", recipe.pure, "One type for all tensors, no mix");
  arguments.Flag("--leave-output-tensor", recipe.keep_output, "output.weight keeps its type");
  arguments.Option("--output-tensor-type", options.output_type, "The type of output.weight")
      .Kind("TYPE");
  arguments.Option("--token-embedding-type", options.embedding_type, "The type of the embeddings")
      .Kind("TYPE");
  const auto repeated = [&](const char* name, auto& values, const char* help, const char* type) {
    arguments.Option(name, values, help).Repeated().Kind(type);
  };
  repeated("--tensor-type", options.tensor_types,
           "Tensors whose names match get the type; the first match decides; may be repeated",
           "REGEX=TYPE");
  repeated("--tensor-type-file", options.tensor_type_files, "Such rules from a file, word by word",
           "FILE");
  repeated("--override-kv", options.overrides,
           "Sets a key (types: int, float, bool, str); may be repeated", "KEY=TYPE:VALUE");
  repeated("--include-weights", options.included,
           "Use the matrix for tensors whose names hold this; may be repeated", "TEXT");
  repeated("--exclude-weights", options.excluded,
           "Do not use it for tensors whose names hold this; may be repeated", "TEXT");
  arguments.Option("--imatrix", options.imatrix, "An importance matrix (GGUF or .dat)")
      .Kind("FILE");
  arguments.Option("--prune-layers", options.pruned, "Leave these layers out and count anew")
      .Separated(',')
      .Repeated()
      .Kind("N,N...");
}

}  // namespace

std::function<int()> DefineQuantize(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("FILES", options->words, "The input, the output, the file type, the threads")
      .Kind("IN [OUT] TYPE [THREADS]")
      .Required()
      .Words(2, 4);
  DefineTypeOptions(arguments, *options);
  arguments.Flag("--allow-requantize", options->quantize.allow_requantize,
                 "Take tensors that are quantized already; they lose twice");
  arguments.Flag("--keep-split", options->quantize.keep_split,
                 "Write as many files as the input is");
  arguments.Flag("--quality", options->quality,
                 "Measure the error of each tensor against the input: RMSE, relative, largest");
  arguments.Option("--device", options->device, kDeviceHelp).Kind("DEVICE");
  arguments.Flag("--dry-run", options->dry_run, "Show types and sizes, read no weights");
  arguments.Flag("--json", options->json, "The types and sizes as JSON on stdout");
  arguments.Flag("--force", options->force, "Replace an output that is there");
  arguments.Quiet(options->quiet);
  arguments.Footer(FileTypeTable() +
                   "\nWithout OUT the output is ggml-model-TYPE.gguf beside the input.\n"
                   "Example:\n  quern quantize model-bf16.gguf model-q4_k_m.gguf q4_k_m");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
