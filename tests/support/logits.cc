#include "tests/support/logits.h"

#include <doctest/doctest.h>

#include <cmath>
#include <nlohmann/json.hpp>

#include "tests/support/process.h"

namespace quern::testing {

std::string JoinedIds(const nlohmann::json& ids) {
  std::string text;
  for (const auto& id : ids) text += (text.empty() ? "" : ",") + std::to_string(id.get<int>());
  return text;
}

std::map<int, double> LogitsOf(std::vector<std::string> arguments, int count) {
  arguments.insert(arguments.begin(), "logits");
  for (const std::string& more :
       {std::string("--top"), std::to_string(count), std::string("--json")}) {
    arguments.push_back(more);
  }
  const auto result = Quern(arguments);
  CAPTURE(arguments);
  CAPTURE(result.err);
  REQUIRE(result.exit_code == 0);
  const auto answer = nlohmann::json::parse(result.out);
  std::map<int, double> logits;
  for (const auto& entry : answer["top"]) {
    logits[entry["id"].get<int>()] = entry["logit"].get<double>();
  }
  return logits;
}

double LargestDifference(const std::map<int, double>& one, const std::map<int, double>& other) {
  REQUIRE(one.size() == other.size());
  double worst = 0;
  for (const auto& [id, logit] : one) {
    REQUIRE(other.contains(id));
    worst = std::max(worst, std::fabs(logit - other.at(id)));
  }
  return worst;
}

}  // namespace quern::testing
