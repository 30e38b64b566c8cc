// The loop that validation in memory is compared with.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// Hashes messages of these sizes, which lie one after the other, each with the hash before it first, as a chain of blocks is.
/// Returns a byte of the last hash, so that nothing is left out.
uint8_t sha256_loop(const uint8_t *messages, const size_t *sizes, size_t count);
