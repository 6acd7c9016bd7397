#include "kernels/formats/grid_table.h"

#include <algorithm>
#include <span>

#include "base/error.h"
#include "kernels/formats/grid_codes.h"

namespace quern {
namespace {

// Builds the choices of one grid; `shells` distinct distances are kept.
class Builder {
 public:
  Builder(std::span<const uint16_t> points, int positions, int shells)
      : points_(points),
        bits_(positions == 8 ? 2 : 3),
        levels_(positions == 8 ? 3 : 8),
        shells_(shells),
        distances_(points.size()) {
    table_.positions = positions;
    table_.index.assign(65536, -1);
    for (size_t i = 0; i < points.size(); ++i) table_.index[points[i]] = static_cast<int32_t>(i);
    // Level by position, so that the distances of all points are loops over neighbours in memory.
    for (int p = 0; p < positions; ++p) {
      std::vector<int16_t>& column = columns_.emplace_back(points.size());
      for (size_t i = 0; i < points.size(); ++i) column[i] = Digit(points[i], p);
    }
  }

  GridTable Build() {
    int combinations = 1;
    for (int p = 0; p < table_.positions; ++p) combinations *= levels_;
    for (int n = 0; n < combinations; ++n) Add(n);
    return std::move(table_);
  }

 private:
  int16_t Digit(unsigned code, int position) const {
    return static_cast<int16_t>((code >> (bits_ * position)) & ((1u << bits_) - 1));
  }

  void Add(int number) {
    unsigned code = 0;
    std::fill(distances_.begin(), distances_.end(), int16_t{0});
    for (int p = 0, rest = number; p < table_.positions; ++p, rest /= levels_) {
      const auto level = static_cast<int16_t>(rest % levels_);
      code |= static_cast<unsigned>(level) << (bits_ * p);
      for (size_t i = 0; i < points_.size(); ++i) {
        const auto difference = static_cast<int16_t>(columns_[p][i] - level);
        distances_[i] = static_cast<int16_t>(distances_[i] + difference * difference);
      }
    }
    if (table_.index[code] >= 0) {
      table_.choices.push_back({code, 0});
      return;
    }
    while (table_.codes.size() % GridTable::kAlign != 0) table_.codes.push_back(0);
    const auto first = static_cast<uint32_t>(table_.codes.size());
    AddShells();
    const auto count = static_cast<uint32_t>(table_.codes.size()) - first;
    table_.choices.push_back({first, count});
    QUERN_CHECK(table_.choices.back().runs() <= GridTable::kMaxRuns);
    while (table_.codes.size() % GridTable::kRun != first % GridTable::kRun) {
      table_.codes.push_back(table_.codes[first]);
    }
  }

  void AddShells() {
    int16_t done = -1;
    for (int shell = 0; shell < shells_; ++shell) {
      int16_t next = INT16_MAX;
      for (const int16_t d : distances_) next = d > done && d < next ? d : next;
      for (size_t i = 0; i < points_.size(); ++i) {
        if (distances_[i] == next) table_.codes.push_back(points_[i]);
      }
      done = next;
    }
  }

  const std::span<const uint16_t> points_;
  const int bits_;
  const int levels_;
  const int shells_;
  std::vector<std::vector<int16_t>> columns_;
  std::vector<int16_t> distances_;
  GridTable table_;
};

}  // namespace

const GridTable& GridTableOf(Type type) {
  switch (type) {
    case Type::kIQ2_XXS: {
      static const GridTable kTable = Builder(kIq2XxsCodes, 8, 2).Build();
      return kTable;
    }
    case Type::kIQ2_XS: {
      static const GridTable kTable = Builder(kIq2XsCodes, 8, 2).Build();
      return kTable;
    }
    case Type::kIQ2_S: {
      static const GridTable kTable = Builder(kIq2SCodes, 8, 1).Build();
      return kTable;
    }
    case Type::kIQ3_XXS: {
      static const GridTable kTable = Builder(kIq3XxsCodes, 4, 2).Build();
      return kTable;
    }
    case Type::kIQ3_S: {
      static const GridTable kTable = Builder(kIq3SCodes, 4, 3).Build();
      return kTable;
    }
    default: {
      QUERN_CHECK(type == Type::kIQ1_S || type == Type::kIQ1_M);
      static const GridTable kTable = Builder(kIq1Codes, 8, 3).Build();
      return kTable;
    }
  }
}

}  // namespace quern
