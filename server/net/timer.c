// SPDX-License-Identifier: Apache-2.0
// Lists of timers (timer.h).
#include "server/net/timer.h"

#include <stddef.h>

void timer_stop(net_timers *t, net_timer *one) {
  net_phase phase = one->phase;
  if (phase == PHASE_NONE) return;
  if (one->previous) one->previous->next = one->next;
  else t->first[phase] = one->next;
  if (one->next) one->next->previous = one->previous;
  else t->last[phase] = one->previous;
  *one = (net_timer){0};
}

void timer_set(net_timers *t, net_timer *one, net_phase phase, uint64_t now_ns) {
  timer_stop(t, one);
  if (phase == PHASE_NONE) return;
  *one = (net_timer){t->last[phase], NULL, now_ns + t->duration_ns[phase], phase};
  if (one->previous) one->previous->next = one;
  else t->first[phase] = one;
  t->last[phase] = one;
}

uint64_t timer_next(const net_timers *t) {
  uint64_t next = UINT64_MAX;
  for (int i = PHASE_NONE + 1; i < PHASES; i++)
    if (t->first[i] && t->first[i]->due_ns < next) next = t->first[i]->due_ns;
  return next;
}

net_timer *timer_take(net_timers *t, uint64_t now_ns, net_phase *phase) {
  for (int i = PHASE_NONE + 1; i < PHASES; i++) {
    net_timer *one = t->first[i];
    if (!one || one->due_ns > now_ns) continue;
    *phase = one->phase;
    timer_stop(t, one);
    return one;
  }
  return NULL;
}
