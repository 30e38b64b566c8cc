// Chooses among the kernels. Other processors than x86-64 have none.

#include "kernels.h"

#if defined(__x86_64__)

int clanes_has(enum clanes_way way)
{
    __builtin_cpu_init();
    switch (way) {
    case CLANES_SHA_NI: return __builtin_cpu_supports("sha") && __builtin_cpu_supports("sse4.1");
    case CLANES_AVX2: return __builtin_cpu_supports("avx2") != 0;
    case CLANES_AVX512: return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw");
    }
    return 0;
}

size_t clanes_width(enum clanes_way way)
{
    switch (way) {
    case CLANES_SHA_NI: return SHA_NI_WIDTH;
    case CLANES_AVX2: return AVX2_WIDTH;
    case CLANES_AVX512: return AVX512_WIDTH;
    }
    return 0;
}

void clanes_compress(
    enum clanes_way way, uint32_t *states, const uint8_t *const *messages, const uint32_t *blocks)
{
    switch (way) {
    case CLANES_SHA_NI: clanes_sha_ni(states, messages, blocks); break;
    case CLANES_AVX2: clanes_avx2(states, messages, blocks); break;
    case CLANES_AVX512: clanes_avx512(states, messages, blocks); break;
    }
}

#else

int clanes_has(enum clanes_way way)
{
    (void)way;
    return 0;
}

size_t clanes_width(enum clanes_way way)
{
    (void)way;
    return 0;
}

void clanes_compress(
    enum clanes_way way, uint32_t *states, const uint8_t *const *messages, const uint32_t *blocks)
{
    (void)way, (void)states, (void)messages, (void)blocks;
}

#endif
