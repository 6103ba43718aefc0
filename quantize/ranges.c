// SPDX-License-Identifier: Apache-2.0
// Which range of numbers becomes the 256 of a byte. A model that gives all values in question runs on the samples: once
// for the extremes, and, where the method wants more, again for a histogram between them. Methods:
//
//   min-max      all of what was seen
//   percentile   all but the same share at either end
//   entropy      the cut that loses the least information (divergence of Kullback and Leibler)
//   mse          the cut whose rounding and saturating has the least squared error
//
// Read next: emit.c.
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "quantize/quantize.h"

enum { BINS = 2048, LEVELS = 256, CUTS = 96 };

typedef struct seen {
  float low, high;
  bool any;
  uint64_t *bins;  // between low and high, of all but zeros, which any scale keeps
  uint64_t zeros;
} seen;

// ---- running ----------------------------------------------------------------------------------------

sdx_status quantize_watch(sdx_builder *b, size_t count, const char *const *names, sdx_session **session, char **bytes,
                          size_t *first, fault *f) {
  sdx_graph *g = sdx_builder_graph(b);
  size_t size = 0, before = *first = sdx_graph_output_count(g);
  for (size_t i = 0; i < count; i++) {
    sdx_ref v = sdx_graph_find(g, names[i]);
    sdx_io io = sdx_graph_describe(g, v);
    io.dtype = SDX_FLOAT;
    sdx_graph_add_output(g, v, &io);
  }
  *session = NULL;
  *bytes = sdx_builder_bytes(b, &size);
  while (sdx_graph_output_count(g) > before) sdx_graph_remove_output(g, sdx_graph_output_count(g) - 1);
  if (!*bytes) return fault_set(f, sdx_builder_status(b), "%s", sdx_builder_error(b));
  if (sdx_session_load_bytes(*bytes, size, true, NULL, session))
    return fault_set(f, SDX_INVALID_GRAPH, "%s", sdx_session_error(*session));
  return SDX_OK;
}

typedef void (*look)(seen *s, const float *x, size_t count);

static sdx_status run_all(sdx_session *session, size_t first, size_t count, const quantize_samples *s, seen *all,
                          look see, fault *f) {
  sdx_run *run;
  sdx_status status = sdx_run_create(session, &run);
  if (status) return fault_no_memory(f);
  for (size_t k = 0; k < s->count && !status; k++) {
    status = s->feed(s->context, k, session, run);
    if (status) fault_set(f, status, "sample %zu cannot be read", k);
    else if ((status = sdx_run_execute(run))) fault_set(f, status, "sample %zu: %s", k, sdx_run_error(run));
    for (size_t i = 0; i < count && !status; i++) {
      const sdx_value *v = sdx_run_output(run, first + i);
      if (v && sdx_tensor_dtype(v) == SDX_FLOAT) see(&all[i], sdx_tensor_data(v), sdx_tensor_count(v));
    }
    if (s->progress) s->progress(s->context, k + 1, s->count);
  }
  sdx_run_destroy(run);
  return status;
}

static void see_extremes(seen *s, const float *x, size_t count) {
  for (size_t i = 0; i < count; i++) {
    if (!isfinite(x[i])) continue;
    if (!s->any || x[i] < s->low) s->low = x[i];
    if (!s->any || x[i] > s->high) s->high = x[i];
    s->any = true;
  }
}

// In double: the extremes of float are further apart than float reaches.
static double bin_width(const seen *s) { return ((double)s->high - (double)s->low) / BINS; }

static void see_bins(seen *s, const float *x, size_t count) {
  double width = bin_width(s);
  if (!s->bins || !(width > 0)) return;
  for (size_t i = 0; i < count; i++) {
    if (!(x[i] >= s->low && x[i] <= s->high)) continue;
    if (x[i] == 0) {
      s->zeros++;
      continue;
    }
    size_t at = (size_t)(((double)x[i] - (double)s->low) / width);
    s->bins[at < BINS ? at : BINS - 1]++;
  }
}

// ---- methods ----------------------------------------------------------------------------------------

static float bin_at(const seen *s, size_t i) { return (float)((double)s->low + bin_width(s) * ((double)i + 0.5)); }

static range by_percentile(const seen *s, double percentile) {
  uint64_t all = s->zeros, cut, sum = 0;
  for (size_t i = 0; i < BINS; i++) all += s->bins[i];
  cut = (uint64_t)((double)all * (100 - percentile) / 200);
  size_t first = 0, last = BINS - 1;
  while (first < last && bin_at(s, first) < 0 && (sum += s->bins[first]) <= cut) first++;
  for (sum = 0; last > first && bin_at(s, last) > 0 && (sum += s->bins[last]) <= cut;) last--;
  double low = (double)s->low, width = bin_width(s);
  return (range){first ? (float)(low + width * (double)first) : s->low,
                 last < BINS - 1 ? (float)(low + width * (double)(last + 1)) : s->high};
}

static double squared_error(const seen *s, range r) {
  float low = r.low < 0 ? r.low : 0, high = r.high > 0 ? r.high : 0;
  double sum = 0, scale = ((double)high - (double)low) / (LEVELS - 1);
  for (size_t i = 0; i < BINS; i++) {
    if (!s->bins[i]) continue;
    float x = bin_at(s, i), y = x < low ? low : x > high ? high : x;
    double within = scale * scale / 12;  // of rounding, as bins are not narrower than steps
    double off = (double)x - (double)y;
    sum += (double)s->bins[i] * (off * off + (x == y ? within : 0));
  }
  return sum;
}

// Divergence of the histogram within the cut, its tails added to the ends, from itself in 256 levels.
static double divergence(const seen *s, range r) {
  double p[BINS], sum = 0, result = 0;
  size_t first = BINS, last = 0;
  for (size_t i = 0; i < BINS; i++) {
    float x = bin_at(s, i);
    p[i] = 0;
    if (x < r.low || x > r.high) continue;
    if (first == BINS) first = i;
    last = i;
  }
  if (first > last) return INFINITY;
  for (size_t i = 0; i < BINS; i++) {
    size_t at = i < first ? first : i > last ? last : i;
    p[at] += (double)s->bins[i];
    sum += (double)s->bins[i];
  }
  size_t span = last - first + 1;
  for (size_t level = 0; level < LEVELS; level++) {
    size_t from = first + level * span / LEVELS, to = first + (level + 1) * span / LEVELS, used = 0;
    double kept = 0;
    for (size_t i = from; i < to; i++) kept += (double)s->bins[i], used += s->bins[i] != 0;
    for (size_t i = from; i < to; i++) {
      if (p[i] <= 0) continue;
      double q = s->bins[i] && used ? kept / (double)used : 1e-4;
      result += p[i] / sum * log(p[i] / (q > 0 ? q : 1e-4));
    }
  }
  return result;
}

// Both ends are drawn in together: zero keeps its place.
static range by_least(const seen *s, double (*loss)(const seen *s, range r)) {
  range best = {s->low, s->high};
  double least = INFINITY;
  for (int i = CUTS; i >= CUTS / 8; i--) {
    float share = (float)i / CUTS;
    range r = {s->low * share, s->high * share};
    double l = loss(s, r);
    if (l < least) least = l, best = r;
  }
  return best;
}

static range choose(const seen *s, const quantize_options *o) {
  if (!s->any) return (range){0, 0};
  if (o->method == RANGE_MINMAX || !(s->high > s->low)) return (range){s->low, s->high};
  if (o->method == RANGE_PERCENTILE) return by_percentile(s, o->percentile);
  return by_least(s, o->method == RANGE_MSE ? squared_error : divergence);
}

sdx_status quantize_ranges(sdx_builder *b, size_t count, const char *const *names, const quantize_options *o,
                           const quantize_samples *s, range *out, fault *f) {
  sdx_session *session;
  char *bytes;
  size_t first;
  seen *all = calloc(count + 1, sizeof *all);
  if (!all) return fault_no_memory(f);
  sdx_status status = quantize_watch(b, count, names, &session, &bytes, &first, f);
  if (!status) status = run_all(session, first, count, s, all, see_extremes, f);
  for (size_t i = 0; i < count && !status && o->method != RANGE_MINMAX; i++)
    if (!(all[i].bins = calloc(BINS, sizeof *all[i].bins))) status = fault_no_memory(f);
  if (!status && o->method != RANGE_MINMAX) status = run_all(session, first, count, s, all, see_bins, f);
  for (size_t i = 0; i < count; i++) {
    if (!status) out[i] = choose(&all[i], o);
    free(all[i].bins);
  }
  free(all);
  sdx_session_destroy(session);
  sdx_string_free(bytes);
  return status;
}
