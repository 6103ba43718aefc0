// SPDX-License-Identifier: Apache-2.0
// Making a baseline from runs (baseline.h): rows are kept, at most BASELINE_ROWS of each tensor, each with the same
// chance; then bins are cut so that each holds as many of them, and what equal values make of that.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "server/monitor/baseline.h"

typedef struct kept_rows {
  const sdx_io *io;
  bool output, any, argmax;
  baseline_form form;
  size_t width, features, rows, seen;
  double *values;
} kept_rows;

struct baseline_maker {
  size_t inputs, count;
  uint64_t random;
  kept_rows *tensors;
};

static void maker_free(baseline_maker *m) {
  for (size_t i = 0; i < m->count; i++) free(m->tensors[i].values);
  free(m->tensors);
  free(m);
}

baseline_maker *baseline_begin(const sdx_session *session) {
  baseline_maker *m = calloc(1, sizeof *m);
  size_t inputs = sdx_session_input_count(session), count = inputs + sdx_session_output_count(session);
  kept_rows *tensors = calloc(count + 1, sizeof *tensors);
  if (!m || !tensors) {
    free(m);
    free(tensors);
    return NULL;
  }
  *m = (baseline_maker){inputs, count, 1, tensors};
  for (size_t i = 0; i < count; i++) {
    tensors[i].output = i >= inputs;
    tensors[i].io = i < inputs ? sdx_session_input(session, i) : sdx_session_output(session, i - inputs);
  }
  return m;
}

// The first values decide how a tensor is looked at; a width that changes later makes rows of others unlike.
static void decide(kept_rows *k, const baseline_rows *r) {
  const sdx_io *io = k->io;
  bool fixed = true;
  for (size_t d = 1; io->has_shape && d < io->rank; d++) fixed = fixed && io->shape[d] >= 0;
  bool columns = r->width <= BASELINE_COLUMNS && fixed && (io->dtype == SDX_STRING || io->rank <= 2 || r->width <= 64);
  bool real = io->dtype == SDX_FLOAT || io->dtype == SDX_DOUBLE || io->dtype == SDX_FLOAT16;
  k->any = columns || io->dtype != SDX_STRING;
  k->form = columns ? BASELINE_BY_COLUMN : BASELINE_BY_SUMMARY;
  k->argmax = k->output && real && io->rank <= 2 && r->width > 1;
  k->width = fixed ? r->width : 0;
  k->features = (columns ? r->width : BASELINE_SUMMARY) + k->argmax;
}

static size_t place_of(baseline_maker *m, kept_rows *k) {
  k->seen++;
  if (k->rows < BASELINE_ROWS) return k->rows++;
  m->random = m->random * 6364136223846793005u + 1442695040888963407u;
  return (size_t)((m->random >> 33) % k->seen);
}

static bool add_rows(baseline_maker *m, kept_rows *k, const sdx_value *value) {
  baseline_rows r;
  if (!baseline_rows_of(value, k->io, &r)) return true;
  if (!k->seen) decide(k, &r);
  if (!k->any || (k->width && r.width != k->width)) return true;
  for (size_t row = 0; row < r.rows; row++) {
    size_t at = place_of(m, k);
    if (at >= BASELINE_ROWS) continue;
    if (at + 1 == k->rows && !(at & (at + 1))) {  // room for twice as many
      double *more = realloc(k->values, 2 * (at + 1) * k->features * sizeof *more);
      if (!more) return false;
      k->values = more;
    }
    double *to = k->values + at * k->features;
    if (k->form == BASELINE_BY_SUMMARY) baseline_summary(&r, row, to);
    for (size_t i = 0; k->form == BASELINE_BY_COLUMN && i < r.width; i++)
      to[i] = baseline_number(value, row * r.width + i);
    if (k->argmax) to[k->features - 1] = baseline_argmax(&r, row);
  }
  return true;
}

bool baseline_add(baseline_maker *m, sdx_value *const *inputs, sdx_value *const *outputs) {
  bool good = true;
  for (size_t i = 0; i < m->count && good; i++) {
    const sdx_value *value = i < m->inputs ? inputs[i] : outputs[i - m->inputs];
    if (value) good = add_rows(m, &m->tensors[i], value);
  }
  return good;
}

// ---- bins ----------------------------------------------------------------------------------------

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void cut(baseline_feature *f, const double *sorted, size_t count) {
  float least = (float)sorted[0], most = (float)sorted[count - 1];
  f->cuts[f->cut_count++] = nextafterf(least, -INFINITY);
  for (size_t k = 1; k < BASELINE_BINS - 2; k++) {
    float at = (float)sorted[k * count / (BASELINE_BINS - 2)];
    if (at > f->cuts[f->cut_count - 1] && at < most) f->cuts[f->cut_count++] = at;
  }
  if (most > f->cuts[f->cut_count - 1]) f->cuts[f->cut_count++] = most;
}

// The words that are met most often.
static void pick_words(baseline_feature *f, const double *sorted, size_t count) {
  size_t lengths[BASELINE_BINS - 1] = {0}, run;
  f->words = true;
  for (size_t at = 0; at < count; at += run) {
    run = 1;
    while (at + run < count && sorted[at + run] == sorted[at]) run++;
    size_t k = f->word_count < BASELINE_BINS - 1 ? f->word_count++ : BASELINE_BINS - 1;
    if (k == BASELINE_BINS - 1 && run <= lengths[k - 1]) continue;
    if (k == BASELINE_BINS - 1) k--;
    for (; k && lengths[k - 1] < run; k--) lengths[k] = lengths[k - 1], f->word[k] = f->word[k - 1];
    lengths[k] = run;
    f->word[k] = sorted[at];
  }
}

// False: it has no value at all.
static bool describe(baseline_feature *f, const kept_rows *k, size_t feature, double *sorted) {
  size_t count = 0;
  for (size_t i = 0; i < BASELINE_BINS; i++) f->cuts[i] = INFINITY;
  for (size_t row = 0; row < k->rows; row++) {
    double x = k->values[row * k->features + feature];
    if (isnan(x)) f->missing++;
    else sorted[count++] = x;
  }
  if (!count) {
    f->cut_count = 0;
    return false;
  }
  qsort(sorted, count, sizeof *sorted, by_size);
  if (k->io->dtype == SDX_STRING) pick_words(f, sorted, count);
  else cut(f, sorted, count);
  for (size_t i = 0; i < count; i++) f->counts[baseline_bin(f, sorted[i])]++;
  f->total = count;
  return true;
}

static void name_feature(baseline_feature *f, const kept_rows *k, size_t feature) {
  static const char *const summaries[BASELINE_SUMMARY] = {"mean", "deviation", "least", "greatest"};
  const char *name = k->io->name;
  if (k->argmax && feature + 1 == k->features) snprintf(f->name, sizeof f->name, "%.120s.argmax", name);
  else if (k->form == BASELINE_BY_SUMMARY) snprintf(f->name, sizeof f->name, "%.120s.%s", name, summaries[feature]);
  else if (k->width == 1) snprintf(f->name, sizeof f->name, "%.120s", name);
  else snprintf(f->name, sizeof f->name, "%.120s[%zu]", name, feature);
}

static bool add_tensor(baseline *b, const kept_rows *k) {
  size_t size = strlen(k->io->name);
  baseline_tensor *t = &b->tensors[b->tensor_count];
  if (!k->rows || !k->any || size >= sizeof t->name || b->feature_count + k->features > BASELINE_FEATURES) return true;
  double *sorted = malloc(k->rows * sizeof *sorted);
  *t = (baseline_tensor){.output = k->output,
                         .argmax = k->argmax,
                         .form = k->form,
                         .width = k->width,
                         .feature_count = k->features,
                         .features = calloc(k->features, sizeof *t->features)};
  memcpy(t->name, k->io->name, size);
  b->tensor_count++;
  for (size_t i = 0; sorted && t->features && i < k->features; i++) {
    name_feature(&t->features[i], k, i);
    describe(&t->features[i], k, i, sorted);
  }
  b->feature_count += k->features;
  bool good = sorted && t->features;
  free(sorted);
  return good;
}

baseline *baseline_end(baseline_maker *m) {
  baseline *b = calloc(1, sizeof *b);
  bool good = b && (b->tensors = calloc(m->count + 1, sizeof *b->tensors));
  for (size_t i = 0; i < m->count && good; i++) good = add_tensor(b, &m->tensors[i]);
  maker_free(m);
  if (good && b->feature_count) return b;
  baseline_free(b);
  return NULL;
}
