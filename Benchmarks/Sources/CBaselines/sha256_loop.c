// The low-level calls are the fastest that OpenSSL has, and deprecated.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "sha256_loop.h"
#include <openssl/sha.h>

uint8_t sha256_loop(const uint8_t *messages, size_t size, size_t count) {
    uint8_t hash[SHA256_DIGEST_LENGTH] = {0};
    for (size_t i = 0; i < count; i++) {
        SHA256_CTX context;
        SHA256_Init(&context);
        SHA256_Update(&context, hash, sizeof hash);
        SHA256_Update(&context, messages + i * size, size);
        SHA256_Final(hash, &context);
    }
    return hash[0];
}
