// SPDX-License-Identifier: Apache-2.0
// The test (drift.h). For a feature with counts b of the baseline and c of a window, K bins each, let
//   G = sum b ln(b / n0 / p) + sum c ln(c / n / p),  p = (b + c) / (n0 + n).
// p is the best common distribution, so for the true one G is at most n0 KL(b || p) + n KL(c || p). Each of the two has
// E exp(t n KL) <= (1 - t)^-(K-1) for 0 <= t < 1, for every n (Agrawal 2020), and they are independent, so with
// m = 2 (K - 1)
//   P(G >= x) <= exp(-x + m (1 + ln(x / m)))   for x >= m.
// The threshold of a look is the x that makes this small enough for the sum over all looks at all windows of all
// features to be one in FALSE_ALARMS requests. Windows are the last one to four chunks of CHUNK requests, so that a
// shift is seen in a window of its own soon; looks come every LOOK requests.
//
// A call costs the time to put at most VALUES numbers into bins: of wide rows a part at a time.
#include "server/monitor/drift.h"

#include <math.h>
#include <pthread.h>
#include <stdlib.h>

enum { CHUNKS = 4, CHUNK = DRIFT_WINDOW / CHUNKS, LOOK = 128, VALUES = 64, TABLE = 24576 };
static const double FALSE_ALARMS = 1e9;

typedef struct counter {
  const baseline_feature *feature;
  bool output;
  uint16_t bins[CHUNKS][BASELINE_BINS], missing[CHUNKS];
  double threshold, missing_threshold, statistic;
  bool drifted, missing_drifted;
} counter;

struct drift {
  pthread_mutex_t lock;
  baseline *baseline;
  size_t count;
  counter *counters;  // of all features in order
  uint64_t requests;
  size_t chunk, drifting[2];
  double *x_ln_x;
};

// ---- the test ------------------------------------------------------------------------------------

static double threshold(size_t bins, double log_looks) {
  double m = 2 * ((double)bins - 1), x = m + log_looks;
  for (int i = 0; i < 50 && m > 0; i++) x = log_looks + m * (1 + log(x / m));
  return x;
}

static double x_ln_x(const drift *d, uint64_t x) { return x < TABLE ? d->x_ln_x[x] : (double)x * log((double)x); }

static double statistic(const drift *d, const uint64_t *b, uint64_t n0, const uint64_t *c, uint64_t n, size_t bins) {
  double g = x_ln_x(d, n0 + n) - x_ln_x(d, n0) - x_ln_x(d, n);
  for (size_t k = 0; k < bins; k++) g += x_ln_x(d, b[k]) + x_ln_x(d, c[k]) - x_ln_x(d, b[k] + c[k]);
  return g;
}

static void add_chunk(const drift *d, const counter *f, size_t back, uint64_t c[BASELINE_BINS], uint64_t *missing) {
  size_t at = (d->chunk + CHUNKS - back) % CHUNKS;
  for (size_t k = 0; k < BASELINE_BINS; k++) c[k] += f->bins[at][k];
  *missing += f->missing[at];
}

static uint64_t sum(const uint64_t c[BASELINE_BINS]) {
  uint64_t n = 0;
  for (size_t k = 0; k < BASELINE_BINS; k++) n += c[k];
  return n;
}

// Drifting ends only well below where it begins.
static bool decide(bool before, double most, double limit) { return most > (before ? limit / 2 : limit); }

static void look(drift *d, counter *f) {
  const baseline_feature *b = f->feature;
  uint64_t c[BASELINE_BINS] = {0}, missing = 0, of_baseline[2] = {b->total, b->missing};
  double most = 0, most_missing = 0;
  for (size_t back = 0; back < CHUNKS; back++) {
    add_chunk(d, f, back, c, &missing);
    uint64_t n = sum(c), now[2] = {n, missing};
    double g = n && b->total ? statistic(d, b->counts, b->total, c, n, BASELINE_BINS) : 0;
    double lost = statistic(d, of_baseline, b->total + b->missing, now, n + missing, 2);
    if (g > most) most = g;
    if (lost > most_missing) most_missing = lost;
  }
  f->statistic = most;
  f->drifted = decide(f->drifted, most, f->threshold);
  f->missing_drifted = decide(f->missing_drifted, most_missing, f->missing_threshold);
}

// The sides that changed.
static unsigned look_at_all(drift *d) {
  size_t drifting[2] = {0};
  unsigned changed = 0;
  for (size_t i = 0; i < d->count; i++) {
    counter *f = &d->counters[i];
    look(d, f);
    drifting[f->output] += f->drifted || f->missing_drifted;
  }
  for (int side = 0; side < 2; side++) {
    if (!drifting[side] != !d->drifting[side]) changed |= side ? DRIFT_OUTPUTS : DRIFT_INPUTS;
    d->drifting[side] = drifting[side];
  }
  return changed;
}

// ---- counting ------------------------------------------------------------------------------------

static void note(drift *d, counter *f, double x) {
  if (isnan(x)) f->missing[d->chunk]++;
  else f->bins[d->chunk][baseline_bin(f->feature, x)]++;
}

// Of rows wider than VALUES the next part.
static void note_columns(drift *d, counter *f, const baseline_rows *r, size_t row) {
  size_t parts = (r->width + VALUES - 1) / VALUES, part = (size_t)(d->requests % parts);
  size_t from = part * r->width / parts, to = (part + 1) * r->width / parts, base = row * r->width;
  if (sdx_tensor_dtype(r->value) == SDX_FLOAT) {
    const float *x = (const float *)sdx_tensor_data(r->value) + base;
    for (size_t i = from; i < to; i++) note(d, f + i, (double)x[i]);
  } else {
    for (size_t i = from; i < to; i++) note(d, f + i, baseline_number(r->value, base + i));
  }
}

static void note_tensor(drift *d, const baseline_tensor *t, counter *f, const baseline_rows *r) {
  size_t most = VALUES / (r->width < VALUES ? r->width : VALUES), step = (r->rows + most - 1) / most;
  if (t->width && r->width != t->width) return;
  for (size_t row = 0; row < r->rows; row += step) {
    double summary[BASELINE_SUMMARY];
    if (t->form == BASELINE_BY_COLUMN) note_columns(d, f, r, row);
    else baseline_summary(r, row, summary);
    for (size_t i = 0; t->form == BASELINE_BY_SUMMARY && i < BASELINE_SUMMARY; i++) note(d, f + i, summary[i]);
    if (t->argmax) note(d, f + t->feature_count - 1, baseline_argmax(r, row));
  }
}

// The value that goes by that name. NULL: there is none.
static const sdx_value *find(const baseline_tensor *t, const sdx_session *s, sdx_value *const *inputs,
                             const sdx_value *const *outputs, const sdx_io **io) {
  size_t count = t->output ? sdx_session_output_count(s) : sdx_session_input_count(s);
  for (size_t i = 0; i < count; i++) {
    *io = t->output ? sdx_session_output(s, i) : sdx_session_input(s, i);
    if (!strcmp((*io)->name, t->name)) return t->output ? outputs[i] : inputs[i];
  }
  return NULL;
}

unsigned drift_note(drift *d, const sdx_session *session, sdx_value *const *inputs, const sdx_value *const *outputs) {
  counter *f = d->counters;
  unsigned changed = 0;
  pthread_mutex_lock(&d->lock);
  for (size_t i = 0; i < d->baseline->tensor_count; i++) {
    const baseline_tensor *t = &d->baseline->tensors[i];
    const sdx_io *io = NULL;
    const sdx_value *value = find(t, session, inputs, outputs, &io);
    baseline_rows r;
    if (value && baseline_rows_of(value, io, &r)) note_tensor(d, t, f, &r);
    f += t->feature_count;
  }
  d->requests++;
  if (d->requests % LOOK == 0) changed = look_at_all(d);
  if (d->requests % CHUNK == 0) {
    d->chunk = (d->chunk + 1) % CHUNKS;
    for (size_t i = 0; i < d->count; i++) {
      memset(d->counters[i].bins[d->chunk], 0, sizeof d->counters[i].bins[d->chunk]);
      d->counters[i].missing[d->chunk] = 0;
    }
  }
  pthread_mutex_unlock(&d->lock);
  return changed;
}

// ---- life ----------------------------------------------------------------------------------------

drift *drift_create(baseline *b) {
  drift *d = calloc(1, sizeof *d);
  counter *counters = calloc(b->feature_count + 1, sizeof *counters);
  double *table = malloc(TABLE * sizeof *table);
  if (!d || !counters || !table) {
    free(d);
    free(counters);
    free(table);
    baseline_free(b);
    return NULL;
  }
  *d = (drift){.baseline = b, .count = b->feature_count, .counters = counters, .x_ln_x = table};
  pthread_mutex_init(&d->lock, NULL);
  table[0] = 0;
  for (size_t i = 1; i < TABLE; i++) table[i] = (double)i * log((double)i);
  // Two tests of each feature and window at each look.
  double log_looks = log(FALSE_ALARMS / LOOK * CHUNKS * 2 * (double)d->count);
  counter *f = counters;
  for (size_t i = 0; i < b->tensor_count; i++)
    for (size_t k = 0; k < b->tensors[i].feature_count; k++, f++) {
      f->feature = &b->tensors[i].features[k];
      f->output = b->tensors[i].output;
      f->threshold = threshold(1 + (f->feature->words ? f->feature->word_count : f->feature->cut_count), log_looks);
      f->missing_threshold = threshold(2, log_looks);
    }
  return d;
}

void drift_destroy(drift *d) {
  if (!d) return;
  pthread_mutex_destroy(&d->lock);
  baseline_free(d->baseline);
  free(d->counters);
  free(d->x_ln_x);
  free(d);
}

// ---- what is told of it --------------------------------------------------------------------------

// Half a value is added to each bin, so that none is empty.
static void measure(const baseline_feature *b, const uint64_t *c, uint64_t n, drift_reading *r) {
  size_t bins = 1 + (b->words ? b->word_count : b->cut_count);
  double before = 0, after = 0, all_before = (double)b->total + 0.5 * (double)bins,
         all = (double)n + 0.5 * (double)bins;
  for (size_t k = 0; k < bins && n && b->total; k++) {
    double p = ((double)b->counts[k] + 0.5) / all_before, q = ((double)c[k] + 0.5) / all;
    r->psi += (q - p) * log(q / p);
    before += (double)b->counts[k] / (double)b->total;
    after += (double)c[k] / (double)n;
    if (fabs(after - before) > r->ks) r->ks = fabs(after - before);
  }
}

void drift_read(drift *d, size_t feature, drift_reading *r) {
  const counter *f = &d->counters[feature];
  const baseline_feature *b = f->feature;
  uint64_t c[BASELINE_BINS] = {0}, missing = 0;
  pthread_mutex_lock(&d->lock);
  for (size_t back = 0; back < CHUNKS; back++) add_chunk(d, f, back, c, &missing);
  uint64_t n = sum(c), all = b->total + b->missing;
  *r = (drift_reading){.name = b->name,
                       .output = f->output,
                       .drifted = f->drifted,
                       .missing_drifted = f->missing_drifted,
                       .seen = n + missing,
                       .missing = n + missing ? (double)missing / (double)(n + missing) : 0,
                       .baseline_missing = all ? (double)b->missing / (double)all : 0,
                       .statistic = f->statistic,
                       .threshold = f->threshold};
  pthread_mutex_unlock(&d->lock);
  measure(b, c, n, r);
}

size_t drift_features(const drift *d) { return d->count; }

uint64_t drift_requests(drift *d) {
  pthread_mutex_lock(&d->lock);
  uint64_t requests = d->requests;
  pthread_mutex_unlock(&d->lock);
  return requests;
}

size_t drift_count(drift *d, unsigned side, const char **worst) {
  double most = -1;
  size_t count = 0;
  *worst = "";
  pthread_mutex_lock(&d->lock);
  for (size_t i = 0; i < d->count; i++) {
    const counter *f = &d->counters[i];
    if (f->output != (side == DRIFT_OUTPUTS) || !(f->drifted || f->missing_drifted)) continue;
    count++;
    if (f->statistic > most) most = f->statistic, *worst = f->feature->name;
  }
  pthread_mutex_unlock(&d->lock);
  return count;
}
