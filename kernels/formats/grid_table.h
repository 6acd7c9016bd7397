#pragma once

#include <cstdint>
#include <vector>

#include "gguf/types.h"
#include "kernels/lane.h"

namespace quern {

// For every combination of levels that rounding can give, the points of an IQ type's grid that the
// encoder chooses from: the point itself where the grid has it, else those in the two or three (one
// for iq2_s) nearest shells of integer distance, by distance and then by index. The search takes
// the first of the nearest, so this order is part of the bytes (facts: iq2xs_init_impl,
// iq3xs_init_impl).
//
// A point is a code as in grid_codes.h. Grids of eight positions have levels 0 to 2, those of four
// 0 to 7; the number of a combination has the first position as its lowest digit, to base 3 or 8.
struct GridTable {
  // Codes in runs of kRun, the last run filled up with the first code; a list begins at a multiple
  // of kAlign.
  static constexpr int kRun = 16;
  static constexpr int kMaxRuns = 24;
  static constexpr int kAlign = 8;

  struct Choice {
    uint32_t first;  // in `codes`, or the code itself where count is 0: the point is on the grid
    uint32_t count;

    QUERN_LANE bool on_grid() const { return count == 0; }
    QUERN_LANE int runs() const { return static_cast<int>((count + kRun - 1) / kRun); }
  };

  int positions;                // 8 or 4
  std::vector<Choice> choices;  // by number of the combination
  std::vector<uint16_t> codes;
  std::vector<int32_t> index;  // by code: index in the grid, -1 for what it does not have
};

// A table as the encoders see it, in the memory of a processor or of a GPU.
struct GridView {
  const GridTable::Choice* choices;
  const uint16_t* codes;
  const int32_t* index;
};
inline GridView ViewOf(const GridTable& table) {
  return {table.choices.data(), table.codes.data(), table.index.data()};
}

// The table of iq2_xxs, iq2_xs, iq2_s, iq1_s, iq1_m, iq3_xxs or iq3_s, made on first use (some tens
// of milliseconds); threads may ask at once.
const GridTable& GridTableOf(Type type);

}  // namespace quern
