#pragma once

#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>
#include <string>
#include <vector>

namespace quern {

// An importance matrix: for each weight tensor the mean square of what each of its columns is
// multiplied with, per slice (expert) of a 3-D tensor.
struct Imatrix {
  std::string name;                   // of the file
  std::vector<std::string> datasets;  // what it was measured on
  int64_t chunks = 0;                 // how much of it; 0 where the file does not say
  std::map<std::string, std::vector<float>> weights;  // by the tensor's name: cols * slices

  // Keeps the tensors whose names hold one of the words, or those that hold none.
  void Include(std::span<const std::string> words);
  void Exclude(std::span<const std::string> words);
};

// Reads the GGUF form (X.in_sum2 and X.counts) or llama.cpp's old .dat. Errors: kBadInput where the
// file is neither, is cut short or contradicts itself; kNonFinite for NaN or Inf.
Imatrix ReadImatrix(const std::filesystem::path& path);

// The old .dat alone, from bytes.
Imatrix ParseDatImatrix(std::span<const std::byte> bytes, const std::string& name);

}  // namespace quern
