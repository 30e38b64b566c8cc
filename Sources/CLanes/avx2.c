// Eight messages, one in each lane of an AVX2 register.

#include "kernels.h"

#if defined(__x86_64__)

#define WIDTH AVX2_WIDTH
#define TARGET "avx2"
#define NAME clanes_avx2
#include "vector_kernel.h"

__attribute__((target(TARGET), always_inline)) static inline void load(
    vector words[16], const uint8_t *const places[WIDTH])
{
    vector rows[16];
    for (int lane = 0; lane < 8; lane++) {
        rows[lane] = *(const unaligned_vector *)places[lane];
        rows[8 + lane] = *(const unaligned_vector *)(places[lane] + 32);
    }
    for (int h = 0; h < 16; h += 8) {
        vector pairs[8], quads[8];
        for (int i = 0; i < 8; i += 2) {
            pairs[i] = __builtin_shufflevector(rows[h + i], rows[h + i + 1], 0, 8, 1, 9, 4, 12, 5, 13);
            pairs[i + 1] = __builtin_shufflevector(rows[h + i], rows[h + i + 1], 2, 10, 3, 11, 6, 14, 7, 15);
        }
        for (int i = 0; i < 8; i += 4) {
            for (int j = 0; j < 2; j++) {
                quads[i + 2 * j] =
                    __builtin_shufflevector(pairs[i + j], pairs[i + j + 2], 0, 1, 8, 9, 4, 5, 12, 13);
                quads[i + 2 * j + 1] =
                    __builtin_shufflevector(pairs[i + j], pairs[i + j + 2], 2, 3, 10, 11, 6, 7, 14, 15);
            }
        }
        for (int j = 0; j < 4; j++) {
            words[h + j] = __builtin_shufflevector(quads[j], quads[4 + j], 0, 1, 2, 3, 8, 9, 10, 11);
            words[h + 4 + j] = __builtin_shufflevector(quads[j], quads[4 + j], 4, 5, 6, 7, 12, 13, 14, 15);
        }
    }
    // FIPS 180-4 has the greatest byte of a word first.
    for (int i = 0; i < 16; i++) {
        byte_vector bytes = (byte_vector)words[i];
        words[i] = (vector)__builtin_shufflevector(
            bytes, bytes, 3, 2, 1, 0, 7, 6, 5, 4, 11, 10, 9, 8, 15, 14, 13, 12, 19, 18, 17, 16, 23, 22, 21, 20, 27, 26,
            25, 24, 31, 30, 29, 28);
    }
}

#endif
