// A clock that is wrong: loaded into a node by LD_PRELOAD, it stands before the C library's time.
//
// WRONG_CLOCK names a file that says by how many seconds the clock is ahead, or behind if negative; it is right without.
#include <fcntl.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static time_t ahead_seconds(void) {
    const char *path = getenv("WRONG_CLOCK");
    int descriptor = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    if (descriptor < 0) return 0;
    char text[32] = {0};
    ssize_t length = read(descriptor, text, sizeof text - 1);
    close(descriptor);
    return length > 0 ? strtoll(text, NULL, 10) : 0;
}

time_t time(time_t *result) {
    struct timeval now;
    gettimeofday(&now, NULL);
    time_t seconds = now.tv_sec + ahead_seconds();
    if (result) *result = seconds;
    return seconds;
}
