#include "tests/ptx/machine.h"

#include <doctest/doctest.h>

#include <array>

// The machine that runs PTX finds what is wrong with a kernel.
namespace quern::ptx {
namespace {

// A kernel with the parameter `out`, an address of 32-bit numbers, and shared memory of 128 bytes.
std::string KernelOf(const std::string& body) {
  return ".version 9.0\n.target sm_90\n.address_size 64\n"
         ".visible .entry f(\n.param .align 8 .b8 out[8]\n)\n.maxntid 32, 1, 1\n{\n"
         ".shared .align 4 .b8 shared[128];\n"
         ".reg .b32 %r<9>;\n.reg .b64 %rd<9>;\n.reg .pred %p<3>;\n"
         "ld.param.u64 %rd1, [out];\nmov.u32 %r1, %tid.x;\nmul.wide.u32 %rd2, %r1, 4;\n"
         "add.s64 %rd3, %rd1, %rd2;\nshl.b32 %r2, %r1, 2;\nmov.u32 %r3, shared;\n"
         "add.s32 %r4, %r3, %r2;\n" +
         body + "\nret;\n}\n";
}

struct Outcome {
  std::array<uint32_t, 32> out{};
  std::string fault;  // empty: there was none
};

Outcome RunKernel(const std::string& body) {
  Outcome outcome;
  try {
    const Program program = Parse(KernelOf(body));
    REQUIRE(program.kernels.size() == 1);
    Memory memory;
    memory.Add(outcome.out.data(), sizeof(outcome.out));
    const uint32_t* const address = outcome.out.data();
    const auto* bytes = reinterpret_cast<const uint8_t*>(&address);
    Run(program.kernels[0], {1, 32, 0, {bytes, sizeof(address)}}, memory);
  } catch (const Fault& fault) {
    outcome.fault = fault.what();
  }
  return outcome;
}

bool Has(const std::string& text, const char* part) { return text.find(part) != text.npos; }

TEST_CASE("threads read what others wrote before a barrier") {
  const Outcome outcome = RunKernel(
      "st.shared.u32 [%r4], %r1;\nbar.sync 0;\nxor.b32 %r5, %r2, 4;\nadd.s32 %r5, %r5, %r3;\n"
      "ld.shared.u32 %r6, [%r5];\nst.global.u32 [%rd3], %r6;");
  CHECK(outcome.fault == "");
  for (uint32_t t = 0; t < 32; ++t) CHECK(outcome.out[t] == (t ^ 1));
}

TEST_CASE("without the barrier that is a race") {
  CHECK(Has(RunKernel("st.shared.u32 [%r4], %r1;\nxor.b32 %r5, %r2, 4;\nadd.s32 %r5, %r5, %r3;\n"
                      "ld.shared.u32 %r6, [%r5];")
                .fault,
            "a race"));
  CHECK(Has(RunKernel("st.shared.u32 [%r3], %r1;").fault, "a race"));
  CHECK(Has(RunKernel("ld.shared.u32 %r5, [%r3];\nst.shared.u32 [%r3], %r1;").fault, "a race"));
  CHECK(RunKernel("ld.shared.u32 %r5, [%r3];").fault == "");
}

TEST_CASE("what is out of bounds or not aligned is found in every memory") {
  CHECK(RunKernel("st.global.u32 [%rd3], %r1;").fault == "");
  CHECK(Has(RunKernel("st.global.u32 [%rd3+4], %r1;").fault, "thread 31: out of bounds"));
  CHECK(Has(RunKernel("ld.global.u32 %r5, [%rd3+-4];").fault, "thread 0: out of bounds"));
  CHECK(Has(RunKernel("ld.u32 %r5, [%rd3+128];").fault, "out of bounds"));
  CHECK(Has(RunKernel("ld.shared.u32 %r5, [%r4+4];").fault, "thread 31: out of bounds"));
  CHECK(Has(RunKernel("ld.param.u64 %rd4, [out+8];").fault, "out of bounds"));
  CHECK(Has(RunKernel("ld.local.u32 %r5, [%rd2];").fault, "out of bounds"));
  CHECK(Has(RunKernel("ld.global.u32 %r5, [%rd3+2];").fault, "not aligned"));
  CHECK(Has(RunKernel("ld.shared.v2.u32 {%r5, %r6}, [%r4];").fault, "thread 1: not aligned"));
}

TEST_CASE("memory below its beginning, or at the end of all, is out of bounds too") {
  const std::string local = ".local .align 8 .b8 own[16];\nmov.u64 %rd4, own;\n";
  CHECK(RunKernel(local + "st.local.u64 [%rd4+8], %rd2;").fault == "");
  CHECK(Has(RunKernel(local + "st.local.u64 [%rd4+-8], %rd2;").fault, "out of bounds"));
  CHECK(Has(RunKernel(local + "st.local.u64 [%rd4+16], %rd2;").fault, "out of bounds"));
  CHECK(Has(RunKernel("ld.global.u64 %rd4, [-8];").fault, "out of bounds"));
  CHECK(Has(RunKernel("ld.u64 %rd4, [-8];").fault, "out of bounds"));
}

TEST_CASE("shared memory that nobody has written holds nothing of use") {
  const Outcome outcome = RunKernel("ld.shared.u32 %r5, [%r4];\nst.global.u32 [%rd3], %r5;");
  CHECK(outcome.out[3] == 0xcdcdcdcd);
}

TEST_CASE("a text that is cut off or spoilt anywhere is a fault and nothing worse") {
  const std::string whole = KernelOf(
      "st.shared.u32 [%r4], %r1;\nsetp.eq.s32 %p1, %r1, 7;\n@%p1 bra $end;\n"
      "mov.b64 %rd4, {%r1, %r2};\ndiv.u32 %r5, %r1, 3;\n$end:");
  CHECK_NOTHROW(Parse(whole));
  for (size_t size = 0; size < whole.size(); ++size) {
    for (std::string text :
         {whole.substr(0, size), whole.substr(0, size) + whole.substr(size + 1)}) {
      try {
        Parse(text);
      } catch (const Fault&) {
      }
    }
  }
  CHECK(Has(RunKernel("div.u32 %r5, %r1, 0;").fault, "a division by 0"));
}

TEST_CASE("a barrier that some threads do not reach is found") {
  CHECK(Has(RunKernel("setp.eq.s32 %p1, %r1, 7;\n@%p1 ret;\nbar.sync 0;").fault, "a barrier"));
}

TEST_CASE("what is no PTX that it knows is an error that names it") {
  CHECK(Has(RunKernel("mul.hi.s17 %r5, %r1, 3;").fault, "unknown: 'mul.hi.s17'"));
  CHECK(Has(RunKernel("bra $nowhere;").fault, "no label $nowhere"));
  CHECK(Has(RunKernel("trap;").fault, "trap"));
  CHECK(Has(RunKernel("add.s32 %r5, %r1, x;").fault, "'x' is no number"));
}

}  // namespace
}  // namespace quern::ptx
