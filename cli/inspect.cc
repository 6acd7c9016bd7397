#include <fmt/format.h>

#include <cstdio>
#include <map>
#include <nlohmann/json.hpp>

#include "base/error.h"
#include "cli/arguments.h"
#include "cli/commands.h"
#include "cli/json_output.h"
#include "gguf/gguf_reader.h"

namespace quern::cli {
namespace {

constexpr size_t kShownElements = 8;
constexpr size_t kShownText = 60;

struct Options {
  std::string file;
  bool json = false;
};

// Text that may hold any bytes, for one line of a terminal.
std::string Printable(std::string_view text) {
  std::string out;
  for (const char c : text.substr(0, kShownText)) {
    const auto byte = static_cast<unsigned char>(c);
    if (byte < 0x20 || byte == 0x7F) {
      out += fmt::format("\\x{:02x}", byte);
    } else {
      out += c;
    }
  }
  if (text.size() > kShownText) out += fmt::format("... ({} bytes)", text.size());
  return out;
}

nlohmann::json JsonOf(const Value& value) {
  return std::visit(
      [](const auto& v) -> nlohmann::json {
        using T = std::decay_t<decltype(v)>;
        if constexpr (!std::is_same_v<T, Array>) {
          return v;
        } else if (v.type() == ValueType::kString) {
          return v.strings();
        } else if (v.type() == ValueType::kF32 || v.type() == ValueType::kF64) {
          return v.ToDoubles();
        } else {
          return v.ToInts();
        }
      },
      value.variant());
}

std::string TextOf(const Array& array) {
  std::string out = fmt::format("[{} x {}]", array.size(), NameOf(array.type()));
  const size_t shown = std::min(array.size(), kShownElements);
  const auto numbers = array.ToDoubles();
  for (size_t i = 0; i < shown; ++i) {
    out += i == 0 ? " " : ", ";
    out += array.type() == ValueType::kString ? fmt::format("'{}'", Printable(array.strings()[i]))
                                              : fmt::format("{}", numbers[i]);
  }
  return array.size() > shown ? out + ", ..." : out;
}

std::string TextOf(const Value& value) {
  return std::visit(
      [](const auto& v) -> std::string {
        using T = std::decay_t<decltype(v)>;
        if constexpr (std::is_same_v<T, Array>)
          return TextOf(v);
        else if constexpr (std::is_same_v<T, std::string>)
          return Printable(v);
        else
          return fmt::format("{}", v);
      },
      value.variant());
}

struct Totals {
  std::map<std::string_view, int64_t> bytes_of_type;
  int64_t bytes = 0, elements = 0;
  double bits_per_weight() const {
    return elements ? 8.0 * static_cast<double>(bytes) / static_cast<double>(elements) : 0;
  }
};

Totals TotalsOf(const GgufModel& model) {
  Totals totals;
  for (const TensorInfo& tensor : model.tensors()) {
    totals.bytes_of_type[NameOf(tensor.type)] += tensor.bytes();
    totals.bytes += tensor.bytes();
    totals.elements += tensor.elements();
  }
  return totals;
}

void PrintJson(const GgufModel& model) {
  nlohmann::ordered_json out;
  out["file"] = model.name();
  out["version"] = model.header(0).version;
  out["byte_order"] = model.header(0).order == ByteOrder::kBig ? "big" : "little";
  out["files"] = model.file_count();
  out["keys"] = nlohmann::ordered_json::object();
  for (const auto& [key, value] : model.metadata().entries()) {
    out["keys"][key] = {{"type", NameOf(value.type())}, {"value", JsonOf(value)}};
  }
  out["tensors"] = nlohmann::ordered_json::array();
  for (size_t i = 0; i < model.tensors().size(); ++i) {
    const TensorInfo& tensor = model.tensors()[i];
    out["tensors"].push_back({{"name", tensor.name},
                              {"type", NameOf(tensor.type)},
                              {"shape", tensor.shape},
                              {"bytes", tensor.bytes()},
                              {"file", model.FileOf(i)},
                              {"offset", model.OffsetOf(i)}});
  }
  const Totals totals = TotalsOf(model);
  out["weights"] = totals.elements;
  out["tensor_bytes"] = totals.bytes;
  out["bits_per_weight"] = totals.bits_per_weight();
  // Keys may hold bytes that are no UTF-8; they are shown as the replacement character.
  WriteJson(out);
}

void PrintText(const GgufModel& model) {
  const GgufHeader& header = model.header(0);
  fmt::print("{}: GGUF v{}, {}-endian, {} file{}, {} bytes\n\n", model.name(), header.version,
             header.order == ByteOrder::kBig ? "big" : "little", model.file_count(),
             model.file_count() == 1 ? "" : "s", model.TotalBytes());
  for (const auto& [key, value] : model.metadata().entries()) {
    fmt::print("{:<45} {:<5} {}\n", Printable(key), NameOf(value.type()), TextOf(value));
  }
  fmt::print("\n{:<32} {:<8} {:>20} {:>14}\n", "tensor", "type", "shape", "bytes");
  for (const TensorInfo& tensor : model.tensors()) {
    fmt::print("{:<32} {:<8} {:>20} {:>14}\n", Printable(tensor.name), NameOf(tensor.type),
               ShapeText(tensor.shape), tensor.bytes());
  }
  const Totals totals = TotalsOf(model);
  fmt::print("\n{} tensors, {} weights, {} bytes, {:.2f} bits per weight\n", model.tensors().size(),
             totals.elements, totals.bytes, totals.bits_per_weight());
  for (const auto& [type, bytes] : totals.bytes_of_type) {
    fmt::print("  {:<8} {:>14} bytes  {:5.1f} %\n", type, bytes,
               100.0 * static_cast<double>(bytes) / static_cast<double>(totals.bytes));
  }
}

}  // namespace

std::function<int()> DefineInspect(const Arguments& arguments) {
  auto options = std::make_shared<Options>();
  arguments.Option("FILE", options->file, "A GGUF file, or the first of its splits").Required();
  arguments.Flag("--json", options->json, "Everything, as JSON");
  arguments.Footer("Example:\n  quern inspect model-q4_k_m.gguf");
  return [options] {
    const auto model = GgufModel::Open(options->file);
    if (options->json) {
      PrintJson(*model);
    } else {
      PrintText(*model);
    }
    return 0;
  };
}

}  // namespace quern::cli
