// The low-level calls are the fastest that OpenSSL has, and deprecated.
#define OPENSSL_SUPPRESS_DEPRECATED
#include "sha256_loop.h"
#include <openssl/sha.h>

uint8_t sha256_loop(const uint8_t *messages, const size_t *sizes, size_t count) {
    uint8_t hash[SHA256_DIGEST_LENGTH] = {0};
    for (size_t i = 0; i < count; i++) {
        SHA256_CTX context;
        SHA256_Init(&context);
        SHA256_Update(&context, hash, sizeof hash);
        SHA256_Update(&context, messages, sizes[i]);
        SHA256_Final(hash, &context);
        messages += sizes[i];
    }
    return hash[0];
}
