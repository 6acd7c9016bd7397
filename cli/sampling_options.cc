#include "cli/sampling_options.h"

#include <fmt/format.h>

#include <random>

#include "cli/arguments.h"

namespace quern::cli {
namespace {

void AddDry(const Arguments& arguments, SamplingFlags& flags) {
  DryOptions& dry = flags.options.dry;
  arguments.Option("--dry-multiplier", dry.multiplier,
                   "DRY: penalty of what would lengthen a repetition; 0: none (0)");
  arguments.Option("--dry-base", dry.base, "DRY: its growth with each further token (1.75)");
  arguments.Option("--dry-allowed-length", dry.allowed_length,
                   "DRY: repetitions up to this length are free (2)");
  arguments.Option("--dry-penalty-last-n", dry.last_n, "DRY: tokens it looks back on; 0: none (64)")
      .NonNegative();
  arguments
      .Option("--dry-sequence-breaker", flags.breakers,
              "DRY: text that repetitions do not go over, instead of newline : \" and *; none: no "
              "such text; may be repeated")
      .Repeated();
}

void AddPenalties(const Arguments& arguments, SamplerOptions& options) {
  arguments.Option("--repeat-penalty", options.repeat_penalty,
                   "Penalty of repetition; 1: none (1)");
  arguments.Option("--repeat-last-n", options.penalty_last_n,
                   "Tokens it looks back on; -1: all (64)");
  arguments.Option("--frequency-penalty", options.frequency_penalty, "Taken per occurrence (0)");
  arguments.Option("--presence-penalty", options.presence_penalty,
                   "Taken of all that occurred (0)");
}

}  // namespace

void AddSampling(const Arguments& arguments, SamplingFlags& flags) {
  SamplerOptions& options = flags.options;
  arguments.Option("--temp", options.temperature, "Temperature; 0: the best token (0.8)");
  arguments.Option("--top-k", options.top_k, "Keep the k best tokens; 0: all (40)");
  arguments.Option("--typical,--typical-p", options.typical_p,
                   "Keep the least surprising with this probability together (1)");
  arguments.Option("--top-p", options.top_p, "Keep the best with this probability together (0.95)");
  arguments.Option("--min-p", options.min_p, "Keep those with this share of the best one's (0.05)");
  arguments.Option("--top-nsigma,--top-n-sigma", options.top_n_sigma,
                   "Keep those so many standard deviations below the best; -1: all (-1)");
  arguments.Option("--xtc-probability", options.xtc_probability,
                   "XTC: how often all likely tokens but the last are dropped (0)");
  arguments.Option("--xtc-threshold", options.xtc_threshold, "XTC: what is likely (0.1)");
  AddPenalties(arguments, options);
  AddDry(arguments, flags);
  arguments
      .Option("--mirostat", options.mirostat.version,
              "Mirostat 1 or 2 instead of all others but the temperature; 0: off (0)")
      .Within(0, 2);
  arguments.Option("--mirostat-lr", options.mirostat.learning_rate, "Its learning rate, eta (0.1)");
  arguments.Option("--mirostat-ent", options.mirostat.target, "Its target entropy, tau (5)");
  arguments.Option("--samplers", flags.names,
                   fmt::format("The samplers in their order ({})", DefaultSamplerNames()));
  arguments.Option("--sampler-seq,--sampling-seq", flags.letters,
                   fmt::format("The same by letters ({})", DefaultSamplerLetters()));
  arguments.Option("-s,--seed", flags.seed, "Seed of the draws; -1: a new one each time (-1)")
      .Within(-1, 0xFFFFFFFF);
}

SamplerOptions SamplerOptionsOf(const SamplingFlags& flags, const Tokenizer& tokenizer) {
  SamplerOptions options = flags.options;
  options.seed = flags.seed < 0 ? std::random_device()() : static_cast<uint32_t>(flags.seed);
  if (flags.names) options.order = ParseSamplerNames(*flags.names);
  if (flags.letters) options.order = ParseSamplerLetters(*flags.letters);
  if (options.dry.on()) {
    const std::vector<std::string> usual = {"\n", ":", "\"", "*"};
    std::vector<std::string> texts;
    for (const std::string& text : flags.breakers.empty() ? usual : flags.breakers) {
      if (text == "none") {
        texts.clear();
      } else {
        texts.push_back(text);
      }
    }
    options.dry.breakers = DryBreakersOf(tokenizer, texts);
  }
  return options;
}

}  // namespace quern::cli
