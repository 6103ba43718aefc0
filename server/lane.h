// SPDX-License-Identifier: Apache-2.0
// Calls that wait together for a thread: those of one model (admission/queue.c), those of the script. Guarded by the
// policy they wait in.
#pragma once

#include <stdatomic.h>
#include <stdbool.h>
#include <stddef.h>

typedef struct lane {
  const char *name;  // for messages: "model 'x'"
  struct call *first, *last;
  atomic_size_t waiting;  // may be read without the lock
  size_t running;
  struct lane *next;  // lanes that take turns
  bool in_turn;
} lane;

void lane_append(lane *l, struct call *c);
void lane_remove(lane *l, struct call *c);
