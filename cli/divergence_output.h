#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>

#include "model/eval/divergence.h"
#include "model/eval/product_types.h"

// How the commands that compare models tell what they found.
namespace quern::cli {

// {"ppl": ..., "ppl_base": ..., "kld": {"mean": ..., "median": ..., ...}, "same_top": ..., ...}
nlohmann::json JsonOf(const Divergence& divergence);
// {"rounded_to_8_bits": ["q4_K"], "float32": ["f32"]}: what products do to activations.
nlohmann::json JsonOf(const ProductTypes& types);

// The table of llama-perplexity --kl-divergence, on stdout.
void PrintText(const Divergence& divergence);
// "rounded to 8 bits with q4_K, q6_K; float32 with f32".
std::string TextOf(const ProductTypes& types);

}  // namespace quern::cli
