// SHA-256 of many messages at once. Built without flags of the compiler's: each function says what it needs of the
// processor, and `clanes_has` whether that is there.
#ifndef CLANES_H
#define CLANES_H

#include <stddef.h>
#include <stdint.h>

/// The ways to compress many messages at once.
enum clanes_way {
    /// Four messages interleaved, by Intel's SHA extensions.
    CLANES_SHA_NI = 1,
    /// Eight messages, one in each 32-bit lane of a register.
    CLANES_AVX2 = 2,
    /// Sixteen messages, one in each 32-bit lane of a register.
    CLANES_AVX512 = 3,
};

/// Whether the processor and the operating system have what a way needs.
int clanes_has(enum clanes_way way);

/// How many messages a way takes at once.
size_t clanes_width(enum clanes_way way);

/// SHA-256's compression (FIPS 180-4, 6.2.2) of as many messages as the way is wide. The processor must have the way.
///
/// - states: eight words, each of one lane after the other; changed.
/// - messages: where each lane's 64-byte blocks stand, at any alignment. Also of a lane without blocks, 64 bytes are
///   read.
/// - blocks: how many blocks each lane has.
void clanes_compress(
    enum clanes_way way, uint32_t *states, const uint8_t *const *messages, const uint32_t *blocks);

/// Has the processor fetch the line at an address into its cache; any address will do.
static inline void clanes_prefetch(const void *address) {
    __builtin_prefetch(address);
}

#endif
