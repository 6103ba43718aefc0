// SPDX-License-Identifier: Apache-2.0
// A lane as a heap of calls (lane.h). Turns are start-time fair queueing: a client's next call stands one turn behind
// its last one, or behind the call that is served now if it was silent meanwhile.
#include "server/lane.h"

#include <stdlib.h>

#include "server/call.h"

void lane_deinit(lane *l) { free(l->calls); }

static uint64_t next_turn(const lane *l, const call *c) {
  uint64_t last = l->turns[c->fair % LANE_CLIENTS];
  return (last > l->turn ? last : l->turn) + 1;
}

static bool sooner(const call *a, unsigned a_priority, const call *b, unsigned b_priority) {
  if (a_priority != b_priority) return a_priority < b_priority;
  return a->turn != b->turn ? a->turn < b->turn : a->serial < b->serial;
}

static bool before(const call *a, const call *b) { return sooner(a, a->priority, b, b->priority); }

static void place(lane *l, size_t at, call *c) {
  l->calls[at] = c;
  c->lane_at = at;
}

// From `at`, whose call left, to where `c` belongs.
static void settle(lane *l, size_t at, call *c) {
  size_t count = l->waiting;
  for (; at && before(c, l->calls[(at - 1) / 2]); at = (at - 1) / 2) place(l, at, l->calls[(at - 1) / 2]);
  for (size_t child; (child = 2 * at + 1) < count; at = child) {
    if (child + 1 < count && before(l->calls[child + 1], l->calls[child])) child++;
    if (!before(l->calls[child], c)) break;
    place(l, at, l->calls[child]);
  }
  place(l, at, c);
}

bool lane_add(lane *l, call *c) {
  if (l->waiting == l->capacity) {
    size_t capacity = l->capacity ? l->capacity * 2 : 16;
    call **calls = realloc(l->calls, capacity * sizeof *calls);
    if (!calls) return false;
    l->calls = calls;
    l->capacity = capacity;
  }
  if (!c->turn) {  // else it was here before
    c->turn = l->turns[c->fair % LANE_CLIENTS] = next_turn(l, c);
    c->serial = ++l->serial;
  }
  c->lane = l;
  l->waiting++;
  settle(l, l->waiting - 1, c);
  return true;
}

void lane_remove(lane *l, call *c) {
  call *moved = l->calls[--l->waiting];
  c->lane = NULL;
  if (moved != c) settle(l, c->lane_at, moved);
}

call *lane_take(lane *l) {
  if (!l->waiting) return NULL;
  call *c = l->calls[0];
  lane_remove(l, c);
  if (c->turn > l->turn && c->priority != PRIORITY_PARSE) l->turn = c->turn;
  return c;
}

call *lane_last(const lane *l) {
  call *last = NULL;
  for (size_t i = 0; i < l->waiting; i++)
    if (!last || sooner(last, last->asked, l->calls[i], l->calls[i]->asked)) last = l->calls[i];
  return last;
}

size_t lane_ahead(const lane *l, const call *c) {
  uint64_t turn = c->turn ? c->turn : next_turn(l, c);
  size_t count = 0;
  for (size_t i = 0; i < l->waiting; i++) {
    const call *other = l->calls[i];
    count += other->asked != c->asked ? other->asked < c->asked : other->turn <= turn;
  }
  return count;
}
