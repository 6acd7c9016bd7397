#include <doctest/doctest.h>

#include "kernels/cuda/cuda_device.h"
#include "tests/support/paths.h"
#include "tests/support/process.h"
#include "tests/support/tiny_llama.h"

// --device of quantize and convert, on machines with and without a GPU.
namespace quern {
namespace {

using testing::Quern;
using testing::ReadText;

TEST_CASE("auto writes the file that cpu writes, with a GPU or without") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  QUERN_NEEDS_SHARED(matrix, "goldens/imatrix.gguf");
  testing::TempDir dir;
  testing::WriteTinyLlama(dir / "tiny.gguf");
  const std::string in = dir / "tiny.gguf";
  for (const std::string type : {"q4_k_m", "iq2_m"}) {
    CAPTURE(type);
    for (const std::string device : {"cpu", "auto"}) {
      const auto result = Quern({"quantize", "--quiet", "--imatrix", matrix, "--device", device, in,
                                 dir / (type + device), type});
      CHECK(result.exit_code == 0);
    }
    CHECK(ReadText(dir / (type + "cpu")) == ReadText(dir / (type + "auto")));
  }
  const std::string hf = folder.string();
  for (const std::string device : {"cpu", "auto:0"}) {
    const auto result = Quern({"convert", "-q", hf, "--outtype", "q4_k_m", "--device", device,
                               "--outfile", dir / ("converted-" + device + ".gguf")});
    CHECK(result.exit_code == 0);
  }
  CHECK(ReadText(dir / "converted-cpu.gguf") == ReadText(dir / "converted-auto:0.gguf"));
}

TEST_CASE("cuda without a GPU is an error that says why, and so is a device that there is not") {
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  testing::TempDir dir;
  testing::WriteTinyLlama(dir / "tiny.gguf");
  const auto with = [&](const std::string& device) {
    return Quern(
        {"quantize", "--quiet", "--device", device, dir / "tiny.gguf", dir / "out.gguf", "q8_0"});
  };
  for (const std::string device : {"gpu", "cuda:", "cuda:-1", "auto:x", "cpu:0"}) {
    CAPTURE(device);
    const auto result = with(device);
    CHECK(result.exit_code == 2);
    CHECK(result.err.find("--device " + device + ": should be cpu, cuda") != std::string::npos);
  }
  const auto absent = with("cuda:1000");
  CHECK(absent.exit_code == 4);
  CHECK(testing::NamesIn(dir.path()) == std::vector<std::string>{"tiny.gguf"});
  if (FindCudaDevices().count > 0) return;
  const auto none = with("cuda");
  CHECK(none.exit_code == 4);
  CHECK(none.err.find("--device cuda: there is no GPU to use: " + FindCudaDevices().why_none) !=
        std::string::npos);
}

TEST_CASE("files of the GPU are those of the processor, for every file type") {
  const CudaDevices devices = FindCudaDevices();
  if (devices.count == 0) {
    testing::SaySkipped("files of the GPU: " + devices.why_none);
    return;
  }
  QUERN_NEEDS_SHARED(folder, "models/tiny-llama");
  QUERN_NEEDS_SHARED(matrix, "goldens/imatrix.gguf");
  testing::TempDir dir;
  testing::WriteTinyLlama(dir / "tiny.gguf");
  for (const std::string type :
       {"q4_0",   "q4_1",    "q5_0",   "q5_1",   "q8_0",  "q2_k",    "q3_k_m", "q4_k_m",
        "q5_k_m", "q6_k",    "iq4_nl", "iq4_xs", "iq3_s", "iq3_xxs", "iq2_m",  "iq2_s",
        "iq2_xs", "iq2_xxs", "iq1_m",  "iq1_s",  "tq1_0", "tq2_0"}) {
    CAPTURE(type);
    for (const std::string device : {"cpu", "cuda"}) {
      const auto result = Quern({"quantize", "--quiet", "--pure", "--imatrix", matrix, "--device",
                                 device, dir / "tiny.gguf", dir / (type + device), type});
      CHECK(result.exit_code == 0);
    }
    CHECK(ReadText(dir / (type + "cpu")) == ReadText(dir / (type + "cuda")));
  }
}

}  // namespace
}  // namespace quern
