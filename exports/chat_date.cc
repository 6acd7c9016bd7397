#include "exports/chat_date.h"

#include <ctime>

#include "base/error.h"

namespace quern {
namespace {

constexpr std::string_view kMonths[] = {"January",   "February", "March",    "April",
                                        "May",       "June",     "July",     "August",
                                        "September", "October",  "November", "December"};

void WriteMonth(size_t letters, GoWriter& writer) {
  for (int month = 1; month <= 12; ++month) {
    const std::string test = fmt::format("if eq (slice currentDate 5 7) \"{:02}\"", month);
    // No line ends here: the name must stand between what is around it.
    writer.Print((month == 1 ? "" : "else ") + test);
    writer.Text(kMonths[month - 1].substr(0, letters));
  }
  writer.Print("end");
}

}  // namespace

const std::string_view kGoDateFormats[] = {"%Y-%m-%d",  "%d %b %Y", "%d %B %Y", "%B %d, %Y",
                                           "%b %d, %Y", "%d/%m/%Y", "%m/%d/%Y", "%d.%m.%Y",
                                           "%Y/%m/%d",  "%Y%m%d",   "%B %Y",    "%Y"};
const int kGoDateFormatCount = std::size(kGoDateFormats);

std::string FormatDate(std::string_view format, int64_t seconds) {
  const std::time_t time = seconds;
  std::tm local = {};
  localtime_r(&time, &local);
  char text[256];
  return {text, std::strftime(text, sizeof(text), std::string(format).c_str(), &local)};
}

void WriteGoDate(std::string_view format, GoWriter& writer) {
  if (format == "%Y-%m-%d") return writer.Print("currentDate");
  for (size_t i = 0; i < format.size(); ++i) {
    if (format[i] != '%') {
      writer.Text(format.substr(i, 1));
      continue;
    }
    switch (format[++i]) {
      case 'Y':
        writer.Print("slice currentDate 0 4");
        break;
      case 'm':
        writer.Print("slice currentDate 5 7");
        break;
      case 'd':
        writer.Print("slice currentDate 8");
        break;
      case 'b':
        WriteMonth(3, writer);
        break;
      case 'B':
        WriteMonth(std::string_view::npos, writer);
        break;
      default:
        QUERN_CHECK(false);
    }
  }
}

}  // namespace quern
