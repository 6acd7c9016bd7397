#pragma once

#include <filesystem>
#include <map>
#include <nlohmann/json.hpp>
#include <string>
#include <vector>

namespace quern::testing {

// A PEFT adapter in memory, to be changed and written again.
struct AdapterFiles {
  struct Tensor {
    std::vector<int64_t> shape;  // in PyTorch's order
    std::vector<float> values;
  };
  nlohmann::json config;
  std::map<std::string, Tensor> tensors;

  // An adapter whose tensors are in float32.
  static AdapterFiles Read(const std::filesystem::path& folder);
  // Into a folder that is not there yet.
  void Write(const std::filesystem::path& folder) const;

  // Gives the tensor another name.
  void Rename(const std::string& from, const std::string& to);
  // The same for what `from` stands in of all names.
  void RenameAll(const std::string& from, const std::string& to);
};

}  // namespace quern::testing
