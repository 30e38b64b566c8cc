// Sixteen messages, one in each lane of an AVX-512 register.

#include "kernels.h"

#if defined(__x86_64__)

#define WIDTH AVX512_WIDTH
#define TARGET "avx512f,avx512bw"
#define NAME clanes_avx512
#include "vector_kernel.h"

__attribute__((target(TARGET), always_inline)) static inline void load(
    vector words[16], const uint8_t *const places[WIDTH])
{
    vector rows[16];
    for (int lane = 0; lane < 16; lane++) rows[lane] = *(const unaligned_vector *)places[lane];
    vector pairs[16], quads[16], halves[16];
    for (int i = 0; i < 16; i += 2) {
        pairs[i] = __builtin_shufflevector(
            rows[i], rows[i + 1], 0, 16, 1, 17, 4, 20, 5, 21, 8, 24, 9, 25, 12, 28, 13, 29);
        pairs[i + 1] = __builtin_shufflevector(
            rows[i], rows[i + 1], 2, 18, 3, 19, 6, 22, 7, 23, 10, 26, 11, 27, 14, 30, 15, 31);
    }
    for (int i = 0; i < 16; i += 4) {
        for (int j = 0; j < 2; j++) {
            quads[i + 2 * j] = __builtin_shufflevector(
                pairs[i + j], pairs[i + j + 2], 0, 1, 16, 17, 4, 5, 20, 21, 8, 9, 24, 25, 12, 13, 28, 29);
            quads[i + 2 * j + 1] = __builtin_shufflevector(
                pairs[i + j], pairs[i + j + 2], 2, 3, 18, 19, 6, 7, 22, 23, 10, 11, 26, 27, 14, 15, 30, 31);
        }
    }
    for (int j = 0; j < 4; j++) {
        for (int i = 0; i < 16; i += 8) {
            halves[i + j] = __builtin_shufflevector(
                quads[i + j], quads[i + 4 + j], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
            halves[i + 4 + j] = __builtin_shufflevector(
                quads[i + j], quads[i + 4 + j], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
        }
    }
    for (int j = 0; j < 4; j++) {
        words[j] = __builtin_shufflevector(
            halves[j], halves[8 + j], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
        words[8 + j] = __builtin_shufflevector(
            halves[j], halves[8 + j], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
        words[4 + j] = __builtin_shufflevector(
            halves[4 + j], halves[12 + j], 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27);
        words[12 + j] = __builtin_shufflevector(
            halves[4 + j], halves[12 + j], 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31);
    }
    // FIPS 180-4 has the greatest byte of a word first.
    for (int i = 0; i < 16; i++) {
        byte_vector bytes = (byte_vector)words[i];
        words[i] = (vector)__builtin_shufflevector(
            bytes, bytes, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16, 23, 22, 21, 20, 27, 26,
            25, 24, 31, 30, 29, 28, 35, 34, 33, 32, 39, 38, 37, 36, 43, 42, 41, 40, 47, 46, 45, 44, 51, 50, 49, 48, 55,
            54, 53, 52, 59, 58, 57, 56, 63, 62, 61, 60);
    }
}

#endif
