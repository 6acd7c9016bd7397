#include <doctest/doctest.h>

#include <nlohmann/json.hpp>

#include "tests/support/paths.h"
#include "tests/support/process.h"

namespace quern {
namespace {

using testing::Quern;

TEST_CASE("inspect tells keys, tensors and sizes") {
  QUERN_NEEDS_SHARED(file, "goldens/imatrix.gguf");
  const auto text = Quern({"inspect", file.string()});
  CHECK(text.exit_code == 0);
  CHECK(text.out.find("84 tensors, 13866 weights") != std::string::npos);
  const auto result = Quern({"inspect", file.string(), "--json"});
  const auto json = nlohmann::json::parse(result.out);
  CHECK(json["tensors"].size() == 84);
  CHECK(json["keys"]["general.type"]["value"] == "imatrix");
  CHECK(json["bits_per_weight"] == 32.0);
}

TEST_CASE("usage and bad input have their exit codes") {
  testing::TempDir dir;
  testing::WriteText(dir / "text.gguf", "this is no model");
  CHECK(Quern({}).exit_code == 2);
  CHECK(Quern({"inspect"}).exit_code == 2);
  CHECK(Quern({"nonsense"}).exit_code == 2);
  CHECK(Quern({"inspect", "--no-such-flag", "x"}).exit_code == 2);
  CHECK(Quern({"--help"}).exit_code == 0);
  const auto absent = Quern({"inspect", (dir / "absent.gguf").string()});
  CHECK(absent.exit_code == 3);
  CHECK(absent.err.find("absent.gguf: cannot be opened") != std::string::npos);
  const auto text = Quern({"inspect", (dir / "text.gguf").string()});
  CHECK(text.exit_code == 3);
  CHECK(text.err.find("does not begin with 'GGUF'") != std::string::npos);
  CHECK(text.out.empty());
}

}  // namespace
}  // namespace quern
