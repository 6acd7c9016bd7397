#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "exports/go_writer.h"

namespace quern {

// The local date as strftime writes it.
std::string FormatDate(std::string_view format, int64_t seconds);

// Formats of dates that can be made of Ollama's currentDate, which is "2006-01-02".
extern const std::string_view kGoDateFormats[];
extern const int kGoDateFormatCount;

// Writes the date in one of them.
void WriteGoDate(std::string_view format, GoWriter& writer);

}  // namespace quern
