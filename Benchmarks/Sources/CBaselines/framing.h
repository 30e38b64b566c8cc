// Finds the ends of answers in what came over a connection.
#pragma once
#include "load.h"

/// How far the answer that is being received has come.
struct framing {
    enum load_protocol protocol;
    /// Bytes of the answer that need not be looked at.
    uint64_t skipped;
    /// Whether the answer ends with these bytes.
    int ends_after_skipped;
    int status;
    /// Complete answers.
    int replies;
    /// Whether an HTTP/2 stream has had a message.
    int has_message;
};

/// Takes bytes.
/// Returns how many were taken; the others are the beginning of something. -1 if they cannot be understood.
long framing_take(struct framing *framing, const uint8_t *bytes, size_t size);
