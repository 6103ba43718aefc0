// SPDX-License-Identifier: Apache-2.0
// The steps of Sugiyama's method: layers by the longest path, points where arrows pass layers (one chain for all arrows
// of a box), an order in each layer by the neighbours' mean place, then coordinates: each layer in turn is put as near
// to its neighbours as the order allows, which is a regression with ordered results, solved exactly by pooling.
#include "view/layout.h"

#include <stdlib.h>
#include <string.h>

enum { POINT_WIDTH = 8, ORDER_SWEEPS = 8, PLACE_SWEEPS = 10, MOST_POINTS_EACH = 4, MOST_POINTS_ALL = 20000 };

typedef struct vertex {  // a box or a point
  uint32_t layer, place;
  float x, width, key;
  uint32_t up, up_count, down, down_count;  // neighbours, in `links`
} vertex;

typedef struct pool {
  double place, weight;
  uint32_t count;
} pool;

typedef struct work {
  const layout_arrow *arrows;
  layout_box *boxes;
  size_t box_count, arrow_count, count, link_count, layer_count;
  vertex *at;
  uint32_t (*pairs)[2];  // links between neighbouring layers, from above to below
  uint32_t *links;
  uint32_t *first;    // of each layer, in `order`
  uint32_t *order;    // vertices by layer and place
  uint32_t *best;     // the order with the fewest crossings so far
  uint32_t *counter;  // room for counting crossings
  pool *pools;
} work;

static bool counts(const work *w, const layout_arrow *a) { return a->from < a->to && a->to < w->box_count; }

// ---- layers -----------------------------------------------------------------------------------------

// As high as possible; then whatever has nothing above it moves down to what it is for.
static void find_layers(work *w, uint32_t *begin, const uint32_t *by_source) {
  layout_box *boxes = w->boxes;
  for (size_t i = 0; i < w->box_count; i++) boxes[i].layer = 0;
  for (size_t i = 0; i < w->box_count; i++)
    for (uint32_t k = begin[i]; k < begin[i + 1]; k++) {
      layout_box *to = &boxes[w->arrows[by_source[k]].to];
      if (to->layer <= boxes[i].layer) to->layer = boxes[i].layer + 1;
    }
  bool *has_above = calloc(w->box_count + 1, sizeof *has_above);
  if (!has_above) return;
  for (size_t i = 0; i < w->arrow_count; i++)
    if (counts(w, &w->arrows[i])) has_above[w->arrows[i].to] = true;
  for (size_t i = w->box_count; i-- > 0;) {
    uint32_t nearest = UINT32_MAX;
    for (uint32_t k = begin[i]; k < begin[i + 1]; k++)
      if (boxes[w->arrows[by_source[k]].to].layer < nearest) nearest = boxes[w->arrows[by_source[k]].to].layer;
    if (!has_above[i] && nearest != UINT32_MAX) boxes[i].layer = nearest - 1;
  }
  free(has_above);
}

static int by_size(const void *a, const void *b) {
  uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;
  return x < y ? -1 : x > y;
}

// How far arrows may lead for all of their points together to stay within bounds.
static uint32_t longest_way(const uint32_t *lengths, size_t count) {
  uint32_t *sorted = malloc((count + 1) * sizeof *sorted), longest = 0;
  if (!sorted) return 0;
  memcpy(sorted, lengths, count * sizeof *sorted);
  qsort(sorted, count, sizeof *sorted, by_size);
  size_t left = MOST_POINTS_EACH * count + MOST_POINTS_ALL;
  for (size_t i = 0; i < count && sorted[i] <= left; i++) left -= longest = sorted[i];
  free(sorted);
  return longest;
}

// ---- points and links -------------------------------------------------------------------------------

static void add_vertex(work *w, uint32_t layer, float width) {
  w->at[w->count++] = (vertex){.layer = layer, .width = width};
  if (layer >= w->layer_count) w->layer_count = layer + 1;
}

static void add_link(work *w, uint32_t from, uint32_t to) {
  w->pairs[w->link_count][0] = from, w->pairs[w->link_count++][1] = to;
}

static bool make_vertices(work *w, const uint32_t *begin, const uint32_t *by_source, const uint32_t *lengths) {
  size_t n = w->box_count, points = 0;
  uint32_t most = longest_way(lengths, n);
  for (size_t i = 0; i < n; i++) {
    w->boxes[i].way_count = lengths[i] <= most ? lengths[i] : 0;
    points += w->boxes[i].way_count;
  }
  w->at = malloc((n + points + 1) * sizeof *w->at);
  w->pairs = malloc((w->arrow_count + points + 1) * sizeof *w->pairs);
  if (!w->at || !w->pairs) return false;
  for (size_t i = 0; i < n; i++) add_vertex(w, w->boxes[i].layer, w->boxes[i].width);
  for (size_t i = 0; i < n; i++) {
    uint32_t layer = w->boxes[i].layer, first = (uint32_t)w->count;
    for (uint32_t k = 0; k < w->boxes[i].way_count; k++) {
      add_link(w, k ? first + k - 1 : (uint32_t)i, first + k);
      add_vertex(w, layer + 1 + k, POINT_WIDTH);
    }
    for (uint32_t k = begin[i]; k < begin[i + 1]; k++) {
      uint32_t to = w->arrows[by_source[k]].to, far = w->boxes[to].layer - layer;
      if (far <= w->boxes[i].way_count + 1) add_link(w, far > 1 ? first + far - 2 : (uint32_t)i, to);
    }
  }
  return true;
}

static bool make_links(work *w) {
  w->links = malloc((2 * w->link_count + 1) * sizeof *w->links);
  if (!w->links) return false;
  for (size_t i = 0; i < w->link_count; i++) {
    w->at[w->pairs[i][0]].down_count++;
    w->at[w->pairs[i][1]].up_count++;
  }
  uint32_t next = 0;
  for (size_t i = 0; i < w->count; i++) {
    vertex *v = &w->at[i];
    v->up = next, next += v->up_count, v->up_count = 0;
    v->down = next, next += v->down_count, v->down_count = 0;
  }
  for (size_t i = 0; i < w->link_count; i++) {
    vertex *above = &w->at[w->pairs[i][0]], *below = &w->at[w->pairs[i][1]];
    w->links[above->down + above->down_count++] = w->pairs[i][1];
    w->links[below->up + below->up_count++] = w->pairs[i][0];
  }
  return true;
}

static bool make_order(work *w) {
  w->first = calloc(w->layer_count + 2, sizeof *w->first);
  w->order = malloc((w->count + 1) * sizeof *w->order);
  w->best = malloc((w->count + 1) * sizeof *w->best);
  w->counter = malloc((w->count + 2) * sizeof *w->counter);
  w->pools = malloc((w->count + 1) * sizeof *w->pools);
  if (!w->first || !w->order || !w->best || !w->counter || !w->pools) return false;
  for (size_t i = 0; i < w->count; i++) w->first[w->at[i].layer + 1]++;
  for (size_t l = 0; l < w->layer_count; l++) w->first[l + 1] += w->first[l];
  memcpy(w->counter, w->first, (w->layer_count + 1) * sizeof *w->counter);
  for (size_t i = 0; i < w->count; i++) {
    uint32_t at = w->counter[w->at[i].layer]++;
    w->order[at] = (uint32_t)i;
    w->at[i].place = at - w->first[w->at[i].layer];
  }
  return true;
}

// ---- order within layers ----------------------------------------------------------------------------

static int by_key(const void *a, const void *b, void *vertices) {
  const vertex *x = (vertex *)vertices + *(const uint32_t *)a, *y = (vertex *)vertices + *(const uint32_t *)b;
  if (x->key != y->key) return x->key < y->key ? -1 : 1;
  return x->place < y->place ? -1 : x->place > y->place;
}

static void sort_layer(work *w, size_t layer, bool from_above) {
  uint32_t *order = w->order + w->first[layer], count = w->first[layer + 1] - w->first[layer];
  if (count < 2) return;
  for (uint32_t i = 0; i < count; i++) {
    vertex *v = &w->at[order[i]];
    const uint32_t *near = w->links + (from_above ? v->up : v->down);
    uint32_t n = from_above ? v->up_count : v->down_count;
    double sum = 0;
    for (uint32_t k = 0; k < n; k++) {
      const vertex *other = &w->at[near[k]];
      uint32_t width = w->first[other->layer + 1] - w->first[other->layer];
      sum += (other->place + 0.5) / width;
    }
    v->key = (float)(n ? sum / n : (v->place + 0.5) / count);
  }
  qsort_r(order, count, sizeof *order, by_key, w->at);
  for (uint32_t i = 0; i < count; i++) w->at[order[i]].place = i;
}

// Crossings between a layer and the next: links in the order of their upper ends, inversions of the lower ones by a
// tree of counts.
static size_t count_crossings(work *w, size_t layer) {
  uint32_t lower = w->first[layer + 2] - w->first[layer + 1], total = 0;
  size_t crossings = 0;
  memset(w->counter, 0, (lower + 1) * sizeof *w->counter);
  for (uint32_t i = w->first[layer]; i < w->first[layer + 1]; i++) {
    const vertex *v = &w->at[w->order[i]];
    for (int adds = 0; adds < 2; adds++)
      for (uint32_t k = 0; k < v->down_count; k++) {
        uint32_t place = w->at[w->links[v->down + k]].place + 1, before = 0;
        for (uint32_t t = place; !adds && t; t &= t - 1) before += w->counter[t];
        crossings += adds ? 0 : total - before;
        for (uint32_t t = place; adds && t <= lower; t += t & -t) w->counter[t]++;
      }
    total += v->down_count;
  }
  return crossings;
}

static void find_order(work *w) {
  size_t fewest = SIZE_MAX;
  for (int sweep = 0; sweep < ORDER_SWEEPS && fewest; sweep++) {
    size_t crossings = 0;
    for (size_t i = 0; i < w->layer_count; i++) sort_layer(w, sweep % 2 ? w->layer_count - 1 - i : i, sweep % 2 == 0);
    for (size_t l = 0; l + 1 < w->layer_count; l++) crossings += count_crossings(w, l);
    if (crossings >= fewest) continue;
    fewest = crossings;
    memcpy(w->best, w->order, w->count * sizeof *w->best);
  }
  memcpy(w->order, w->best, w->count * sizeof *w->best);
}

// ---- coordinates --------------------------------------------------------------------------------------

static bool is_point(const work *w, uint32_t v) { return v >= w->box_count; }

// Where a vertex would like to be: the mean of its neighbours, long ways pulling harder so that they become straight.
static double wish(const work *w, uint32_t v, bool above, bool below, double *weight) {
  const vertex *at = &w->at[v];
  double sum = 0;
  *weight = 0;
  for (uint32_t k = above ? 0 : at->up_count; k < at->up_count + (below ? at->down_count : 0); k++) {
    uint32_t other = k < at->up_count ? w->links[at->up + k] : w->links[at->down + k - at->up_count];
    double pull = is_point(w, v) ? (is_point(w, other) ? 8 : 2) : 1;
    sum += pull * w->at[other].x;
    *weight += pull;
  }
  if (*weight > 0) return sum / *weight;
  *weight = 0.01;
  return at->x;
}

static void place_layer(work *w, size_t layer, bool above, bool below) {
  const uint32_t *order = w->order + w->first[layer];
  uint32_t count = w->first[layer + 1] - w->first[layer], pools = 0;
  double offset = 0;  // where the vertex would be if all stood as close as they may
  for (uint32_t i = 0; i < count; i++) {
    if (i) offset += (w->at[order[i - 1]].width + w->at[order[i]].width) / 2 + LAYOUT_GAP;
    double weight, place = wish(w, order[i], above, below, &weight) - offset;
    w->pools[pools++] = (pool){place, weight, 1};
    while (pools > 1 && w->pools[pools - 2].place > w->pools[pools - 1].place) {
      pool *into = &w->pools[pools - 2], *last = &w->pools[--pools];
      into->place = (into->place * into->weight + last->place * last->weight) / (into->weight + last->weight);
      into->weight += last->weight, into->count += last->count;
    }
  }
  offset = 0;
  for (uint32_t p = 0, i = 0; p < pools; p++)
    for (uint32_t k = 0; k < w->pools[p].count; k++, i++) {
      if (i) offset += (w->at[order[i - 1]].width + w->at[order[i]].width) / 2 + LAYOUT_GAP;
      w->at[order[i]].x = (float)(w->pools[p].place + offset);
    }
}

static void find_places(work *w) {
  for (int sweep = 0; sweep < PLACE_SWEEPS; sweep++) {
    bool down = sweep % 2 == 0, both = sweep >= PLACE_SWEEPS / 2;
    for (size_t i = 0; i < w->layer_count; i++)
      place_layer(w, down ? i : w->layer_count - 1 - i, down || both, !down || both);
  }
}

// ---- all together -----------------------------------------------------------------------------------

static bool hand_over(work *w, void **piece) {
  size_t points = w->count - w->box_count, next = w->box_count;
  float *ways = malloc((points + 1) * sizeof *ways);
  if (!ways) return false;
  *piece = ways;
  for (size_t i = 0; i < w->box_count; i++) {
    w->boxes[i].x = w->at[i].x;
    w->boxes[i].way = ways;
    for (uint32_t k = 0; k < w->boxes[i].way_count; k++) *ways++ = w->at[next++].x;
  }
  return true;
}

// Arrows by where they begin, and how many layers each box's arrows lead past.
static bool find_all(work *w, void **piece) {
  size_t n = w->box_count;
  uint32_t *begin = calloc(n + 2, sizeof *begin), *by_source = malloc((w->arrow_count + 1) * sizeof *by_source),
           *lengths = calloc(n + 1, sizeof *lengths);
  bool good = begin && by_source && lengths;
  for (size_t i = 0; good && i < w->arrow_count; i++)
    if (counts(w, &w->arrows[i])) begin[w->arrows[i].from + 2]++;
  for (size_t i = 0; good && i < n; i++) begin[i + 2] += begin[i + 1];
  for (size_t i = 0; good && i < w->arrow_count; i++)
    if (counts(w, &w->arrows[i])) by_source[begin[w->arrows[i].from + 1]++] = (uint32_t)i;
  if (good) find_layers(w, begin, by_source);
  for (size_t i = 0; good && i < w->arrow_count; i++) {
    if (!counts(w, &w->arrows[i])) continue;
    uint32_t from = w->arrows[i].from, far = w->boxes[w->arrows[i].to].layer - w->boxes[from].layer;
    if (far > lengths[from] + 1) lengths[from] = far - 1;
  }
  good = good && make_vertices(w, begin, by_source, lengths) && make_links(w) && make_order(w);
  free(begin);
  free(by_source);
  free(lengths);
  if (!good) return false;
  find_order(w);
  find_places(w);
  return hand_over(w, piece);
}

bool layout_find(layout_box *boxes, size_t box_count, const layout_arrow *arrows, size_t arrow_count, void **piece) {
  work w = {.boxes = boxes, .box_count = box_count, .arrows = arrows, .arrow_count = arrow_count};
  *piece = NULL;
  bool good = find_all(&w, piece);
  free(w.at);
  free(w.pairs);
  free(w.links);
  free(w.first);
  free(w.order);
  free(w.best);
  free(w.counter);
  free(w.pools);
  return good;
}
