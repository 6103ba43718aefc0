// SPDX-License-Identifier: Apache-2.0
// Timers of one loop. All timers of a phase last equally long, or end sooner where a request has a deadline of its own:
// a list in the order of ending is nearly one in the order of setting, the next one to end stands first, and nothing
// ever ticks.
#pragma once

#include <stdbool.h>
#include <stdint.h>

typedef enum net_phase {
  PHASE_NONE,    // may last
  PHASE_HEAD,    // connected, or a head is coming
  PHASE_IDLE,    // between requests
  PHASE_BODY,    // a body is coming: looked at for its rate
  PHASE_WRITE,   // a response is going out: likewise
  PHASE_GONE,    // the client closed its side while its request is computed
  PHASE_LINGER,  // the response is out; what the client still sends is read so that it can read that
  PHASE_CUT,     // the same after a timeout, shortly
  PHASE_QUEUE,   // an exchange waits for a worker
  PHASES,
} net_phase;

typedef struct net_timer {
  struct net_timer *previous, *next;
  uint64_t due_ns;
  net_phase phase;  // PHASE_NONE: not set
} net_timer;

typedef struct net_timers {
  net_timer *first[PHASES], *last[PHASES];
  uint64_t duration_ns[PHASES];
} net_timers;

void timer_stop(net_timers *t, net_timer *one);
void timer_set(net_timers *t, net_timer *one, net_phase phase, uint64_t now_ns);
void timer_set_before(net_timers *t, net_timer *one, net_phase phase, uint64_t now_ns, uint64_t deadline_ns);
uint64_t timer_next(const net_timers *t);  // when the first one ends; UINT64_MAX: none is set
// Takes out one that has ended, or NULL. Its phase stays readable in *phase.
net_timer *timer_take(net_timers *t, uint64_t now_ns, net_phase *phase);
