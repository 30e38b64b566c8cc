// SQLite, for the baseline: an ordinary table, filled and read by hand.
#ifndef CHAIND_BENCHMARKS_SHIM_H
#define CHAIND_BENCHMARKS_SHIM_H

#include <sqlite3.h>

static inline int bind_text(sqlite3_stmt *statement, int index, const char *text, int bytes) {
    return sqlite3_bind_text(statement, index, text, bytes, SQLITE_TRANSIENT);
}

static inline int bind_blob(sqlite3_stmt *statement, int index, const void *bytes, int count) {
    return sqlite3_bind_blob(statement, index, bytes, count, SQLITE_TRANSIENT);
}

#endif
