#include <fmt/format.h>

#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/commands.h"
#include "cli/file_template.h"
#include "cli/json_output.h"
#include "convert/special_tokens.h"
#include "exports/modelfile.h"
#include "exports/ollama_store.h"
#include "exports/ollama_template.h"
#include "gguf/gguf_reader.h"
#include "gguf/keys.h"
#include "model/tokenizer/tokenizer.h"

namespace quern::cli {
namespace {

namespace fs = std::filesystem;
using Json = nlohmann::ordered_json;

struct Options {
  std::string model, folder, name, system, template_file, hf, store;
  std::vector<std::string> licenses, parameters, sets;
  bool without_template = false, link = false, force = false, json = false, quiet = false;
};

// How the template came about, for the user.
struct TemplateNews {
  std::string state = "none";  // derived, given, none
  std::string difference;      // of a given one
  std::optional<TemplateProof> proof;
};

bool AddsBos(const GgufModel& model) {
  try {
    return Tokenizer::FromMetadata(model.metadata())->adds_bos();
  } catch (const Error&) {  // a vocabulary that Quern does not run; its keys speak all the same
    const Metadata& keys = model.metadata();
    return keys.Bool(keys::kAddBos).value_or(keys.Text(keys::kTokenizerModel) == "llama");
  }
}

// The Jinja template of the model, or of the HF folder where the model has none.
std::optional<std::string> JinjaOf(const GgufModel& model, const Options& options,
                                   Progress& progress) {
  if (const auto text = model.metadata().Text(keys::kChatTemplate)) return text;
  if (options.hf.empty()) return std::nullopt;
  Metadata found(options.hf);
  SetChatTemplateKeys(TokenizerFiles(options.hf), progress, found);
  return found.Text(keys::kChatTemplate);
}

// Says what a given template is, compared with the model's own: the choice stays the user's.
void CompareGiven(const std::string& text, const ChatTemplate& chat, const Json& variables,
                  const std::string& bos, TemplateNews& news) {
  try {
    news.proof = ProveGoTemplate(text, chat, variables, bos);
    news.difference = news.proof->difference;
  } catch (const Error& error) {
    news.difference = error.what();
  }
}

TemplateNews SetTemplate(const GgufModel& model, const Options& options, OllamaModel& out,
                         Progress& progress) {
  TemplateNews news;
  std::string answer_end;
  if (!options.template_file.empty()) {
    news.state = "given";
    out.chat_template = ReadFile(options.template_file, uint64_t{1} << 22);
  }
  const auto jinja = options.without_template ? std::nullopt : JinjaOf(model, options, progress);
  if (jinja) {
    Json variables = Json::object();
    SetTemplateTokens(model.metadata(), variables);
    for (const std::string& set : options.sets) SetTemplateVariable(set, variables);
    const std::string bos =
        AddsBos(model) && variables.contains("bos_token") ? variables["bos_token"] : Json("");
    const auto chat = ChatTemplate::Parse(*jinja, options.model);
    if (news.state == "given") {
      CompareGiven(out.chat_template, chat, variables, bos, news);
    } else {
      const OllamaTemplate made = DeriveOllamaTemplate(chat, variables, bos);
      news.state = "derived";
      news.proof = made.proof;
      out.chat_template = made.text;
      answer_end = made.answer_end;
    }
  } else if (news.state == "none" && !options.without_template) {
    Fail(ErrorKind::kUnsupported,
         "{}: has no chat template (tokenizer.chat_template): --template gives one, "
         "--without-template leaves the choice to Ollama",
         options.model);
  }
  out.stops = OllamaStops(model, answer_end);
  return news;
}

OllamaModel Describe(const GgufModel& model, const Options& options, TemplateNews& news,
                     Progress& progress) {
  OllamaModel out = DescribeForOllama(model);
  if (!options.hf.empty()) {
    const fs::path config = fs::path(options.hf) / "generation_config.json";
    if (fs::is_regular_file(config)) ReadGenerationConfig(ReadFile(config), config.string(), out);
  }
  news = SetTemplate(model, options, out, progress);
  out.system = options.system;
  for (const std::string& license : options.licenses) {
    out.licenses.push_back(ReadFile(license, uint64_t{1} << 24));
  }
  for (const std::string& parameter : options.parameters) {
    const size_t equals = parameter.find('=');
    if (equals == std::string::npos) {
      Fail(ErrorKind::kUsage, "--parameter {}: NAME=VALUE is wanted", parameter);
    }
    SetOllamaParameter(parameter.substr(0, equals), parameter.substr(equals + 1), out);
  }
  return out;
}

std::string LimitsText(const TemplateProof& proof) {
  std::string text;
  for (const std::string& limit : proof.limits) text += (text.empty() ? "" : "; ") + limit;
  return text;
}

void Tell(const TemplateNews& news, Progress& progress) {
  if (news.proof && news.difference.empty()) {
    progress.Note(
        fmt::format("template: {}, writes what the Jinja template does in {} conversations",
                    news.state, news.proof->equal));
    const std::string limits = LimitsText(*news.proof);
    if (!limits.empty()) progress.Note("template: not the same for " + limits);
  } else if (!news.difference.empty()) {
    progress.Note("template: given, and not the Jinja template's: " + news.difference);
  }
}

void WriteFolder(const Options& options, const std::string& modelfile, const std::string& weights,
                 OutputFolder& folder) {
  // A link takes no space, and the file stays the user's own under either name.
  PlaceFile(options.model, folder.temporary_path() / weights, Placing::kLink);
  folder.WriteFile("Modelfile", modelfile);
  folder.Commit();
}

void Report(const Options& options, const TemplateNews& news,
            const std::vector<std::string>& outputs, const std::string& name) {
  if (!options.json) {
    for (const std::string& output : outputs) fmt::print("{}\n", output);
    return;
  }
  Json out = {{"outputs", outputs}, {"template", news.state}};
  if (!name.empty()) out["name"] = name;
  if (news.proof) {
    out["proved"] = news.difference.empty();
    out["conversations"] = news.proof->equal;
    out["not_the_same"] = news.proof->limits;
  }
  if (!news.difference.empty()) out["difference"] = news.difference;
  WriteJson(out);
}

int Run(const Options& options) {
  if (options.folder.empty() && options.store.empty()) {
    Fail(ErrorKind::kUsage, "where to? A folder DIR or --store PATH is wanted");
  }
  if (!options.store.empty() && options.name.empty()) {
    Fail(ErrorKind::kUsage, "--store needs --name NAME[:TAG]");
  }
  const auto progress = MakeProgress(options.quiet);
  std::optional<OllamaName> name;
  if (!options.name.empty()) name = ParseOllamaName(options.name);
  const auto model = GgufModel::Open(options.model);
  if (model->file_count() > 1) {
    Fail(ErrorKind::kUnsupported, "{}: is split, and Ollama keeps one file (quern merge-splits)",
         options.model);
  }
  if (model->metadata().Text(keys::kType).value_or("model") != "model") {
    Fail(ErrorKind::kUnsupported, "{}: is no model (general.type)", options.model);
  }
  TemplateNews news;
  const OllamaModel described = Describe(*model, options, news, *progress);
  const Overwrite overwrite = options.force ? Overwrite::kReplace : Overwrite::kRefuse;
  std::vector<std::string> outputs;
  std::optional<OutputFolder> folder;
  std::string weights, modelfile;
  if (!options.folder.empty()) {
    weights = fs::path(options.model).filename().string();
    if (!IsModelfileName(weights) || weights == "Modelfile") weights = "model.gguf";
    modelfile = ModelfileText(described, weights);
    folder.emplace(options.folder, overwrite);
  }
  if (!options.store.empty()) {
    OllamaStore store(options.store);
    store.AddWeights(options.model, options.link ? Placing::kLink : Placing::kCopy, *progress);
    outputs.push_back(store.Commit(*name, described, overwrite).string());
  }
  if (folder) {
    WriteFolder(options, modelfile, weights, *folder);
    outputs.push_back((folder->path() / "Modelfile").string());
  }
  Tell(news, *progress);
  if (name && folder && options.store.empty()) {
    progress->Note(fmt::format("next: ollama create {} -f {}", name->Text(), outputs.back()));
  }
  Report(options, news, outputs, name ? name->Text() : "");
  return 0;
}

}  // namespace

std::function<int()> DefineExportOllama(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("MODEL", options->model, "A GGUF file").Required();
  arguments.Option("DIR", options->folder,
                   "A new folder for the weights (a hard link) and a Modelfile");
  arguments.Option("--store", options->store,
                   "A folder of Ollama's models (~/.ollama/models) to put the model into");
  arguments.Option("--name", options->name, "The model's name in Ollama: [NAMESPACE/]NAME[:TAG]");
  arguments.Option("--system", options->system, "The system prompt where a chat has none");
  arguments.Option("--license", options->licenses, "A licence's file").Repeated();
  arguments
      .Option("--hf", options->hf,
              "The model's HF folder: parameters of its generation_config.json, and the chat "
              "template where the GGUF file has none")
      .Folder();
  arguments
      .Option("--parameter", options->parameters,
              "NAME=VALUE: num_ctx=8192, temperature=0.7, stop=TEXT ...")
      .Repeated();
  arguments.Option("--template", options->template_file,
                   "A Go template instead of the derived one; compared, and a difference told");
  arguments.Flag("--without-template", options->without_template,
                 "No TEMPLATE: Ollama picks one, which is often a wrong one");
  arguments
      .Option("--set", options->sets,
              "NAME=JSON: a variable of the Jinja template, such as enable_thinking=false")
      .Repeated();
  arguments.Flag("--link", options->link, "A hard link in the store too, instead of a copy");
  arguments.Flag("--force", options->force, "Replace a folder or a model of that name");
  arguments.Flag("--json", options->json, "What was written, as JSON");
  arguments.Quiet(options->quiet);
  arguments.Footer(
      "The template is derived from the model's Jinja template, and both are rendered over some "
      "200\n"
      "conversations: where no exact one is found, the first difference is told, the exit code is "
      "4\n"
      "and nothing is written (--template or --without-template then).\n"
      "Example:\n  quern export-ollama model-q4_k_m.gguf out --store ~/.ollama/models --name "
      "mine:q4");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
