// A disk that fails on request: loaded into a node by LD_PRELOAD, it stands before the C library's write and sync.
//
// FAILING_DISK names a folder. A file in it named FILE-FAULT (FILE is "wal" or "db", by the end of the path that is
// written) makes one call fail and is removed by that; FILE-FAULT-always makes every call fail while it is there.
// The faults: "sync" and "write" are EIO, "full" is ENOSPC, "short" writes half of the bytes.
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char *file_of(int descriptor) {
    char link[64], path[4096];
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 4) return NULL;
    path[length] = 0;
    if (strcmp(path + length - 4, "-wal") == 0) return "wal";
    if (strcmp(path + length - 3, ".db") == 0) return "db";
    return NULL;
}

static int has_fault(int descriptor, const char *fault) {
    const char *folder = getenv("FAILING_DISK"), *file = file_of(descriptor);
    if (!folder || !file) return 0;
    char name[4096];
    snprintf(name, sizeof name, "%s/%s-%s-always", folder, file, fault);
    if (access(name, F_OK) == 0) return 1;
    snprintf(name, sizeof name, "%s/%s-%s", folder, file, fault);
    return unlink(name) == 0;
}

static int sync_or_fail(int descriptor, const char *function) {
    if (has_fault(descriptor, "sync")) {
        errno = EIO;
        return -1;
    }
    return ((int (*)(int))dlsym(RTLD_NEXT, function))(descriptor);
}

int fdatasync(int descriptor) { return sync_or_fail(descriptor, "fdatasync"); }
int fsync(int descriptor) { return sync_or_fail(descriptor, "fsync"); }

ssize_t pwrite64(int descriptor, const void *bytes, size_t count, off64_t offset) {
    if (has_fault(descriptor, "write")) {
        errno = EIO;
        return -1;
    }
    if (has_fault(descriptor, "full")) {
        errno = ENOSPC;
        return -1;
    }
    if (count > 1 && has_fault(descriptor, "short")) count /= 2;
    return ((ssize_t(*)(int, const void *, size_t, off64_t))dlsym(RTLD_NEXT, "pwrite64"))(
        descriptor, bytes, count, offset);
}
ssize_t pwrite(int, const void *, size_t, off_t) __attribute__((alias("pwrite64")));
