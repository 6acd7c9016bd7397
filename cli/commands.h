#pragma once

#include <functional>

// THE list of commands: X(name, function that defines it, one line of help). Each function stands
// in the file of its command's name.
#define QUERN_COMMANDS(X)                                                                       \
  X("convert", DefineConvert, "Convert a HF model folder to GGUF")                              \
  X("merge-lora", DefineMergeLora, "Merge LoRA adapters into a model")                          \
  X("convert-lora", DefineConvertLora, "Convert a LoRA adapter from PEFT to GGUF, or back")     \
  X("extract-lora", DefineExtractLora, "Make a LoRA adapter of what training changed")          \
  X("quantize", DefineQuantize, "Give a GGUF file's tensors smaller types")                     \
  X("split", DefineSplit, "Cut a GGUF file into several")                                       \
  X("merge-splits", DefineMergeSplits, "Make one GGUF file of its splits")                      \
  X("check", DefineCheck, "Validate a model fully, NaN and Inf too")                            \
  X("hash", DefineHash, "xxh64 of each tensor and of all")                                      \
  X("inspect", DefineInspect, "Show a GGUF file: keys, tensors, types, sizes, bits per weight") \
  X("run", DefineRun, "Continue a prompt")                                                      \
  X("perplexity", DefinePerplexity, "Measure how well a model foretells a text")                \
  X("kl-divergence", DefineKlDivergence, "Compare a model's predictions with another's")        \
  X("verify", DefineVerify, "Judge a quantized model by thresholds, for CI; report as HTML")    \
  X("hellaswag", DefineHellaswag, "Score a model on HellaSwag's endings")                       \
  X("winogrande", DefineWinogrande, "Score a model on Winogrande's sentences")                  \
  X("multiple-choice", DefineMultipleChoice, "Score a model on questions with several answers") \
  X("imatrix", DefineImatrix, "Measure which weights matter on a text, for quantize")           \
  X("bench", DefineBench, "Measure how fast a model reads and generates")                       \
  X("logits", DefineLogits, "Show the best next tokens after a list of token ids")              \
  X("tokenize", DefineTokenize, "Encode text with a GGUF file's vocabulary")                    \
  X("chat-template", DefineChatTemplate, "Render a conversation with a chat template")          \
  X("export-ollama", DefineExportOllama,                                                        \
    "Write a model for Ollama: folder with Modelfile, or its store")

namespace quern::cli {

class Arguments;

#define QUERN_COMMAND_DECLARE(name, define, summary) \
  std::function<int()> define(const Arguments& arguments);
QUERN_COMMANDS(QUERN_COMMAND_DECLARE)
#undef QUERN_COMMAND_DECLARE

}  // namespace quern::cli
