// SPDX-License-Identifier: Apache-2.0
// Calls that wait together for a thread: those of one model (admission/queue.c). Guarded by the queue.
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
