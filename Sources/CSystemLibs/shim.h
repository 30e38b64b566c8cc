// OpenSSL's low-level SHA-256 and SQLite, and nothing else.
#ifndef CHAIND_SYSTEM_LIBS_SHIM_H
#define CHAIND_SYSTEM_LIBS_SHIM_H

// The low-level calls are deprecated in favour of EVP, which takes a heap object a message.
#define OPENSSL_SUPPRESS_DEPRECATED
#include <openssl/sha.h>
#include <sqlite3.h>

// Swift does not import macros that cast to a function pointer (https://www.sqlite.org/c3ref/c_static.html).
static inline int chaind_bind_text(sqlite3_stmt *statement, int index, const char *text, int bytes) {
    return sqlite3_bind_text(statement, index, text, bytes, SQLITE_TRANSIENT);
}

static inline int chaind_bind_blob_copy(sqlite3_stmt *statement, int index, const void *bytes, int count) {
    return sqlite3_bind_blob(statement, index, bytes, count, SQLITE_TRANSIENT);
}

static inline int chaind_bind_blob_in_place(sqlite3_stmt *statement, int index, const void *bytes, sqlite3_uint64 count) {
    return sqlite3_bind_blob64(statement, index, bytes, count, SQLITE_STATIC);
}

#endif
