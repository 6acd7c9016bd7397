#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "gguf/types.h"

// The table of goldens/blocks.csv, made anew from our encoders: 16 rows of 1024 weights of nine
// kinds and three importance matrices, from a seed. goldens/README.md tells how the numbers are
// drawn.
namespace quern::testing {

inline constexpr int64_t kBlockRows = 16;
inline constexpr int64_t kBlockCols = 1024;

// "type,input,imatrix,bytes,xxh64,xxh64_decoded"
std::string_view BlockTableHeader();

// The types that have lines: all that can be encoded, but f32.
std::vector<Type> BlockTypes();

// The lines of one type, in the order of the table.
std::vector<std::string> BlockLines(Type type, uint64_t seed);

std::vector<std::string_view> BlockInputNames();
std::vector<float> BlockInput(size_t kind, uint64_t seed);
// kBlockRows rows in which many points of a grid are equally far, or but for a last bit: magnitudes
// of few odd multiples, some a float's step larger or smaller.
std::vector<float> TiedInput(uint64_t seed);
// kBlockCols values; empty for matrix 0, which is none.
std::vector<float> BlockImportance(size_t matrix, uint64_t seed);

}  // namespace quern::testing
