#include "tests/support/adapter_files.h"

#include <cstring>
#include <span>

#include "convert/checkpoint.h"
#include "tests/support/paths.h"

namespace quern::testing {
namespace fs = std::filesystem;
using nlohmann::json;

AdapterFiles AdapterFiles::Read(const fs::path& folder) {
  AdapterFiles files;
  files.config = json::parse(ReadText(folder / "adapter_config.json"));
  const auto checkpoint = Checkpoint::Open(folder / "adapter_model.safetensors");
  for (size_t t = 0; t < checkpoint->tensors().size(); ++t) {
    const TensorInfo& info = checkpoint->tensors()[t];
    if (info.type != Type::kF32) throw std::logic_error(info.name + " is not in float32");
    Tensor& tensor = files.tensors[info.name];
    tensor.shape.assign(info.shape.rbegin(), info.shape.rend());
    tensor.values.resize(static_cast<size_t>(info.elements()));
    const auto bytes = checkpoint->ReadAll(t);
    std::memcpy(tensor.values.data(), bytes.data(), bytes.size());
  }
  return files;
}

void AdapterFiles::Write(const fs::path& folder) const {
  json header = json::object();
  std::string data;
  for (const auto& [name, tensor] : tensors) {
    const auto bytes = std::as_bytes(std::span(tensor.values));
    header[name] = {{"dtype", "F32"},
                    {"shape", tensor.shape},
                    {"data_offsets", {data.size(), data.size() + bytes.size()}}};
    data.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  }
  const std::string text = header.dump();
  const uint64_t size = text.size();
  std::string file(sizeof(size), '\0');
  std::memcpy(file.data(), &size, sizeof(size));
  fs::create_directories(folder);
  WriteText(folder / "adapter_config.json", config.dump(1));
  WriteText(folder / "adapter_model.safetensors", file + text + data);
}

void AdapterFiles::Rename(const std::string& from, const std::string& to) {
  auto node = tensors.extract(from);
  if (node.empty()) throw std::logic_error("there is no tensor " + from);
  node.key() = to;
  tensors.insert(std::move(node));
}

void AdapterFiles::RenameAll(const std::string& from, const std::string& to) {
  std::map<std::string, Tensor> renamed;
  for (auto& [name, tensor] : tensors) {
    std::string other = name;
    if (const size_t at = other.find(from); at != std::string::npos) {
      other.replace(at, from.size(), to);
    }
    renamed[other] = std::move(tensor);
  }
  tensors = std::move(renamed);
}

}  // namespace quern::testing
