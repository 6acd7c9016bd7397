#include "base/sha256.h"

#include <doctest/doctest.h>

#include <algorithm>
#include <span>
#include <string>

#include "tests/support/paths.h"

namespace quern {
namespace {

TEST_CASE("sha256 of FIPS 180-4's examples, whole and in pieces") {
  const auto of = [](const std::string& text) {
    return Sha256::HexOf(std::as_bytes(std::span(text)));
  };
  CHECK(of("") == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  CHECK(of("abc") == "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  const std::string million(1000000, 'a');
  CHECK(of(million) == "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
  Sha256 pieces;
  for (size_t at = 0; at < million.size(); at += 997) {
    pieces.Update(
        std::as_bytes(std::span(million).subspan(at, std::min<size_t>(997, million.size() - at))));
  }
  CHECK(pieces.HexDigest() == of(million));

  const testing::TempDir dir;
  const std::string large(9'000'001, 'x');
  testing::WriteText(dir / "large", large);
  CHECK(Sha256::HexOfFile(dir / "large") == of(large));
}

}  // namespace
}  // namespace quern
