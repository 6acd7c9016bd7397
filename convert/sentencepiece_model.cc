#include "convert/sentencepiece_model.h"

#include <bit>
#include <cmath>
#include <optional>

#include "base/cursor.h"

namespace quern {
namespace {

// Field numbers of sentencepiece_model.proto.
enum ModelField { kPieces = 1, kTrainer = 2, kNormalizer = 3 };
enum PieceField { kText = 1, kScore = 2, kType = 3 };
enum TrainerField { kAlgorithm = 3, kUnkId = 40, kBosId = 41, kEosId = 42, kPadId = 43 };
enum NormalizerField { kCharacterMap = 2, kDummyPrefix = 3, kExtraSpaces = 4 };

// The largest vocabulary in use has about 256 thousand pieces.
constexpr size_t kMaxPieces = size_t{1} << 24;

enum class Wire { kVarint = 0, kFixed64 = 1, kBytes = 2, kFixed32 = 5 };

uint64_t ReadVarint(Cursor& in) {
  uint64_t value = 0;
  for (int shift = 0; shift < 70; shift += 7) {
    const auto byte = in.Read<uint8_t>("a varint");
    if (shift == 63 && byte > 1) break;
    value |= uint64_t{byte & 0x7Fu} << shift;
    if (byte < 0x80) return value;
  }
  Fail(ErrorKind::kBadInput, "{}: the varint before byte {} is longer than 64 bits", in.name(),
       in.position());
}

struct Field {
  uint64_t number = 0;
  Wire wire = Wire::kVarint;
  uint64_t value = 0;                // of a number; a float's bits
  std::span<const std::byte> bytes;  // of a text or message
};

// The next field of a message, or nothing at its end.
std::optional<Field> NextField(Cursor& in) {
  if (in.remaining() == 0) return std::nullopt;
  const size_t start = in.position();
  const uint64_t tag = ReadVarint(in);
  Field field{.number = tag >> 3, .wire = static_cast<Wire>(tag & 7), .bytes = {}};
  switch (field.wire) {
    case Wire::kVarint:
      field.value = ReadVarint(in);
      return field;
    case Wire::kFixed64:
      field.value = in.Read<uint64_t>("a number");
      return field;
    case Wire::kFixed32:
      field.value = in.Read<uint32_t>("a number");
      return field;
    case Wire::kBytes:
      field.bytes = in.Bytes(ReadVarint(in), "a protobuf field");
      return field;
  }
  Fail(ErrorKind::kBadInput, "{}: is no protobuf: byte {} begins a field of wire type {}",
       in.name(), start, tag & 7);
}

std::string TextOf(const Field& field) {
  return {reinterpret_cast<const char*>(field.bytes.data()), field.bytes.size()};
}

TokenType TypeOf(uint64_t number, const std::string& name, size_t id) {
  switch (number) {
    case 1:
      return TokenType::kNormal;
    case 2:
      return TokenType::kUnknown;
    case 3:
      return TokenType::kControl;
    case 4:
      return TokenType::kUserDefined;
    case 5:
      return TokenType::kUnused;
    case 6:
      return TokenType::kByte;
  }
  Fail(ErrorKind::kBadInput, "{}: piece {} is of type {}, which sentencepiece does not have", name,
       id, number);
}

SentencePiece ReadPiece(const Field& message, const std::string& name, size_t id) {
  SentencePiece piece;
  Cursor in(message.bytes, name);
  while (const auto field = NextField(in)) {
    if (field->number == kText && field->wire == Wire::kBytes) piece.text = TextOf(*field);
    if (field->number == kScore && field->wire == Wire::kFixed32) {
      piece.score = std::bit_cast<float>(static_cast<uint32_t>(field->value));
    }
    if (field->number == kType && field->wire == Wire::kVarint) {
      piece.type = TypeOf(field->value, name, id);
    }
  }
  if (!std::isfinite(piece.score)) {
    Fail(ErrorKind::kBadInput, "{}: the score of piece {} is {}", name, id, piece.score);
  }
  return piece;
}

void ReadTrainer(const Field& message, const std::string& name, SentencePieceModel& model) {
  Cursor in(message.bytes, name);
  while (const auto field = NextField(in)) {
    if (field->wire != Wire::kVarint) continue;
    // Ids are int32: -1 comes as ten bytes.
    const auto id = int64_t{static_cast<int32_t>(field->value)};
    if (field->number == kUnkId) model.unk = id;
    if (field->number == kBosId) model.bos = id;
    if (field->number == kEosId) model.eos = id;
    if (field->number == kPadId) model.pad = id;
    if (field->number == kAlgorithm) {
      if (field->value < 1 || field->value > 4) {
        Fail(ErrorKind::kBadInput, "{}: model_type is {}, sentencepiece has 1 to 4", name,
             field->value);
      }
      model.algorithm = static_cast<SentencePieceModel::Algorithm>(field->value);
    }
  }
}

void ReadNormalizer(const Field& message, const std::string& name, SentencePieceModel& model) {
  Cursor in(message.bytes, name);
  while (const auto field = NextField(in)) {
    if (field->number == kCharacterMap && field->wire == Wire::kBytes) {
      model.has_character_map = !field->bytes.empty();
    }
    if (field->wire != Wire::kVarint) continue;
    if (field->number == kDummyPrefix) model.adds_dummy_prefix = field->value != 0;
    if (field->number == kExtraSpaces) model.removes_extra_spaces = field->value != 0;
  }
}

void CheckIds(const std::string& name, SentencePieceModel& model) {
  const auto count = static_cast<int64_t>(model.pieces.size());
  for (int64_t* id : {&model.unk, &model.bos, &model.eos, &model.pad}) {
    if (*id < 0) *id = -1;
    if (*id >= count) {
      Fail(ErrorKind::kBadInput, "{}: a special id is {}, there are {} pieces", name, *id, count);
    }
  }
}

}  // namespace

SentencePieceModel ParseSentencePieceModel(std::span<const std::byte> bytes,
                                           const std::string& name) {
  SentencePieceModel model;
  Cursor in(bytes, name);
  while (const auto field = NextField(in)) {
    if (field->wire != Wire::kBytes) continue;
    if (field->number == kPieces) {
      if (model.pieces.size() == kMaxPieces) {
        Fail(ErrorKind::kBadInput, "{}: has more than {} pieces", name, kMaxPieces);
      }
      model.pieces.push_back(ReadPiece(*field, name, model.pieces.size()));
    }
    if (field->number == kTrainer) ReadTrainer(*field, name, model);
    if (field->number == kNormalizer) ReadNormalizer(*field, name, model);
  }
  if (model.pieces.empty()) {
    Fail(ErrorKind::kBadInput, "{}: is no SentencePiece model, it has no pieces", name);
  }
  CheckIds(name, model);
  return model;
}

bool LooksLikeSentencePiece(std::span<const std::byte> bytes) {
  return bytes.size() > 2 && bytes[0] == std::byte{kPieces << 3 | static_cast<int>(Wire::kBytes)};
}

}  // namespace quern
