#define _GNU_SOURCE
#include "framing.h"
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { buffer_size = 64 << 10, request_size_max = 256 << 10 };

struct connection {
    int socket;
    struct framing framing;
    size_t received;
    // The request under way, and when it was due.
    size_t request;
    double due;
    // Where an HTTP/2 connection is in its streams.
    uint32_t stream;
    uint8_t buffer[buffer_size];
};

struct load {
    const struct load_plan *plan;
    struct load_result *result;
    struct connection *connections;
    // Connections without a request under way.
    int *idle;
    int idle_count;
    int poll;
    uint8_t *scratch;
    double start;
};

static double now(clockid_t clock) {
    struct timespec time;
    clock_gettime(clock, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int send_all(int socket, const uint8_t *bytes, size_t size) {
    while (size > 0) {
        ssize_t sent = send(socket, bytes, size, MSG_NOSIGNAL);
        if (sent < 0) return errno;
        bytes += sent;
        size -= (size_t)sent;
    }
    return 0;
}

// Each frame of the request gets the next number of a stream that a client may open.
static void number_streams(struct connection *connection, uint8_t *bytes, size_t size) {
    connection->stream += connection->stream ? 2 : 1;
    for (size_t place = 0; place + 9 <= size;) {
        uint32_t stream = htonl(connection->stream);
        memcpy(bytes + place + 5, &stream, 4);
        place += 9 + ((size_t)bytes[place] << 16 | (size_t)bytes[place + 1] << 8 | bytes[place + 2]);
    }
}

static int send_request(struct load *load, struct connection *connection, double due) {
    const struct load_plan *plan = load->plan;
    size_t number = load->result->requests++;
    const struct load_request *request = &plan->requests[number % (size_t)plan->first_every == 0 ? 0 : 1];
    memcpy(load->scratch, request->bytes, request->size);
    uint64_t shown = plan->first_number + number;
    if (request->number_end) shown = shown * 2654435761u % request->number_end;
    for (size_t digit = request->number_digits; digit > 0; digit--, shown /= 10) {
        load->scratch[request->number_place + digit - 1] = (uint8_t)('0' + shown % 10);
    }
    if (plan->protocol == load_grpc) number_streams(connection, load->scratch, request->size);
    connection->request = number;
    connection->due = due;
    connection->framing.status = 0;
    connection->framing.replies = 0;
    return send_all(connection->socket, load->scratch, request->size);
}

// Receives once. Returns 0, or an errno.
static int receive(struct connection *connection) {
    ssize_t count =
        recv(connection->socket, connection->buffer + connection->received, buffer_size - connection->received, 0);
    if (count < 0) return errno;
    if (count == 0) return EPROTO;
    connection->received += (size_t)count;
    long taken = framing_take(&connection->framing, connection->buffer, connection->received);
    if (taken < 0 || (taken == 0 && connection->received == buffer_size)) return EPROTO;
    connection->received -= (size_t)taken;
    memmove(connection->buffer, connection->buffer + taken, connection->received);
    return 0;
}

static int connect_one(struct load *load, struct connection *connection) {
    const struct load_plan *plan = load->plan;
    connection->framing.protocol = plan->protocol;
    uint16_t port = plan->ports[(connection - load->connections) % plan->port_count];
    connection->socket = socket(AF_INET, SOCK_STREAM, 0);
    if (connection->socket < 0) return errno;
    struct sockaddr_in address = {
        .sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (connect(connection->socket, (struct sockaddr *)&address, sizeof address) < 0) return errno;
    int on = 1;
    setsockopt(connection->socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    int error = send_all(connection->socket, plan->opening.bytes, plan->opening.size);
    while (!error && connection->framing.replies < plan->opening_replies) error = receive(connection);
    connection->framing.replies = 0;
    if (error) return error;
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = connection};
    if (epoll_ctl(load->poll, EPOLL_CTL_ADD, connection->socket, &event) < 0) return errno;
    load->idle[load->idle_count++] = (int)(connection - load->connections);
    return 0;
}

// Sends what is due on the connections that are idle. Returns 0, or an errno.
static int send_due(struct load *load, double time) {
    const struct load_plan *plan = load->plan;
    while (load->idle_count > 0 && load->result->requests < plan->requests_max) {
        double due = plan->rate > 0 ? load->start + (double)load->result->requests / plan->rate : time;
        if (due > time || due >= load->start + plan->seconds) return 0;
        int error = send_request(load, &load->connections[load->idle[--load->idle_count]], due);
        if (error) return error;
    }
    return 0;
}

static int play(struct load *load) {
    const struct load_plan *plan = load->plan;
    struct epoll_event events[256];
    // Long after the end of the plan, what has no answer gets none.
    double end = load->start + plan->seconds, last_end = end + 30;
    for (;;) {
        double time = now(CLOCK_MONOTONIC);
        int error = send_due(load, time);
        if (error) return error;
        int all_idle = load->idle_count == plan->connections;
        if (all_idle && (time >= end || load->result->requests >= plan->requests_max)) return 0;
        if (time > last_end) return ETIMEDOUT;
        // An open loop sleeps no longer than until the next request is due; the kernel wakes it a little later.
        struct timespec wait = {.tv_nsec = plan->rate > 0 && load->idle_count > 0 ? 50000 : 100000000};
        int count = epoll_pwait2(load->poll, events, 256, &wait, NULL);
        if (count < 0 && errno != EINTR) return errno;
        for (int i = 0; i < count; i++) {
            struct connection *connection = events[i].data.ptr;
            if ((error = receive(connection))) return error;
            if (connection->framing.replies < plan->replies) continue;
            double answered = now(CLOCK_MONOTONIC);
            load->result->latencies[connection->request] = (uint32_t)((answered - connection->due) * 1e6);
            load->result->statuses[connection->request] = (uint16_t)connection->framing.status;
            load->result->seconds = answered - load->start;
            // What comes now is no answer to a request: HTTP/2 acknowledges and counts on its own.
            connection->framing.replies = 0;
            load->idle[load->idle_count++] = (int)(connection - load->connections);
        }
    }
}

int load_run(const struct load_plan *plan, struct load_result *result) {
    result->requests = 0;
    result->seconds = 0;
    struct load load = {.plan = plan, .result = result, .poll = epoll_create1(0)};
    load.connections = calloc((size_t)plan->connections, sizeof *load.connections);
    load.idle = calloc((size_t)plan->connections, sizeof *load.idle);
    load.scratch = malloc(request_size_max);
    int error = load.poll < 0 ? errno : load.connections && load.idle && load.scratch ? 0 : ENOMEM;
    if (plan->requests[0].size > request_size_max || plan->requests[1].size > request_size_max) error = EMSGSIZE;
    int open = 0;
    while (!error && open < plan->connections) error = connect_one(&load, &load.connections[open++]);
    double processor = now(CLOCK_THREAD_CPUTIME_ID);
    load.start = now(CLOCK_MONOTONIC);
    if (!error) error = play(&load);
    result->processor_seconds = now(CLOCK_THREAD_CPUTIME_ID) - processor;
    for (int i = 0; i < open; i++) {
        if (load.connections[i].socket >= 0) close(load.connections[i].socket);
    }
    if (load.poll >= 0) close(load.poll);
    free(load.connections);
    free(load.idle);
    free(load.scratch);
    return error;
}
