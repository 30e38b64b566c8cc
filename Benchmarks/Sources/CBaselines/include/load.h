// One client for all servers that are compared: connections on one thread, each with a request under way.
#pragma once
#include <stddef.h>
#include <stdint.h>

/// How the ends of answers are found.
enum load_protocol { load_http, load_resp, load_postgresql, load_grpc };

/// The bytes of a request, the same each time but for a number of digits.
struct load_request {
    const uint8_t *bytes;
    size_t size;
    /// Where the digits are written; none if there are no digits.
    size_t number_place;
    size_t number_digits;
    /// The number is that of the request, times a large prime, below this; 0 for the number itself.
    uint64_t number_end;
};

struct load_plan {
    enum load_protocol protocol;
    /// The connections are spread over these.
    const uint16_t *ports;
    int port_count;
    int connections;
    /// Sent once on each connection, and answered so often, before anything is timed.
    struct load_request opening;
    int opening_replies;
    /// Every `first_every`th request is the first kind, the others are the second.
    struct load_request requests[2];
    int first_every;
    /// How often a request is answered, for those that are many in one.
    int replies;
    /// Requests a second, sent when they are due whatever became of those before: an open loop, in which a latency
    /// counts from when the request was due. 0 sends the next one on each answer: a closed loop.
    double rate;
    double seconds;
    /// How many requests are sent at most, and the number of the first.
    size_t requests_max;
    uint64_t first_number;
};

/// What became of the requests, in arrays of `requests_max`.
struct load_result {
    /// Requests that were sent.
    size_t requests;
    /// Microseconds until the answer.
    uint32_t *latencies;
    /// The status of the answer: that of HTTP; 200 or 500 elsewhere; 0 if there was none.
    uint16_t *statuses;
    /// From the first request to the last answer.
    double seconds;
    /// Processor time of the client.
    double processor_seconds;
};

/// Plays the plan.
/// Returns 0, or an `errno`; EPROTO for an answer that cannot be understood, and for a connection that was closed.
int load_run(const struct load_plan *plan, struct load_result *result);
