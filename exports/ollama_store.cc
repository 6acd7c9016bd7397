#include "exports/ollama_store.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/cancel.h"
#include "base/error.h"
#include "base/sha256.h"

namespace quern {
namespace fs = std::filesystem;
namespace {

using Json = nlohmann::ordered_json;

constexpr uint64_t kPieceBytes = uint64_t{1} << 22;
constexpr std::string_view kManifestType = "application/vnd.docker.distribution.manifest.v2+json";
constexpr std::string_view kConfigType = "application/vnd.docker.container.image.v1+json";

std::string LayerType(std::string_view kind) {
  return fmt::format("application/vnd.ollama.image.{}", kind);
}

void MakeFolder(const fs::path& path) {
  std::error_code error;
  fs::create_directories(path, error);
  if (error || !fs::is_directory(path)) {
    Fail(ErrorKind::kOutput, "{}: the folder cannot be made: {}", path.string(), error.message());
  }
}

// Ollama's server may run as another user, which must be able to read.
void LetAllRead(const fs::path& path) { chmod(path.c_str(), 0644); }

void CopyFile(const fs::path& from, const fs::path& to, const std::string& hex) {
  const InputFile input(from);
  OutputFile output(to, Overwrite::kRefuse);
  output.Reserve(input.size());
  Sha256 hash;
  std::vector<std::byte> piece(std::min(kPieceBytes, input.size()));
  for (uint64_t at = 0; at < input.size(); at += piece.size()) {
    ThrowIfCancelled();
    const auto part = std::span(piece).first(std::min<uint64_t>(piece.size(), input.size() - at));
    input.ReadAt(at, part);
    if (!hex.empty()) hash.Update(part);
    output.WriteAt(at, part);
  }
  if (!hex.empty() && hash.HexDigest() != hex) {
    Fail(ErrorKind::kBadInput, "{}: changed while it was read", from.string());
  }
  LetAllRead(output.temporary_path());
  output.Commit();
}

// The file that Ollama writes for each model's config (types/model/config.go).
std::string ConfigText(const OllamaModel& model) {
  const Json config = {{"model_format", "gguf"},
                       {"model_family", model.family},
                       {"model_families", {model.family}},
                       {"model_type", model.size},
                       {"file_type", model.file_type},
                       {"architecture", "amd64"},
                       {"os", "linux"}};
  return config.dump() + "\n";
}

// The parameters as one object, in the order of their names.
std::string ParametersText(const OllamaModel& model) {
  nlohmann::json parameters = nlohmann::json::object();
  for (const auto& [name, value] : model.parameters) {
    parameters[name] = nlohmann::json::parse(value);
  }
  if (!model.stops.empty()) parameters["stop"] = model.stops;
  return parameters.dump() + "\n";
}

}  // namespace

void PlaceFile(const fs::path& from, const fs::path& to, Placing placing, const std::string& hex) {
  if (placing == Placing::kLink) {
    // Of the file itself, where `from` is a symbolic link.
    std::error_code error;
    const fs::path real = fs::canonical(from, error);
    if (!error && link(real.c_str(), to.c_str()) == 0) return;
  }
  CopyFile(from, to, hex);
}

OllamaStore::OllamaStore(fs::path root) : root_(std::move(root)) {
  MakeFolder(root_ / "blobs");
  MakeFolder(root_ / "manifests");
}

fs::path OllamaStore::BlobPath(const std::string& hex) const {
  return root_ / "blobs" / ("sha256-" + hex);
}

void OllamaStore::AddWeights(const fs::path& gguf, Placing placing, Progress& progress) {
  progress.Step(0, 2, "sha256 of " + gguf.string());
  Layer layer{LayerType("model"), Sha256::HexOfFile(gguf), fs::file_size(gguf)};
  const fs::path blob = BlobPath(layer.hex);
  std::error_code error;
  // Ollama trusts a blob by its name. One of another size is what some other program left.
  if (fs::file_size(blob, error) != layer.size || error) {
    progress.Step(1, 2, blob.string());
    fs::remove(blob, error);
    PlaceFile(gguf, blob, placing, layer.hex);
  }
  progress.Step(2, 2, blob.string());
  layers_.push_back(std::move(layer));
}

OllamaStore::Layer OllamaStore::AddText(std::string_view media_type, std::string_view text) {
  const auto bytes = std::as_bytes(std::span(text));
  Layer layer{std::string(media_type), Sha256::HexOf(bytes), text.size()};
  const fs::path blob = BlobPath(layer.hex);
  std::error_code error;
  if (fs::file_size(blob, error) != layer.size || error) {
    OutputFile file(blob, Overwrite::kReplace);
    file.WriteAt(0, bytes);
    LetAllRead(file.temporary_path());
    file.Commit();
  }
  return layer;
}

std::string OllamaStore::ManifestText(const Layer& config) const {
  const auto described = [](const Layer& layer) {
    return Json{
        {"mediaType", layer.media_type}, {"digest", "sha256:" + layer.hex}, {"size", layer.size}};
  };
  Json manifest = {
      {"schemaVersion", 2}, {"mediaType", kManifestType}, {"config", described(config)}};
  manifest["layers"] = Json::array();
  for (const Layer& layer : layers_) manifest["layers"].push_back(described(layer));
  return manifest.dump() + "\n";
}

fs::path OllamaStore::Commit(const OllamaName& name, const OllamaModel& model,
                             Overwrite overwrite) {
  QUERN_CHECK(!layers_.empty());
  if (!model.chat_template.empty()) {
    layers_.push_back(AddText(LayerType("template"), model.chat_template));
  }
  if (!model.system.empty()) layers_.push_back(AddText(LayerType("system"), model.system));
  for (const std::string& license : model.licenses) {
    layers_.push_back(AddText(LayerType("license"), license));
  }
  if (!model.parameters.empty() || !model.stops.empty()) {
    layers_.push_back(AddText(LayerType("params"), ParametersText(model)));
  }
  const std::string text = ManifestText(AddText(kConfigType, ConfigText(model)));

  const fs::path path = root_ / "manifests" / name.Path();
  MakeFolder(path.parent_path());
  if (fs::is_regular_file(path) && ReadFile(path) == text) return path;
  OutputFile manifest(path, overwrite);
  manifest.WriteAt(0, std::as_bytes(std::span(text)));
  LetAllRead(manifest.temporary_path());
  manifest.Commit();
  return path;
}

}  // namespace quern
