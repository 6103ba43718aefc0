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

void timer_set_before(net_timers *t, net_timer *one, net_phase phase, uint64_t now_ns, uint64_t deadline_ns) {
  uint64_t due = now_ns + t->duration_ns[phase];
  timer_stop(t, one);
  if (phase == PHASE_NONE) return;
  if (due > deadline_ns) due = deadline_ns;
  net_timer *before = t->last[phase];
  while (before && before->due_ns > due) before = before->previous;
  *one = (net_timer){before, before ? before->next : t->first[phase], due, phase};
  if (before) before->next = one;
  else t->first[phase] = one;
  if (one->next) one->next->previous = one;
  else t->last[phase] = one;
}

void timer_set(net_timers *t, net_timer *one, net_phase phase, uint64_t now_ns) {
  timer_set_before(t, one, phase, now_ns, UINT64_MAX);
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
