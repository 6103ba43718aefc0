// SPDX-License-Identifier: Apache-2.0
// Calls that wait together for a thread: those of one model (admission/queue.c), those of the script. The most urgent
// comes first: by priority, then by turn, so that a client with many calls gets no more than one with few. Guarded by
// the policy they wait in.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { LANE_CLIENTS = 64, PRIORITY_PARSE = 0 };

typedef struct lane {
  const char *name;     // for messages: "model 'x'"
  struct call **calls;  // a binary heap
  size_t capacity;
  atomic_size_t waiting;  // may be read without the lock
  size_t running;
  uint64_t serial, turn;         // of the call that came last; of the one that was taken last
  uint64_t turns[LANE_CLIENTS];  // the last one given to a client, by its hash
  // Of admission/queue.c:
  uint64_t pace_ns[2], paced_ns;  // how long a call keeps the lane, [1] to be parsed (moving averages), and since when
  uint64_t used_ns;               // time of threads it had: the lane with the least is served next
  struct lane *next;
  bool in_turn;
} lane;

void lane_deinit(lane *l);
bool lane_add(lane *l, struct call *c);  // false: memory
void lane_remove(lane *l, struct call *c);
struct call *lane_take(lane *l);                         // the first; NULL: none waits
struct call *lane_last(const lane *l);                   // the least urgent
size_t lane_ahead(const lane *l, const struct call *c);  // how many that wait would be served before it
