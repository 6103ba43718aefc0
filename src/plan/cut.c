// SPDX-License-Identifier: Apache-2.0
// Minimum cut by Dinic's algorithm: levels by breadth, then blocking flows along them, without recursion. The source
// stands for 1, the sink for 0: an edge from a to b is paid where a stays with the source and b does not. What the
// source still reaches at the end is 1, which is the smallest such set.
#include "plan/cut.h"

#include <string.h>

typedef struct edge {
  uint32_t to, next;  // next: of the same start; edge ^ 1 is its reverse
  int64_t room;
} edge;

struct cut {
  uint32_t choices, nodes, source, sink;
  uint32_t *first;  // per node: its first edge + 1
  edge *edges;
  uint32_t edge_count, edge_capacity;
};

static const int64_t unlimited = INT64_MAX / 4;

cut *cut_create(uint32_t choices, size_t terms, arena *memory) {
  cut *k = arena_zalloc(memory, sizeof *k);
  if (!k || terms > UINT32_MAX / 8) return NULL;
  *k = (cut){.choices = choices, .nodes = choices + 2, .source = choices, .sink = choices + 1};
  k->edge_capacity = (uint32_t)(4 * terms);
  k->first = arena_array(memory, k->nodes, sizeof *k->first);
  k->edges = arena_array(memory, k->edge_capacity, sizeof *k->edges);
  return k->first && k->edges ? k : NULL;
}

static void add_half(cut *k, uint32_t from, uint32_t to, int64_t room) {
  k->edges[k->edge_count] = (edge){.to = to, .next = k->first[from], .room = room};
  k->first[from] = ++k->edge_count;
}

static void add_edge(cut *k, uint32_t from, uint32_t to, int64_t room) {
  if (room == 0 || k->edge_count + 2 > k->edge_capacity) return;
  add_half(k, from, to, room == CUT_NEVER ? unlimited : room);
  add_half(k, to, from, 0);
}

void cut_cost(cut *k, uint32_t c, int64_t if_0, int64_t if_1) {
  add_edge(k, k->source, c, if_0);
  add_edge(k, c, k->sink, if_1);
}

void cut_pair(cut *k, uint32_t a, uint32_t b, int64_t cost) {
  if (a != b) add_edge(k, a, b, cost);
}

typedef struct search {
  uint32_t *level;    // distance from the source + 1; 0: not reached
  uint32_t *at;       // next edge to try of each node
  uint32_t *queue;    // also the path of one augmentation
  uint32_t *through;  // the edge by which the path came to each of its nodes
} search;

static bool find_levels(const cut *k, search *s) {
  uint32_t head = 0, tail = 0;
  memset(s->level, 0, k->nodes * sizeof *s->level);
  s->level[k->source] = 1;
  s->queue[tail++] = k->source;
  while (head < tail) {
    uint32_t n = s->queue[head++];
    for (uint32_t e = k->first[n]; e; e = k->edges[e - 1].next) {
      const edge *x = &k->edges[e - 1];
      if (x->room == 0 || s->level[x->to]) continue;
      s->level[x->to] = s->level[n] + 1;
      s->queue[tail++] = x->to;
    }
  }
  return s->level[k->sink] != 0;
}

// Pushes along the path in s->through, `length` edges; gives the number of edges before the first that is full now.
static uint32_t push(cut *k, search *s, uint32_t length) {
  int64_t room = INT64_MAX;
  uint32_t keep = length;
  for (uint32_t i = 0; i < length; i++)
    if (k->edges[s->through[i]].room < room) room = k->edges[s->through[i]].room;
  for (uint32_t i = length; i-- > 0;) {
    k->edges[s->through[i]].room -= room;
    k->edges[s->through[i] ^ 1].room += room;
    if (k->edges[s->through[i]].room == 0) keep = i;
  }
  return keep;
}

static void block_flow(cut *k, search *s) {
  memcpy(s->at, k->first, k->nodes * sizeof *s->at);
  uint32_t length = 0, n = k->source;
  for (;;) {
    if (n == k->sink) {
      length = push(k, s, length);
      n = length ? k->edges[s->through[length - 1]].to : k->source;
      continue;
    }
    uint32_t e = s->at[n];
    if (e) {
      const edge *x = &k->edges[e - 1];
      if (x->room > 0 && s->level[x->to] == s->level[n] + 1) {
        s->through[length++] = e - 1;
        n = x->to;
      } else {
        s->at[n] = x->next;
      }
      continue;
    }
    if (n == k->source) return;
    uint32_t back = s->through[--length];  // a dead end: the edge that led here is spent
    n = k->edges[back ^ 1].to;
    s->at[n] = k->edges[back].next;
  }
}

bool cut_solve(cut *k, bool *chosen, arena *memory) {
  search s = {.level = arena_array(memory, k->nodes, sizeof *s.level),
              .at = arena_array(memory, k->nodes, sizeof *s.at),
              .queue = arena_array(memory, k->nodes, sizeof *s.queue),
              .through = arena_array(memory, k->nodes, sizeof *s.through)};
  if (!s.level || !s.at || !s.queue || !s.through) return false;
  while (find_levels(k, &s)) block_flow(k, &s);
  for (uint32_t c = 0; c < k->choices; c++) chosen[c] = s.level[c] != 0;
  return true;
}
