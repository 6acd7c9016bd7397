#include "model/chat/chat_template.h"

#include <cstdio>
#include <memory>
#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/file.h"
#include "base/json_text.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/file_template.h"
#include "gguf/gguf_reader.h"
#include "gguf/keys.h"
#include "gguf/magic.h"

namespace quern::cli {
namespace {

using Json = nlohmann::ordered_json;

struct Options {
  std::string source, messages, tools;
  std::optional<std::string> now;
  std::vector<std::string> sets;
  bool add_generation_prompt = false;
};

// The template of the source, and the variables that it brings with it.
std::string ReadSource(const std::string& path, Json& values) {
  if (!IsGguf(path)) return ReadFile(path, uint64_t{1} << 24);
  const auto model = GgufModel::Open(path);
  const Metadata& metadata = model->metadata();
  SetTemplateTokens(metadata, values);
  return metadata.NeedText(keys::kChatTemplate);
}

int Run(const Options& options) {
  Json values = Json::object();
  const auto chat = ChatTemplate::Parse(ReadSource(options.source, values), options.source);
  values["messages"] = ParseOrderedJson(ReadFile(options.messages), options.messages);
  values["tools"] =
      options.tools.empty() ? Json() : ParseOrderedJson(ReadFile(options.tools), options.tools);
  values["add_generation_prompt"] = options.add_generation_prompt;
  for (const std::string& set : options.sets) SetTemplateVariable(set, values);
  ChatTemplateOptions render;
  render.now = options.now;
  const std::string text = chat.Render(values, render);
  if (std::fwrite(text.data(), 1, text.size(), stdout) != text.size() || std::fflush(stdout) != 0) {
    Fail(ErrorKind::kOutput, "standard output: cannot be written");
  }
  return 0;
}

}  // namespace

std::function<int()> DefineChatTemplate(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("source", options->source, "A Jinja template, or a GGUF file that has one")
      .Required();
  arguments.Option("--messages", options->messages, "JSON: a list of messages").Required();
  arguments.Option("--tools", options->tools, "JSON: a list of tools");
  arguments.Flag("--add-generation-prompt", options->add_generation_prompt,
                 "End where the assistant's answer begins");
  arguments.Option("--set", options->sets, "NAME=JSON: a variable more, or another value for one")
      .Repeated();
  arguments.Option("--now", options->now, "What strftime_now returns; without it, the time");
  arguments.Footer("Example:\n  quern chat-template model.gguf --messages chat.json");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
