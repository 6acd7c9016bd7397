#pragma once

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "base/progress.h"
#include "convert/tokenizer_files.h"
#include "convert/vocabulary.h"
#include "gguf/metadata.h"

namespace quern {

// Sets which tokens are special (tokenizer.ggml.bos_token_id, ...) and whether they are added to a
// text (add_bos_token, ...), in the reference's order. They come from the post_processor of
// tokenizer.json, then tokenizer_config.json (whose tokens count where tokenizer.json has them
// among its added ones), then config.json. Where none of them knows BOS or EOS, what
// special_tokens_map.json and the tokenizer itself say (of a tokenizer without a model also UNK and
// PAD). An id beyond the vocabulary is noted and
// left out. config_ids: of config.json by key, "bos_token_id"; has_model: whether there is one.
void SetSpecialTokenKeys(const TokenizerFiles& files, bool has_model,
                         const std::vector<std::pair<std::string, int64_t>>& config_ids,
                         const Vocabulary& vocabulary, Progress& progress, Metadata& keys);

// Sets tokenizer.chat_template, and where there are named ones tokenizer.chat_templates and
// tokenizer.chat_template.NAME: of tokenizer_config.json, chat_template.jinja (with
// additional_chat_templates/*.jinja) or chat_template.json.
void SetChatTemplateKeys(const TokenizerFiles& files, Progress& progress, Metadata& keys);

}  // namespace quern
