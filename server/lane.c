// SPDX-License-Identifier: Apache-2.0
// A lane as a list of calls (lane.h).
#include "server/lane.h"

#include "server/call.h"

void lane_append(lane *l, call *c) {
  c->lane = l;
  c->queue_next = NULL;
  if (l->last) l->last->queue_next = c;
  else l->first = c;
  l->last = c;
  l->waiting++;
}

void lane_remove(lane *l, call *c) {
  call **link = &l->first, *before = NULL;
  while (*link != c) before = *link, link = &(*link)->queue_next;
  *link = c->queue_next;
  if (l->last == c) l->last = before;
  l->waiting--;
  c->lane = NULL;
}
