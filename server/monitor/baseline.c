// SPDX-License-Identifier: Apache-2.0
// Reading, writing and looking up (baseline.h); how one is made: baseline_make.c.
#include "server/monitor/baseline.h"

#include <math.h>
#include <stdlib.h>

#include "base/half.h"

enum { SUMMARY_VALUES = 256 };  // that a summary looks at, evenly spread

void baseline_free(baseline *b) {
  for (size_t i = 0; b && i < b->tensor_count; i++) free(b->tensors[i].features);
  if (b) free(b->tensors);
  free(b);
}

// ---- values --------------------------------------------------------------------------------------

bool baseline_rows_of(const sdx_value *value, const sdx_io *io, baseline_rows *r) {
  if (!value || sdx_value_kind(value) != SDX_KIND_TENSOR) return false;
  size_t rank = sdx_tensor_rank(value), count = sdx_tensor_count(value);
  // The first dimension counts rows, but where it is the only one and fixed.
  bool vector = rank == 1 && io->has_shape && io->rank == 1 && io->shape[0] > 1;
  *r = (baseline_rows){value, rank && !vector ? (size_t)sdx_tensor_shape(value)[0] : 1, count};
  if (r->rows) r->width = count / r->rows;
  return count && !isnan(baseline_number(value, SIZE_MAX));
}

// FNV-1a: the same in every process.
static double word_number(const sdx_value *value, size_t at) {
  size_t size;
  const char *word = sdx_tensor_string(value, at, &size);
  uint64_t hash = 0xCBF29CE484222325u;
  for (size_t i = 0; word && i < size; i++) hash = (hash ^ (unsigned char)word[i]) * 0x100000001B3u;
  return word && size ? (double)(hash & ((UINT64_C(1) << 53) - 1)) : NAN;
}

// SIZE_MAX: asks whether there are numbers at all.
double baseline_number(const sdx_value *value, size_t at) {
  const void *data = sdx_tensor_data(value);
  bool asked = at == SIZE_MAX;
  if (asked) at = 0;
  switch (sdx_tensor_dtype(value)) {
#define CASE(dtype, type) \
  case dtype:             \
    return asked ? 0 : (double)((const type *)data)[at]
    CASE(SDX_FLOAT, float);
    CASE(SDX_DOUBLE, double);
    CASE(SDX_INT8, int8_t);
    CASE(SDX_INT16, int16_t);
    CASE(SDX_INT32, int32_t);
    CASE(SDX_INT64, int64_t);
    CASE(SDX_UINT8, uint8_t);
    CASE(SDX_UINT16, uint16_t);
    CASE(SDX_UINT32, uint32_t);
    CASE(SDX_UINT64, uint64_t);
    CASE(SDX_BOOL, uint8_t);
#undef CASE
    case SDX_FLOAT16:
      return asked ? 0 : (double)fp16_to_float(((const uint16_t *)data)[at]);
    case SDX_BFLOAT16:
      return asked ? 0 : (double)bf16_to_float(((const uint16_t *)data)[at]);
    case SDX_STRING:
      return asked ? 0 : word_number(value, at);
    default:
      return NAN;
  }
}

void baseline_summary(const baseline_rows *r, size_t row, double to[BASELINE_SUMMARY]) {
  size_t step = (r->width + SUMMARY_VALUES - 1) / SUMMARY_VALUES, count = 0;
  double sum = 0, squares = 0, least = INFINITY, most = -INFINITY;
  for (size_t i = 0; i < r->width; i += step) {
    double x = baseline_number(r->value, row * r->width + i);
    if (isnan(x)) continue;
    count++;
    sum += x;
    squares += x * x;
    least = x < least ? x : least;
    most = x > most ? x : most;
  }
  for (size_t i = 0; i < BASELINE_SUMMARY; i++) to[i] = NAN;
  if (!count) return;
  double mean = sum / (double)count, variance = squares / (double)count - mean * mean;
  to[0] = mean;
  to[1] = variance > 0 ? sqrt(variance) : 0;
  to[2] = least;
  to[3] = most;
}

static double argmax_float(const float *x, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++)
    if (x[i] > x[best] || (x[best] != x[best] && x[i] == x[i])) best = i;
  return x[best] == x[best] ? (double)best : NAN;
}

double baseline_argmax(const baseline_rows *r, size_t row) {
  if (sdx_tensor_dtype(r->value) == SDX_FLOAT)
    return argmax_float((const float *)sdx_tensor_data(r->value) + row * r->width, r->width);
  double best = NAN, place = NAN;
  for (size_t i = 0; i < r->width; i++) {
    double x = baseline_number(r->value, row * r->width + i);
    if (isnan(best) ? !isnan(x) : x > best) best = x, place = (double)i;
  }
  return place;
}

size_t baseline_bin(const baseline_feature *f, double value) {
  if (f->words) {
    size_t k = 0;
    while (k < f->word_count && f->word[k] != value) k++;
    return k;
  }
  // How many cuts lie below, by halves: the last of the eight is infinite.
  float x = (float)value;
  size_t bin = x > f->cuts[3] ? 4 : 0;
  bin += x > f->cuts[bin + 1] ? 2 : 0;
  return bin + (x > f->cuts[bin]);
}

// ---- JSON ----------------------------------------------------------------------------------------

static void write_feature(const baseline_feature *f, text *o) {
  text_put(o, "{\"name\":");
  text_json_string(o, str_from(f->name));
  text_put(o, f->words ? ",\"words\":[" : ",\"cuts\":[");
  for (size_t k = 0; k < (f->words ? f->word_count : f->cut_count); k++) {
    if (k) text_put(o, ",");
    if (f->words) text_json_u64(o, (uint64_t)f->word[k]);
    else text_json_f32(o, f->cuts[k]);
  }
  text_put(o, "],\"counts\":[");
  for (size_t k = 0; k < BASELINE_BINS; k++) text_format(o, k ? ",%llu" : "%llu", (unsigned long long)f->counts[k]);
  text_format(o, "],\"missing\":%llu}", (unsigned long long)f->missing);
}

void baseline_write(const baseline *b, text *o) {
  text_put(o, "{\"format\":\"sardonyx-baseline\",\"version\":1,\"tensors\":[");
  for (size_t i = 0; i < b->tensor_count; i++) {
    const baseline_tensor *t = &b->tensors[i];
    text_put(o, i ? ",\n{\"name\":" : "\n{\"name\":");
    text_json_string(o, str_from(t->name));
    text_format(o, ",\"side\":\"%s\",\"form\":\"%s\",\"argmax\":%s,\"width\":%zu,\"features\":[",
                t->output ? "output" : "input", t->form == BASELINE_BY_COLUMN ? "columns" : "summary",
                t->argmax ? "true" : "false", t->width);
    for (size_t k = 0; k < t->feature_count; k++) {
      text_put(o, k ? ",\n " : "\n ");
      write_feature(&t->features[k], o);
    }
    text_put(o, "]}");
  }
  text_put(o, "]}\n");
}

char *baseline_text(const baseline *b, size_t *size) {
  text o = {0};
  baseline_write(b, &o);
  char *bytes = o.failed ? NULL : strdup(o.at);
  *size = o.size;
  text_deinit(&o);
  return bytes;
}

static bool read_name(json *j, char *to, size_t size, const char *what) {
  str name;
  if (!json_string_read(j, &name, what)) return false;
  if (!name.size || name.size >= size)
    return json_fail_at(j, "%s has %zu bytes, expected 1 to %zu", what, name.size, size - 1);
  memcpy(to, name.at, name.size);
  to[name.size] = 0;
  return true;
}

static bool read_word(json *j, const char *what, const char *yes, const char *no, bool *is) {
  str word;
  if (!json_string_read(j, &word, what)) return false;
  *is = str_is(word, yes);
  return *is || str_is(word, no) || json_fail_at(j, "%s is '%.*s', expected %s or %s", what, STR_ARG(word), yes, no);
}

static bool read_number(json *j, double *to, const char *what) {
  number_decimal n;
  if (!json_number_read(j, &n, what)) return false;
  *to = number_from_decimal(&n);
  return true;
}

static bool read_count(json *j, uint64_t *to, const char *what) {
  int64_t number;
  if (!json_i64(j, &number, what)) return false;
  if (number < 0 || number > BASELINE_ROWS) return json_fail_at(j, "%s: expected 0 to %d", what, BASELINE_ROWS);
  *to = (uint64_t)number;
  return true;
}

static bool read_cuts(json *j, baseline_feature *f, bool words) {
  const char *what = words ? "words" : "cuts";
  bool first = true;
  size_t n = 0;
  if (!json_open(j, '[', what)) return false;
  while (json_more(j, '[', &first)) {
    double number;
    if (n == BASELINE_BINS - 1) return json_fail_at(j, "%s: expected at most %d", what, BASELINE_BINS - 1);
    if (!read_number(j, &number, what)) return false;
    if (words) f->word[n++] = number;
    else if (n && (float)number <= f->cuts[n - 1]) return json_fail_at(j, "cuts are expected to rise");
    else f->cuts[n++] = (float)number;
  }
  f->words = words;
  if (words) f->word_count = n;
  else f->cut_count = n;
  return !j->failed;
}

static bool read_counts(json *j, baseline_feature *f) {
  bool first = true;
  size_t n = 0;
  if (!json_open(j, '[', "counts")) return false;
  while (json_more(j, '[', &first)) {
    if (n == BASELINE_BINS) return json_fail_at(j, "counts: expected %d", BASELINE_BINS);
    if (!read_count(j, &f->counts[n], "counts")) return false;
    f->total += f->counts[n++];
  }
  if (!j->failed && n != BASELINE_BINS) json_fail_at(j, "counts: %zu, expected %d", n, BASELINE_BINS);
  return !j->failed;
}

static bool read_feature(json *j, baseline_feature *f) {
  str key;
  bool first = true, named = false, counted = false, binned = false;
  for (size_t k = 0; k < BASELINE_BINS; k++) f->cuts[k] = INFINITY;
  if (!json_open(j, '{', "a feature")) return false;
  while (json_more(j, '{', &first) && json_key(j, &key)) {
    if (str_is(key, "name")) named = read_name(j, f->name, sizeof f->name, "name");
    else if (str_is(key, "cuts") || str_is(key, "words")) binned = read_cuts(j, f, str_is(key, "words"));
    else if (str_is(key, "counts")) f->total = 0, counted = read_counts(j, f);
    else if (str_is(key, "missing")) read_count(j, &f->missing, "missing");
    else json_skip(j);
    if (j->failed) return false;
  }
  if (!j->failed && !(named && counted && binned)) json_fail_at(j, "a feature lacks name, counts, or cuts or words");
  if (!j->failed && f->total > BASELINE_ROWS) json_fail_at(j, "counts: expected at most %d together", BASELINE_ROWS);
  return !j->failed;
}

static bool read_features(json *j, baseline *b, baseline_tensor *t) {
  bool first = true;
  if (!json_open(j, '[', "features")) return false;
  while (json_more(j, '[', &first)) {
    if (b->feature_count == BASELINE_FEATURES) return json_fail_at(j, "more than %d features", BASELINE_FEATURES);
    baseline_feature *more = realloc(t->features, (t->feature_count + 1) * sizeof *more);
    if (!more) return json_fail(j, "memory is exhausted");
    t->features = more;
    more[t->feature_count] = (baseline_feature){0};
    b->feature_count++;
    if (!read_feature(j, &more[t->feature_count++])) return false;
  }
  return !j->failed;
}

// As many features as form and width ask for.
static bool check_tensor(json *j, const baseline_tensor *t) {
  size_t expected = (t->form == BASELINE_BY_COLUMN ? t->width : BASELINE_SUMMARY) + t->argmax;
  if (j->failed) return false;
  if (!*t->name) return json_fail_at(j, "a tensor has no name");
  if (t->feature_count == expected && t->width <= INT32_MAX) return true;
  return json_fail_at(j, "tensor '%s' has %zu features, expected %zu", t->name, t->feature_count, expected);
}

static bool read_tensor(json *j, baseline *b, baseline_tensor *t) {
  str key;
  bool first = true, by_column = true;
  uint64_t width = 0;
  int64_t number;
  if (!json_open(j, '{', "a tensor")) return false;
  while (json_more(j, '{', &first) && json_key(j, &key)) {
    if (str_is(key, "name")) read_name(j, t->name, sizeof t->name, "name");
    else if (str_is(key, "side")) read_word(j, "side", "output", "input", &t->output);
    else if (str_is(key, "form")) read_word(j, "form", "columns", "summary", &by_column);
    else if (str_is(key, "argmax")) json_bool(j, &t->argmax, "argmax");
    else if (str_is(key, "width") && json_i64(j, &number, "width")) width = (uint64_t)number;
    else if (str_is(key, "features")) read_features(j, b, t);
    else if (!j->failed) json_skip(j);
    if (j->failed) return false;
  }
  t->form = by_column ? BASELINE_BY_COLUMN : BASELINE_BY_SUMMARY;
  t->width = (size_t)width;
  return check_tensor(j, t);
}

static bool read_tensors(json *j, baseline *b) {
  bool first = true;
  if (!json_open(j, '[', "tensors")) return false;
  while (json_more(j, '[', &first)) {
    if (b->tensor_count == BASELINE_FEATURES) return json_fail_at(j, "more than %d tensors", BASELINE_FEATURES);
    baseline_tensor *more = realloc(b->tensors, (b->tensor_count + 1) * sizeof *more);
    if (!more) return json_fail(j, "memory is exhausted");
    b->tensors = more;
    more[b->tensor_count] = (baseline_tensor){0};
    if (!read_tensor(j, b, &more[b->tensor_count++])) return false;
  }
  return !j->failed;
}

baseline *baseline_read(json *j) {
  baseline *b = calloc(1, sizeof *b);
  str key, format = {0};
  bool first = true;
  if (b && json_open(j, '{', "a baseline"))
    while (json_more(j, '{', &first) && json_key(j, &key)) {
      if (str_is(key, "format")) json_string_read(j, &format, "format");
      else if (str_is(key, "tensors")) read_tensors(j, b);
      else json_skip(j);
      if (j->failed) break;
    }
  if (b && !j->failed && !str_is(format, "sardonyx-baseline")) json_fail(j, "the format is not sardonyx-baseline");
  if (b && !j->failed && !b->feature_count) json_fail(j, "there are no features");
  if (b && !j->failed) json_end(j);
  if (b && !j->failed) return b;
  baseline_free(b);
  return NULL;
}
