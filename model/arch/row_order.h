#pragma once

#include <cstdint>

#include "model/arch/arch.h"

namespace quern {

// Which naming a tensor's rows are brought into.
enum class RowDirection { kToGguf, kToHf };

// The rows of one head under `order`, or 0 where the rows stay as they are.
inline int64_t HeadRows(RowOrder order, int64_t head_dim) {
  return order == RowOrder::kAsIs ? 0 : head_dim;
}

// The row of the tensor as it is, which becomes `row` of the tensor as it is wanted; the heads have
// `head_rows` rows, an even number. See RowOrder.
inline int64_t SourceRow(RowDirection direction, int64_t row, int64_t head_rows) {
  const int64_t in_head = row % head_rows, half = head_rows / 2;
  const int64_t source = direction == RowDirection::kToGguf ? in_head / 2 + in_head % 2 * half
                                                            : in_head % half * 2 + in_head / half;
  return row - in_head + source;
}

}  // namespace quern
