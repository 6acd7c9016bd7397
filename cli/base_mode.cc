#include "cli/base_mode.h"

#include <algorithm>

#include "base/error.h"
#include "cli/arguments.h"
#include "convert/bnb_round_trip.h"

namespace quern::cli {
namespace {

constexpr const char* kOriginal = "original";
constexpr const char* kDequantized = "dequantized";

bool WantsDequantized(const BaseModeOptions& options) {
  if (!options.mode.empty() && options.mode != kOriginal && options.mode != kDequantized) {
    Fail(ErrorKind::kUsage, "--base-mode {}: should be {} or {}", options.mode, kOriginal,
         kDequantized);
  }
  const bool wants = options.mode == kDequantized;
  if (!wants && !options.bnb_type.empty()) {
    Fail(ErrorKind::kUsage, "--bnb-type is for --base-mode {}", kDequantized);
  }
  return wants;
}

// A base that is quantized has no other weights to offer.
void SetQuantized(MergeBase& base, const BaseModeOptions& options, std::string method) {
  if (options.mode == kOriginal) {
    Fail(ErrorKind::kUsage,
         "{}: is quantized ({}), --base-mode {} needs the checkpoint of 16 or 32 bits that it was "
         "made from as the base",
         base.path, method, kOriginal);
  }
  if (!options.bnb_type.empty()) {
    Fail(ErrorKind::kUsage, "{}: is quantized ({}) already, --bnb-type is for a base of 16 bits",
         base.path, method);
  }
  base.dequantized = true;
  base.method = std::move(method);
}

// "nf4", "fp4-nested".
BnbForm FormOf(const BaseModeOptions& options) {
  constexpr std::string_view kNested = "-nested";
  std::string_view name = options.bnb_type.empty() ? NameOf(BnbType::kNf4) : options.bnb_type;
  const bool nested = name.ends_with(kNested);
  if (nested) name.remove_suffix(kNested.size());
  const auto type = BnbTypeFromName(name);
  if (!type) {
    Fail(ErrorKind::kUsage, "--bnb-type {}: should be nf4, fp4, nf4-nested or fp4-nested",
         options.bnb_type);
  }
  return {.type = *type, .nested = nested};
}

void SendThroughBnb(MergeBase& base, const BaseModeOptions& options) {
  const BnbForm form = FormOf(options);
  std::vector<bool> chosen;
  for (size_t t = 0; t < base.names.size(); ++t) {
    const TensorInfo& tensor = base.tensors->tensors()[t];
    chosen.push_back(IsBnbTarget(base.names[t].hf_name, tensor));
    const bool whole_rows = !form.nested && tensor.cols() % kBnbBlock == 0;
    if (chosen[t] && base.names[t].head_rows != 0 && !whole_rows) {
      Fail(ErrorKind::kUnsupported,
           "{}: tensor '{}' has rows of {} weights in another order than the checkpoint's, and {} "
           "quantizes through their ends: merge into the HF folder instead",
           base.path, tensor.name, tensor.cols(), NameOf(form));
    }
  }
  if (std::find(chosen.begin(), chosen.end(), true) == chosen.end()) {
    Fail(ErrorKind::kBadInput, "{}: has no tensor that bitsandbytes would quantize", base.path);
  }
  base.tensors = std::make_shared<BnbRoundTripSource>(base.tensors, std::move(chosen), form);
  base.dequantized = true;
  base.method = NameOf(form);
}

}  // namespace

void AddBaseMode(const Arguments& arguments, BaseModeOptions& options) {
  arguments.Option(
      "--base-mode", options.mode,
      "The weights that adapters are merged into: original (the default of a base of 16 "
      "bits), or dequantized, those that training on its 4-bit form (QLoRA) saw");
  arguments.Option("--bnb-type", options.bnb_type,
                   "dequantized, of a base of 16 bits: bitsandbytes' nf4 (default) or fp4; "
                   "nf4-nested or fp4-nested where it was trained with bnb_4bit_use_double_quant");
}

MergeBase OpenHfBase(const std::filesystem::path& folder, const BaseModeOptions& options) {
  const bool dequantized = WantsDequantized(options);
  HfWeights weights = OpenWeights(folder);
  MergeBase base;
  base.path = folder.string();
  base.files = weights.checkpoint->paths();
  base.tensors = weights.tensors;
  base.names = HfBaseNames(*base.tensors);
  base.decoded = weights.decoded;
  if (base.decoded) {
    SetQuantized(base, options, base.decoded->method());
  } else if (dequantized) {
    SendThroughBnb(base, options);
  }
  return base;
}

MergeBase OpenGgufBase(std::shared_ptr<const GgufModel> model, const BaseModeOptions& options) {
  const bool dequantized = WantsDequantized(options);
  MergeBase base;
  base.path = model->name();
  for (size_t f = 0; f < model->file_count(); ++f) base.files.emplace_back(model->PathOf(f));
  base.names = GgufBaseNames(*model, model->metadata());
  base.tensors = model;
  const auto& tensors = model->tensors();
  if (std::any_of(tensors.begin(), tensors.end(),
                  [](const TensorInfo& tensor) { return IsQuantized(tensor.type); })) {
    SetQuantized(base, options, "gguf");
  } else if (dequantized) {
    SendThroughBnb(base, options);
  }
  return base;
}

}  // namespace quern::cli
