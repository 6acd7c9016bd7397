#pragma once

// Byte dot products by AVX-512 VNNI. Highway 1.0 has no name for the instruction, so its intrinsics
// stand in the files that include this, each function marked with the instruction set; nothing else
// of the program is built for it.
#if defined(__x86_64__)
#define QUERN_HAS_VNNI 1

#if !defined(__clang__)
// GCC 12 takes the undefined vectors inside its own intrinsics for a fault (bug 105593).
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#include <immintrin.h>

#define QUERN_VNNI \
  __attribute__((target("avx512f,avx512bw,avx512vl,avx512dq,avx512vnni,avx2,fma,f16c")))
// For parts of kernels, whose vectors must stay in registers.
#define QUERN_VNNI_INLINE QUERN_VNNI __attribute__((always_inline)) inline

#endif
