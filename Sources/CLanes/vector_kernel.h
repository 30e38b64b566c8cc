// SHA-256's compression with one message in each lane of a vector. Who includes this defines WIDTH (lanes), TARGET (what
// the processor must have) and NAME (of the function) before, and `load` after.

#include <stdint.h>

typedef uint32_t vector __attribute__((vector_size(4 * WIDTH)));
typedef uint32_t unaligned_vector __attribute__((vector_size(4 * WIDTH), aligned(1)));
typedef uint8_t byte_vector __attribute__((vector_size(4 * WIDTH)));

#define ROTATE(x, n) ((x) >> (n) | (x) << (32 - (n)))

// Sixteen words of each lane, turned so that a vector holds the same word of all lanes.
static inline void load(vector words[16], const uint8_t *const places[WIDTH]);

__attribute__((target(TARGET))) void NAME(
    uint32_t *states, const uint8_t *const *messages, const uint32_t *blocks)
{
    vector state[8];
    const uint8_t *places[WIDTH];
    vector left;
    uint32_t most = 0;
    for (int i = 0; i < 8; i++) state[i] = *(const unaligned_vector *)(states + WIDTH * i);
    for (int lane = 0; lane < WIDTH; lane++) {
        places[lane] = messages[lane];
        left[lane] = blocks[lane];
        if (most < blocks[lane]) most = blocks[lane];
    }
    for (uint32_t block = 0; block < most; block++) {
        vector words[16];
        load(words, places);
        vector a = state[0], b = state[1], c = state[2], d = state[3];
        vector e = state[4], f = state[5], g = state[6], h = state[7];
#pragma clang loop unroll(full)
        for (int round = 0; round < 64; round++) {
            vector word;
            if (round < 16) {
                word = words[round];
            } else {
                vector early = words[(round + 1) & 15], late = words[(round + 14) & 15];
                word = words[round & 15] + words[(round + 9) & 15] +
                       (ROTATE(early, 7) ^ ROTATE(early, 18) ^ early >> 3) +
                       (ROTATE(late, 17) ^ ROTATE(late, 19) ^ late >> 10);
                words[round & 15] = word;
            }
            vector first = h + (ROTATE(e, 6) ^ ROTATE(e, 11) ^ ROTATE(e, 25)) + (g ^ (e & (f ^ g))) +
                           (word + round_constants[round]);
            vector second = (ROTATE(a, 2) ^ ROTATE(a, 13) ^ ROTATE(a, 22)) + ((a & b) | (c & (a | b)));
            h = g;
            g = f;
            f = e;
            e = d + first;
            d = c;
            c = b;
            b = a;
            a = first + second;
        }
        vector after[8] = {a, b, c, d, e, f, g, h};
        // A lane that has come to its end keeps its state, and reads its last block again.
        vector isGoing = (vector)(left > block);
        for (int i = 0; i < 8; i++) state[i] += after[i] & isGoing;
        for (int lane = 0; lane < WIDTH; lane++) {
            if (blocks[lane] > block + 1) places[lane] += 64;
        }
    }
    for (int i = 0; i < 8; i++) *(unaligned_vector *)(states + WIDTH * i) = state[i];
}
