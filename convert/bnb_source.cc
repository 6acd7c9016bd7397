#include "convert/bnb_source.h"

#include <array>
#include <cstring>
#include <nlohmann/json.hpp>
#include <unordered_set>

#include "base/error.h"
#include "base/json_text.h"
#include "convert/json_fields.h"
#include "convert/quantization_config.h"
#include "convert/stored_tensor.h"
#include "kernels/codec.h"

// Formats: bitsandbytes' QuantState.as_dict and Linear8bitLt (0.45 to 0.50).
namespace quern {
namespace {

constexpr std::string_view kWeight = ".weight";
constexpr std::string_view kAbsmax = ".absmax", kQuantMap = ".quant_map",
                           kNestedAbsmax = ".nested_absmax", kNestedMap = ".nested_quant_map",
                           kQuantState = ".quant_state.bitsandbytes__", kScb = ".SCB",
                           kWeightFormat = ".weight_format";
constexpr uint64_t kMaxState = uint64_t{1} << 16;
constexpr int64_t kMaxBlock = int64_t{1} << 20;
constexpr size_t kNestedCodes = 256;
// LLM.int8 maps the largest magnitude of a row to this.
constexpr float kInt8Limit = 127;

// The name of the weight that the tensor `name` stands beside; nothing for one that is a tensor of
// its own.
std::optional<std::string> WeightBeside(const std::string& name) {
  if (const size_t at = name.find(kQuantState); at != std::string::npos) return name.substr(0, at);
  for (const std::string_view ending : {kNestedAbsmax, kAbsmax, kNestedMap, kQuantMap}) {
    if (name.ends_with(ending)) return name.substr(0, name.size() - ending.size());
  }
  for (const std::string_view ending : {kScb, kWeightFormat}) {
    if (name.ends_with(ending)) {
      return name.substr(0, name.size() - ending.size()) + std::string(kWeight);
    }
  }
  return std::nullopt;
}

// What the JSON of a quant_state says.
struct QuantState {
  TensorInfo info;
  BnbType type;
  int64_t block_size;
  int64_t nested_block_size = 0;  // 0: the scales are floats
  float nested_offset = 0;
};

Dtype FloatDtype(const JsonFields& fields, std::string_view key) {
  constexpr std::pair<std::string_view, std::string_view> kNames[] = {
      {"float32", "F32"}, {"float16", "F16"}, {"bfloat16", "BF16"}};
  const std::string text = fields.NeedText(key);
  for (const auto& [torch, name] : kNames) {
    if (text == torch) return *DtypeFromName(name);
  }
  Fail(ErrorKind::kUnsupported, "{}: the {} '{}' is not supported", fields.name(), key, text);
}

std::vector<int64_t> ShapeOf(const JsonFields& fields) {
  const nlohmann::json* sizes = fields.Array("shape");
  if (!sizes || sizes->empty() || sizes->size() > 4) {
    Fail(ErrorKind::kBadInput, "{}: 'shape' should have 1 to 4 dimensions", fields.name());
  }
  std::vector<int64_t> shape;
  for (const nlohmann::json& size : *sizes) {
    if (!size.is_number_unsigned() || size.get<uint64_t>() > uint64_t{1} << 62) {
      Fail(ErrorKind::kBadInput, "{}: 'shape' has a {:.40}, a size is wanted", fields.name(),
           size.dump(-1, ' ', true, nlohmann::json::error_handler_t::replace));
    }
    shape.push_back(static_cast<int64_t>(size.get<uint64_t>()));
  }
  return shape;
}

QuantState ParseState(std::string_view text, const std::string& name, const std::string& file,
                      const std::string& weight, std::string_view type_in_name) {
  const nlohmann::json json = ParseJson(text, name);
  const JsonFields fields(json, name);
  const std::string type = fields.NeedText("quant_type");
  const auto known = BnbTypeFromName(type);
  if (!known) Fail(ErrorKind::kUnsupported, "{}: the quant_type '{}' is not supported", name, type);
  if (type != type_in_name) {
    Fail(ErrorKind::kBadInput, "{}: says '{}' of itself", name, type);
  }
  QuantState state{
      .info = MakeTensorInfo(file, weight, FloatDtype(fields, "dtype"), ShapeOf(fields)),
      .type = *known,
      .block_size = fields.NeedInt("blocksize", 1, kMaxBlock)};
  if (!fields.Has("nested_blocksize")) return state;
  state.nested_block_size = fields.NeedInt("nested_blocksize", 1, kMaxBlock);
  if (FloatDtype(fields, "nested_dtype").type != Type::kF32) {
    Fail(ErrorKind::kUnsupported, "{}: a nested_dtype other than float32 is not supported", name);
  }
  const auto offset = fields.Number("nested_offset");
  if (!offset) Fail(ErrorKind::kBadInput, "{}: 'nested_offset' is missing", name);
  state.nested_offset = static_cast<float>(*offset);
  return state;
}

int64_t CeilDiv(int64_t a, int64_t b) { return a / b + (a % b != 0); }

}  // namespace

struct BnbSource::Parts {
  std::shared_ptr<const Checkpoint> checkpoint;
  std::vector<TensorInfo> tensors;
  std::vector<Place> places;
  std::string method;
};

// Sorts a checkpoint's tensors into weights and what stands beside them.
class BnbSource::Builder {
 public:
  explicit Builder(std::shared_ptr<const Checkpoint> checkpoint) : from_(*checkpoint) {
    parts_.checkpoint = std::move(checkpoint);
  }

  Parts Build() {
    for (const TensorInfo& tensor : from_.tensors()) {
      const auto weight = WeightBeside(tensor.name);
      if (!weight) continue;
      const size_t at = tensor.name.find(kQuantState);
      if (at != std::string::npos && !states_.emplace(*weight, tensor.name).second) {
        Fail(ErrorKind::kBadInput, "{}: tensor '{}' has two quant_states", from_.name(), *weight);
      }
    }
    for (size_t t = 0; t < from_.tensors().size(); ++t) {
      const std::string& name = from_.tensors()[t].name;
      if (!WeightBeside(name)) AddWeight(t, name);
    }
    for (const TensorInfo& tensor : from_.tensors()) {
      if (WeightBeside(tensor.name) && !used_.contains(tensor.name)) {
        Fail(ErrorKind::kBadInput, "{}: tensor '{}' belongs to no quantized weight", from_.name(),
             tensor.name);
      }
    }
    return std::move(parts_);
  }

 private:
  void AddWeight(size_t index, const std::string& name) {
    const auto state = states_.find(name);
    const std::string module(name.ends_with(kWeight)
                                 ? std::string_view(name).substr(0, name.size() - kWeight.size())
                                 : std::string_view());
    if (state != states_.end()) {
      AddFourBit(index, name, state->second);
    } else if (!module.empty() && from_.DtypeOf(index) == "I8" &&
               from_.Find(module + std::string(kScb))) {
      AddInt8(index, name, module);
    } else {
      parts_.tensors.push_back(from_.tensors()[index]);
      parts_.places.push_back({.weight = index});
    }
  }

  void AddFourBit(size_t index, const std::string& name, const std::string& state_name) {
    const size_t state_index = Need(state_name, "U8", std::nullopt);
    const auto bytes = static_cast<uint64_t>(from_.tensors()[state_index].bytes());
    const std::string what = fmt::format("{}: tensor '{}'", from_.PathOf(state_index), state_name);
    if (bytes > kMaxState) Fail(ErrorKind::kBadInput, "{} has {} bytes of JSON", what, bytes);
    std::string text(bytes, '\0');
    from_.ReadBytes(state_index, 0, std::as_writable_bytes(std::span(text)));
    const QuantState state =
        ParseState(text, what, from_.PathOf(index), name,
                   std::string_view(state_name).substr(name.size() + kQuantState.size()));
    const int64_t weights = state.info.elements(), packed = from_.tensors()[index].bytes();
    if (packed != CeilDiv(weights, 2)) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' ({}) needs {} bytes, it has {}",
           from_.PathOf(index), name, ShapeText(state.info.shape), CeilDiv(weights, 2), packed);
    }
    Place place{.weight = index, .kind = Kind::kFourBit, .block_size = state.block_size};
    const int64_t blocks = CeilDiv(weights, state.block_size);
    const auto map = ReadFloats(Need(name + std::string(kQuantMap), "F32", place.codebook.size()));
    std::copy(map.begin(), map.end(), place.codebook.begin());
    place.nested = state.nested_block_size > 0;
    place.absmax = Need(name + std::string(kAbsmax), place.nested ? "U8" : "F32", blocks);
    if (place.nested) {
      place.nested_block_size = state.nested_block_size;
      place.nested_offset = state.nested_offset;
      place.nested_codebook = ReadFloats(Need(name + std::string(kNestedMap), "F32", kNestedCodes));
      place.nested_absmax =
          Need(name + std::string(kNestedAbsmax), "F32", CeilDiv(blocks, state.nested_block_size));
    }
    Add(state.info, std::move(place),
        fmt::format("{}{}", NameOf(state.type), state.nested_block_size > 0 ? " (nested)" : ""));
  }

  void AddInt8(size_t index, const std::string& name, const std::string& module) {
    TensorInfo info = from_.tensors()[index];
    if (info.shape.size() != 2) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' ({}) should be a matrix", from_.PathOf(index),
           name, ShapeText(info.shape));
    }
    info.type = Type::kF32;
    const size_t scb = Need(module + std::string(kScb), "F32", info.rows());
    const std::string format = module + std::string(kWeightFormat);
    if (from_.Find(format)) {
      std::byte flag{};
      const size_t at = Need(format, "U8", 1);
      from_.ReadBytes(at, 0, std::span(&flag, 1));
      if (flag != std::byte{0}) {
        Fail(ErrorKind::kUnsupported,
             "{}: tensor '{}' says that the weight lies in format {}, only 0 (row by row) is known",
             from_.PathOf(at), format, static_cast<int>(flag));
      }
    }
    Add(std::move(info), {.weight = index, .kind = Kind::kInt8, .absmax = scb}, "int8");
  }

  void Add(TensorInfo info, Place place, const std::string& method) {
    parts_.tensors.push_back(std::move(info));
    parts_.places.push_back(std::move(place));
    if (parts_.method.empty()) parts_.method = method;
  }

  // The tensor beside a weight, of this dtype and (if it is said) number of elements.
  size_t Need(const std::string& name, std::string_view dtype, std::optional<int64_t> elements) {
    const auto found = from_.Find(name);
    if (!found) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}', which its weight needs, is missing",
           from_.name(), name);
    }
    const TensorInfo& tensor = from_.tensors()[*found];
    if (from_.DtypeOf(*found) != dtype || (elements && tensor.elements() != *elements)) {
      Fail(ErrorKind::kBadInput, "{}: tensor '{}' is {} ({}), {}{} is wanted", from_.PathOf(*found),
           name, from_.DtypeOf(*found), ShapeText(tensor.shape), dtype,
           elements ? fmt::format(" ({})", *elements) : "");
    }
    used_.insert(name);
    return *found;
  }

  std::vector<float> ReadFloats(size_t index) const {
    std::vector<float> values(static_cast<size_t>(from_.tensors()[index].elements()));
    from_.ReadBytes(index, 0, std::as_writable_bytes(std::span(values)));
    return values;
  }

  const Checkpoint& from_;
  Parts parts_;
  std::unordered_map<std::string, std::string> states_;  // quant_state's name by weight
  std::unordered_set<std::string> used_;
};

BnbSource::BnbSource(std::shared_ptr<const Checkpoint> checkpoint)
    : BnbSource(Builder(std::move(checkpoint)).Build()) {}

BnbSource::BnbSource(Parts parts)
    : TensorSource(parts.checkpoint->name(), std::move(parts.tensors)),
      checkpoint_(std::move(parts.checkpoint)),
      places_(std::move(parts.places)),
      method_(std::move(parts.method)) {}

bool BnbSource::IsQuantized(const Checkpoint& checkpoint) {
  for (const TensorInfo& tensor : checkpoint.tensors()) {
    if (WeightBeside(tensor.name)) return true;
  }
  return false;
}

// The scales of blocks [first, first + count).
std::vector<float> BnbSource::Scales(const Place& place, int64_t first, int64_t count) const {
  std::vector<float> scales(static_cast<size_t>(count));
  if (!place.nested) {
    checkpoint_->ReadBytes(place.absmax, static_cast<uint64_t>(first) * sizeof(float),
                           std::as_writable_bytes(std::span(scales)));
    return scales;
  }
  std::vector<std::byte> codes(scales.size());
  checkpoint_->ReadBytes(place.absmax, static_cast<uint64_t>(first), codes);
  const int64_t first_nested = first / place.nested_block_size;
  const int64_t last_nested = (first + count - 1) / place.nested_block_size;
  std::vector<float> outer(static_cast<size_t>(last_nested - first_nested + 1));
  checkpoint_->ReadBytes(place.nested_absmax, static_cast<uint64_t>(first_nested) * sizeof(float),
                         std::as_writable_bytes(std::span(outer)));
  for (int64_t i = 0; i < count; ++i) {
    const auto at = static_cast<size_t>(i);
    const auto block = static_cast<size_t>((first + i) / place.nested_block_size - first_nested);
    scales[at] =
        place.nested_codebook[static_cast<size_t>(codes[at])] * outer[block] + place.nested_offset;
  }
  return scales;
}

void BnbSource::ReadFourBit(const Place& place, int64_t first, std::span<float> out) const {
  const auto count = static_cast<int64_t>(out.size());
  const int64_t first_block = first / place.block_size;
  const int64_t last_block = (first + count - 1) / place.block_size;
  const auto scales = Scales(place, first_block, last_block - first_block + 1);
  std::vector<std::byte> codes(static_cast<size_t>((first + count + 1) / 2 - first / 2));
  checkpoint_->ReadBytes(place.weight, static_cast<uint64_t>(first / 2), codes);
  BnbDecode(place.codebook, codes, scales, place.block_size, first, out);
}

void BnbSource::ReadInt8(const Place& place, int64_t cols, int64_t first,
                         std::span<float> out) const {
  std::vector<int8_t> codes(out.size());
  checkpoint_->ReadBytes(place.weight, static_cast<uint64_t>(first * cols),
                         std::as_writable_bytes(std::span(codes)));
  std::vector<float> scales(out.size() / static_cast<size_t>(cols));
  checkpoint_->ReadBytes(place.absmax, static_cast<uint64_t>(first) * sizeof(float),
                         std::as_writable_bytes(std::span(scales)));
  for (size_t i = 0; i < out.size(); ++i) {
    out[i] = static_cast<float>(codes[i]) * scales[i / static_cast<size_t>(cols)] / kInt8Limit;
  }
}

void BnbSource::ReadRows(size_t index, int64_t first, int64_t count,
                         std::span<std::byte> out) const {
  const TensorInfo& tensor = tensors()[index];
  const Place& place = places_[index];
  QUERN_CHECK(first >= 0 && count >= 0 && first + count <= tensor.rows());
  QUERN_CHECK(static_cast<int64_t>(out.size()) == count * tensor.row_bytes());
  if (place.kind == Kind::kPlain) {
    checkpoint_->ReadRows(place.weight, first, count, out);
    return;
  }
  if (count == 0) return;
  std::vector<float> values(static_cast<size_t>(count * tensor.cols()));
  if (place.kind == Kind::kInt8) {
    ReadInt8(place, tensor.cols(), first, values);
  } else {
    ReadFourBit(place, first * tensor.cols(), values);
  }
  EncodeRows(tensor.type, values.data(), count, tensor.cols(), {}, out.data());
}

HfWeights DecodeWeights(std::shared_ptr<const Checkpoint> checkpoint) {
  if (!BnbSource::IsQuantized(*checkpoint)) return {checkpoint, checkpoint, nullptr};
  auto decoded = std::make_shared<BnbSource>(checkpoint);
  return {std::move(checkpoint), decoded, decoded};
}

HfWeights OpenWeights(const std::filesystem::path& path) {
  if (std::filesystem::is_directory(path)) CheckQuantizationOf(path);
  return DecodeWeights(Checkpoint::Open(path));
}

}  // namespace quern
