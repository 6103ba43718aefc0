// SPDX-License-Identifier: Apache-2.0
// Every limit of the server in one table: flag, field, default, lowest, highest, meaning. The
// options of `sardonyx serve`, the help text and the sardonyx_limit metric are made from it.
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/json.h"

// X(field, "flag", default, min, max, "meaning")
#define LIMIT_LIST(X)                                                                                                 \
  X(workers, "workers", 0, 0, 1024, "threads that compute requests; 0: one a processor")                              \
  X(io_threads, "io-threads", 0, 0, 64, "threads that serve sockets; 0: one a processor, at most 4")                  \
  X(inline_us, "inline-us", 500, 0, 1000000, "models faster than this run on the socket thread; 0: never")            \
  X(timeout_ms, "timeout-ms", 30000, 1, 86400000, "time from the whole request to its result, else 504")              \
  X(p99_ms, "p99-ms", 0, 0, 86400000,                                                                                 \
    "goal for the time of 99 of 100 requests: they are computed together as far as it allows, and refused (503) "     \
    "where it would be missed; 0: none")                                                                              \
  X(max_batch, "max-batch", 32, 1, 64, "requests that are computed together at most, with p99-ms")                    \
  X(default_priority, "default-priority", 10, 1, 1000000,                                                             \
    "of requests that give none (header x-request-priority, parameter priority); 1 is the most urgent")               \
  X(memory_limit_bytes, "memory-limit-bytes", 0, 0, 1099511627776,                                                    \
    "memory of models: one is loaded when it is asked for, and leaves when its room is needed; 0: all stay loaded")   \
  X(max_sequences, "max-sequences", 1024, 1, 1000000, "sequences of a model that keeps a state, at once, else 503")   \
  X(max_sequence_bytes, "max-sequence-bytes", 268435456, 1, 1099511627776,                                            \
    "states of a model's sequences together; new ones get 503 beyond")                                                \
  X(sequence_idle_ms, "sequence-idle-ms", 60000, 1, 86400000, "without a request a sequence is forgotten")            \
  X(cache_bytes, "cache-bytes", 0, 0, 1099511627776,                                                                  \
    "answers that are kept and given again to the same requests; 0: none")                                            \
  X(cache_ttl_ms, "cache-ttl-ms", 60000, 1, 86400000, "how long such an answer is good")                              \
  X(script_workers, "script-workers", 0, 0, 1024, "processes that run the script; 0: one a processor, at most 4")     \
  X(script_start_ms, "script-start-ms", 300000, 1, 86400000, "time for init() of the script")                         \
  X(script_memory_bytes, "script-memory-bytes", 4294967296, 16777216, 1099511627776,                                  \
    "memory of each process that runs the script")                                                                    \
  X(alert_error_percent, "alert-error-percent", 0, 0, 100,                                                            \
    "alert where more of a model's requests fail (5xx) within alert-seconds; 0: never")                               \
  X(alert_latency_ms, "alert-latency-ms", 0, 0, 86400000,                                                             \
    "alert where 99 of 100 requests of a model take longer; 0: never")                                                \
  X(alert_seconds, "alert-seconds", 30, 1, 3600, "how long requests are counted before they are judged")              \
  X(collect_bytes, "collect-bytes", 1073741824, 0, 1099511627776, "data that --collect keeps a day at most")          \
  X(max_queue, "max-queue", 100, 0, 1000000, "requests that wait for a worker, for each model, else 503")             \
  X(max_queue_wait_ms, "max-queue-wait-ms", 2000, 1, 86400000, "how long one may wait there, else 503")               \
  X(max_client_requests, "max-client-requests", 256, 0, 1000000,                                                      \
    "scoring requests of one address at once, else 429; 0: any")                                                      \
  X(max_connections, "max-connections", 10000, 1, 1000000, "open connections; more wait to be accepted")              \
  X(max_client_connections, "max-client-connections", 1000, 0, 1000000, "connections of one address; 0: any")         \
  X(max_body_bytes, "max-body-bytes", 67108864, 1, 1099511627776, "largest request body, else 413")                   \
  X(max_buffered_bytes, "max-buffered-bytes", 0, 0, 1099511627776,                                                    \
    "request bodies held at once, else 503; 0: 1 GiB, or a quarter of the memory if that is less")                    \
  X(max_response_bytes, "max-response-bytes", 268435456, 1, 1099511627776, "largest response body, else 507")         \
  X(max_head_bytes, "max-head-bytes", 16384, 1024, 65536, "request line and headers, else 431")                       \
  X(max_headers, "max-headers", 100, 1, 1000, "number of headers, else 431")                                          \
  X(max_chunks, "max-chunks", 65536, 1, 1000000000, "chunks of one body, else 413")                                   \
  X(compress_bytes, "compress-bytes", 4096, 0, 1099511627776,                                                         \
    "responses from this size up are compressed if the client accepts it; 0: none")                                   \
  X(max_json_depth, "max-json-depth", 32, 1, 64, "nesting of JSON, else 400")                                         \
  X(max_json_values, "max-json-values", 10000000, 1, 1000000000, "values in one JSON text, else 400")                 \
  X(head_timeout_ms, "head-timeout-ms", 10000, 1, 86400000, "for the head of a request, then the connection closes")  \
  X(idle_timeout_ms, "idle-timeout-ms", 75000, 1, 86400000, "between two requests of a connection")                   \
  X(write_timeout_ms, "write-timeout-ms", 30000, 1, 86400000, "for a client to take the next part of a response")     \
  X(min_rate_bytes, "min-rate-bytes", 1024, 0, 1073741824, "bytes a second a client must send or take; 0: any")       \
  X(drain_ms, "drain-ms", 25000, 0, 86400000, "after SIGTERM: time to answer what was accepted")                      \
  X(drain_idle_ms, "drain-idle-ms", 250, 0, 86400000, "after SIGTERM: for a client to send on a connection it keeps") \
  X(drain_lag_ms, "drain-lag-ms", 0, 0, 86400000, "after SIGTERM: not ready, but still accepting, this long")

typedef struct limits {
#define X(field, flag, standard, lowest, highest, meaning) int64_t field;
  LIMIT_LIST(X)
#undef X
} limits;

typedef struct limit_row {
  const char *flag, *meaning;
  int64_t standard, lowest, highest;
  size_t offset;  // of the field in struct limits
} limit_row;

extern const limit_row limit_rows[];                                   // ends with a NULL flag
void limits_init(limits *l);                                           // defaults
void limits_json(const limits *l, json *j, char *bytes, size_t size);  // a reader that keeps them
static inline int64_t *limit_at(limits *l, const limit_row *row) { return (int64_t *)((char *)l + row->offset); }
