#pragma once

#include <nlohmann/json_fwd.hpp>

#include "model/divergence.h"

namespace quern::cli {

// {"ppl": ..., "ppl_base": ..., "kld": {"mean": ..., "median": ..., ...}, "same_top": ..., ...}
nlohmann::json JsonOf(const Divergence& divergence);

}  // namespace quern::cli
