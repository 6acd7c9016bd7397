#include "cli/run_time_lora.h"

#include "adapters/run_time.h"
#include "cli/adapter_list.h"
#include "cli/arguments.h"
#include "cli/command.h"
#include "cli/grown_vocabulary.h"
#include "cli/say.h"

namespace quern::cli {

void AddLora(const Arguments& arguments, std::vector<std::string>& adapters,
             const std::string& option, const std::string& model) {
  arguments
      .Option(option, adapters,
              "An adapter to apply to " + model +
                  ": a PEFT folder or a GGUF file, with :SCALE behind it if not all of it is "
                  "wanted; may be repeated")
      .Repeated()
      .Kind("ADAPTER[:SCALE]");
  arguments.Option(option + "-scaled", adapters, "Adapters with scales; may be repeated")
      .Repeated()
      .Separated(',')
      .Kind("ADAPTER:SCALE,...");
}

AdaptedModel OpenAdapted(const std::string& model, const std::vector<std::string>& adapters) {
  std::shared_ptr<const GgufModel> base = GgufModel::Open(model);
  if (adapters.empty()) return {base, base, Runner::Open(base, {})};
  const auto merged = std::make_shared<MergedSource>(base, GgufBaseNames(*base, base->metadata()),
                                                     OpenAdapters(adapters, model));
  Adaptation adaptation = AdaptAtRunTime(merged);
  for (const std::string& note : merged->report().notes) Say("note: {}\n", note);
  if (merged->report().vocab > 0 && !TokenizerFolder(merged->report()).empty()) {
    adaptation.keys = base->metadata();
    GrowVocabulary(merged->report(), *adaptation.keys, *MakeProgress(/*quiet=*/true));
  }
  return {base, merged, Runner::Open(base, std::move(adaptation))};
}

std::unique_ptr<Runner> OpenRunner(const std::string& model,
                                   const std::vector<std::string>& adapters) {
  return OpenAdapted(model, adapters).runner;
}

}  // namespace quern::cli
