// Four messages interleaved, so that one's instructions run while another's are waited for.

#include "kernels.h"

#if defined(__x86_64__)

#include <immintrin.h>

__attribute__((target("sha,sse4.1,ssse3"))) void clanes_sha_ni(
    uint32_t *states, const uint8_t *const *messages, const uint32_t *blocks)
{
    const __m128i swap = _mm_set_epi64x(0x0c0d0e0f08090a0bULL, 0x0405060700010203ULL);
    __m128i abef[SHA_NI_WIDTH], cdgh[SHA_NI_WIDTH];
    const uint8_t *places[SHA_NI_WIDTH];
    uint32_t most = 0;
    for (int m = 0; m < SHA_NI_WIDTH; m++) {
        // Words of one lane, in the order that the instructions want.
        #define WORD(i) (int)states[SHA_NI_WIDTH * (i) + m]
        abef[m] = _mm_set_epi32(WORD(0), WORD(1), WORD(4), WORD(5));
        cdgh[m] = _mm_set_epi32(WORD(2), WORD(3), WORD(6), WORD(7));
        #undef WORD
        places[m] = messages[m];
        if (most < blocks[m]) most = blocks[m];
    }
    for (uint32_t block = 0; block < most; block++) {
        __m128i words[4][SHA_NI_WIDTH], abefBefore[SHA_NI_WIDTH], cdghBefore[SHA_NI_WIDTH];
        for (int m = 0; m < SHA_NI_WIDTH; m++) {
            abefBefore[m] = abef[m];
            cdghBefore[m] = cdgh[m];
            for (int i = 0; i < 4; i++) {
                words[i][m] = _mm_shuffle_epi8(_mm_loadu_si128((const __m128i *)(places[m] + 16 * i)), swap);
            }
        }
#pragma clang loop unroll(full)
        for (int four = 0; four < 16; four++) {
            const __m128i constants = _mm_loadu_si128((const __m128i *)(round_constants + 4 * four));
#pragma clang loop unroll(full)
            for (int m = 0; m < SHA_NI_WIDTH; m++) {
                __m128i current = words[four & 3][m];
                if (four >= 4) {
                    __m128i last = words[(four + 3) & 3][m];
                    __m128i middle = _mm_alignr_epi8(last, words[(four + 2) & 3][m], 4);
                    current = _mm_sha256msg1_epu32(current, words[(four + 1) & 3][m]);
                    current = _mm_sha256msg2_epu32(_mm_add_epi32(current, middle), last);
                    words[four & 3][m] = current;
                }
                __m128i sum = _mm_add_epi32(current, constants);
                cdgh[m] = _mm_sha256rnds2_epu32(cdgh[m], abef[m], sum);
                abef[m] = _mm_sha256rnds2_epu32(abef[m], cdgh[m], _mm_shuffle_epi32(sum, 0x0e));
            }
        }
        for (int m = 0; m < SHA_NI_WIDTH; m++) {
            int isGoing = blocks[m] > block;
            abef[m] = isGoing ? _mm_add_epi32(abef[m], abefBefore[m]) : abefBefore[m];
            cdgh[m] = isGoing ? _mm_add_epi32(cdgh[m], cdghBefore[m]) : cdghBefore[m];
            if (blocks[m] > block + 1) places[m] += 64;
        }
    }
    for (int m = 0; m < SHA_NI_WIDTH; m++) {
        uint32_t first[4], second[4];
        _mm_storeu_si128((__m128i *)first, abef[m]);
        _mm_storeu_si128((__m128i *)second, cdgh[m]);
        states[SHA_NI_WIDTH * 0 + m] = first[3];
        states[SHA_NI_WIDTH * 1 + m] = first[2];
        states[SHA_NI_WIDTH * 4 + m] = first[1];
        states[SHA_NI_WIDTH * 5 + m] = first[0];
        states[SHA_NI_WIDTH * 2 + m] = second[3];
        states[SHA_NI_WIDTH * 3 + m] = second[2];
        states[SHA_NI_WIDTH * 6 + m] = second[1];
        states[SHA_NI_WIDTH * 7 + m] = second[0];
    }
}

#endif
