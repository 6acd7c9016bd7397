#include <fmt/format.h>

#include <memory>
#include <string>

#include "base/file.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "gguf/gguf_reader.h"
#include "model/tokenizer/tokenizer.h"

namespace quern::cli {
namespace {

struct Options {
  std::string model, text, file;
  bool no_bos = false, no_parse_special = false, json = false;
};

// A piece for one line of a terminal: control characters and stray bytes as \xNN.
std::string Printable(std::string_view piece) {
  std::string out;
  for (const char c : piece) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F || (byte >= 0x80 && piece.size() == 1)) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  return out;
}

int Run(const Options& options) {
  const auto model = GgufModel::Open(options.model);
  const auto tokenizer = Tokenizer::FromMetadata(model->metadata());
  const std::string text = options.file.empty() ? options.text : ReadFile(options.file);
  const auto ids = tokenizer->Encode(text, !options.no_bos, !options.no_parse_special);
  if (options.json) {
    fmt::print("{{\"ids\": [{}]}}\n", fmt::join(ids, ", "));
    return 0;
  }
  for (const TokenId id : ids) {
    fmt::print("{:6}  '{}'\n", id, Printable(tokenizer->Piece(id, true)));
  }
  fmt::print("{} tokens\n", ids.size());
  return 0;
}

}  // namespace

std::function<int()> DefineTokenize(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("-m,--model", options->model, "A GGUF file; its vocabulary is enough")
      .Required();
  const Arguments input = arguments.ExactlyOne("Text", "One of");
  input.Option("-p,--prompt", options->text, "The text, as it is: no escapes");
  input.Option("-f,--file", options->file, "A file that holds the text");
  arguments.Flag("--no-bos", options->no_bos,
                 "Add no BOS (or EOS), even where the model asks for it");
  arguments.Flag("--no-parse-special", options->no_parse_special,
                 "Take the text of control tokens as text");
  arguments.Flag("--json", options->json, "Print {\"ids\": [...]}");
  arguments.Footer("Example:\n  quern tokenize -m model.gguf -p \"Hello world\"");
  return [options] { return Run(*options); };
}

}  // namespace quern::cli
