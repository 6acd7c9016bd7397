#pragma once

#include <map>
#include <nlohmann/json_fwd.hpp>
#include <string>
#include <vector>

namespace quern::testing {

// "1,681,262", for --tokens.
std::string JoinedIds(const nlohmann::json& ids);

// What `quern logits` gives with these arguments: the logits of the best `count` tokens, by token.
std::map<int, double> LogitsOf(std::vector<std::string> arguments, int count);

// The largest difference; both must be of the same tokens.
double LargestDifference(const std::map<int, double>& one, const std::map<int, double>& other);

}  // namespace quern::testing
