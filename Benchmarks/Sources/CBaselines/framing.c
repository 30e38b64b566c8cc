#define _GNU_SOURCE
#include "framing.h"
#include <string.h>
#include <strings.h>
#include <stdlib.h>

static uint32_t big_endian(const uint8_t *bytes, int count) {
    uint32_t value = 0;
    for (int i = 0; i < count; i++) value = value << 8 | bytes[i];
    return value;
}

static void end_reply(struct framing *framing) {
    framing->replies++;
    framing->ends_after_skipped = 0;
}

// The length of a line with its end, or 0 if it has none yet.
static size_t line_length(const uint8_t *bytes, size_t size) {
    const uint8_t *end = memchr(bytes, '\n', size);
    return end ? (size_t)(end - bytes) + 1 : 0;
}

// Answers have a length: the routes that are measured send no chunks.
static long http(struct framing *framing, const uint8_t *bytes, size_t size) {
    const uint8_t *end = memmem(bytes, size, "\r\n\r\n", 4);
    if (!end) return size < 16384 ? 0 : -1;
    if (size < 12 || memcmp(bytes, "HTTP/1.1 ", 9) != 0) return -1;
    framing->status = atoi((const char *)bytes + 9);
    long content = -1;
    for (const uint8_t *line = bytes; line < end; line += line_length(line, (size_t)(end + 2 - line))) {
        if (strncasecmp((const char *)line, "content-length:", 15) == 0) content = atol((const char *)line + 15);
    }
    if (content < 0) return -1;
    framing->skipped = (uint64_t)content;
    framing->ends_after_skipped = 1;
    return end + 4 - bytes;
}

static long resp(struct framing *framing, const uint8_t *bytes, size_t size) {
    size_t length = line_length(bytes, size);
    if (!length) return 0;
    framing->status = bytes[0] == '-' ? 500 : 200;
    if (bytes[0] == '$') {
        framing->skipped = (uint64_t)(atol((const char *)bytes + 1) + 2);
        framing->ends_after_skipped = 1;
    } else if (strchr("+-:", bytes[0])) {
        end_reply(framing);
    } else {
        return -1;
    }
    return (long)length;
}

// An answer ends with ReadyForQuery. https://www.postgresql.org/docs/15/protocol-message-formats.html
static long postgresql(struct framing *framing, const uint8_t *bytes, size_t size) {
    if (size < 5) return 0;
    if (bytes[0] == 'E') framing->status = 500;
    if (framing->status == 0) framing->status = 200;
    framing->skipped = big_endian(bytes + 1, 4) - 4;
    framing->ends_after_skipped = bytes[0] == 'Z';
    return 5;
}

// A call that failed has trailers only; one that succeeded has a message first. The answer of a connection's opening is
// the server's settings. https://www.rfc-editor.org/rfc/rfc9113#section-4.1
static long grpc(struct framing *framing, const uint8_t *bytes, size_t size) {
    if (size < 9) return 0;
    enum { data, headers, reset = 3, settings, goaway = 7 };
    uint8_t type = bytes[3], flags = bytes[4];
    if (type == reset || type == goaway) return -1;
    if (type == data) framing->has_message = 1;
    framing->skipped = big_endian(bytes, 3);
    framing->ends_after_skipped = (type == headers && flags & 1) || (type == settings && !(flags & 1));
    if (framing->ends_after_skipped) {
        framing->status = framing->has_message || type == settings ? 200 : 500;
        framing->has_message = 0;
    }
    return 9;
}

long framing_take(struct framing *framing, const uint8_t *bytes, size_t size) {
    size_t taken = 0;
    for (;;) {
        size_t left = size - taken;
        size_t skipping = framing->skipped < left ? framing->skipped : left;
        framing->skipped -= skipping;
        taken += skipping;
        if (framing->skipped == 0 && framing->ends_after_skipped) end_reply(framing);
        if (taken == size) return (long)taken;
        long more;
        switch (framing->protocol) {
        case load_http: more = http(framing, bytes + taken, size - taken); break;
        case load_resp: more = resp(framing, bytes + taken, size - taken); break;
        case load_postgresql: more = postgresql(framing, bytes + taken, size - taken); break;
        default: more = grpc(framing, bytes + taken, size - taken); break;
        }
        if (more < 0) return -1;
        if (more == 0) return (long)taken;
        taken += (size_t)more;
    }
}
