// SPDX-License-Identifier: Apache-2.0
// LibSVM's text: a keyword and its values a line, then "SV" and a support vector a line: its coefficients, then
// `index:value` for what is not zero. Vectors are gone over twice: which columns are there, then their values. Read
// next: libsvm.c.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/json.h"
#include "base/size.h"
#include "convert/libsvm.h"

enum { MOST_INDEX = 1 << 24, MOST_CLASSES = 4096, FEW_ELEMENTS = 1 << 22, ELEMENTS_A_BYTE = 256 };

typedef struct reader {
  libsvm *s;
  json text;         // within the line; its numbers are JSON's
  char *next, *end;  // the line after it; the end of the file
  size_t line;
  uint8_t *used;  // of each column: a vector has a value there
  size_t used_capacity;
  uint32_t *slot_of;  // of each used column: its place among them
} reader;

static bool fail(reader *r, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));
static bool fail(reader *r, const char *hint, const char *format, ...) {
  char message[450], place[40];
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  snprintf(place, sizeof place, "line %zu", r->line);
  convert_fail(r->s->c, SDX_INVALID_MODEL, place, hint, "%s", message);
  return false;
}

static bool no_memory(reader *r) {
  convert_no_memory(r->s->c);
  return false;
}

// The next line that is not blank becomes what `text` reads.
static bool next_line(reader *r) {
  json *t = &r->text;
  while (r->next < r->end) {
    char *end = memchr(r->next, '\n', (size_t)(r->end - r->next));
    t->at = r->next;
    t->end = end ? end : r->end;
    r->next = end ? end + 1 : r->end;
    r->line++;
    if (json_peek(t)) return true;
  }
  return false;
}

static str next_word(reader *r) {
  json *t = &r->text;
  json_peek(t);
  char *begin = t->at;
  while (t->at < t->end && *t->at != ' ' && *t->at != '\t' && *t->at != '\r') t->at++;
  return (str){begin, (size_t)(t->at - begin)};
}

static bool read_number(reader *r, double *value, const char *what) {
  number_decimal n;
  if (!json_number_read(&r->text, &n, what)) return fail(r, NULL, "%s", r->text.message);
  *value = number_from_decimal(&n);
  return true;
}

static bool read_integer(reader *r, int64_t *value, int64_t least, int64_t most, const char *what) {
  if (!json_i64(&r->text, value, what)) return fail(r, NULL, "%s", r->text.message);
  if (*value >= least && *value <= most) return true;
  return fail(r, NULL, "%s is %lld, expected %lld to %lld", what, (long long)*value, (long long)least, (long long)most);
}

// ---- the head ---------------------------------------------------------------------------------------

static bool read_name(reader *r, const char *what, size_t count, const char *const *names, int *chosen) {
  str word = next_word(r);
  str_nearest near;
  char hint[100];
  str_nearest_init(&near, word);
  for (size_t i = 0; i < count; i++) {
    str_nearest_offer(&near, str_from(names[i]));
    if (!str_is(word, names[i])) continue;
    *chosen = (int)i;
    return true;
  }
  return fail(r, str_nearest_hint(&near, hint, sizeof hint), "%s '%.*s' is not known", what, STR_ARG(word));
}

// All numbers to the end of the line.
static bool read_numbers(reader *r, svm_numbers *to, const char *what) {
  size_t most = (size_t)(r->text.end - r->text.at) / 2 + 1;
  to->count = 0;
  to->at = arena_array(r->s->c->memory, most, sizeof *to->at);
  if (!to->at) return no_memory(r);
  while (json_peek(&r->text))
    if (!read_number(r, &to->at[to->count++], what)) return false;
  return true;
}

static bool read_head_line(reader *r, bool *vectors_follow) {
  static const char *const types[] = {"c_svc", "nu_svc", "one_class", "epsilon_svr", "nu_svr"};
  static const char *const kernels[] = {"linear", "polynomial", "rbf", "sigmoid", "precomputed"};
  libsvm *s = r->s;
  const struct {
    const char *name;
    svm_numbers *numbers;
  } lists[] = {{"rho", &s->rho},      {"label", &s->labels}, {"nr_sv", &s->per_class},
               {"probA", &s->prob_a}, {"probB", &s->prob_b}, {"prob_density_marks", &s->marks}};
  str key = next_word(r);
  *vectors_follow = str_is(key, "SV");
  if (*vectors_follow) return true;
  if (str_is(key, "svm_type")) return read_name(r, "svm_type", 5, types, &s->type);
  if (str_is(key, "kernel_type")) return read_name(r, "kernel_type", 5, kernels, &s->kernel);
  if (str_is(key, "degree")) return read_integer(r, &s->degree, INT32_MIN, INT32_MAX, "degree");
  if (str_is(key, "nr_class")) return read_integer(r, &s->classes, 2, MOST_CLASSES, "nr_class");
  if (str_is(key, "total_sv")) return read_integer(r, &s->vectors, 0, INT32_MAX, "total_sv");
  if (str_is(key, "gamma")) return read_number(r, &s->gamma, "gamma");
  if (str_is(key, "coef0")) return read_number(r, &s->coef0, "coef0");
  for (size_t i = 0; i < sizeof lists / sizeof *lists; i++)
    if (str_is(key, lists[i].name)) return read_numbers(r, lists[i].numbers, lists[i].name);
  return fail(r, NULL, "the keyword '%.*s' is not known", STR_ARG(key));
}

static bool expect(reader *r, const char *what, const svm_numbers *list, size_t count, bool needed) {
  if (list->count == count || (!needed && list->count == 0)) return true;
  return fail(r, NULL, "%s has %zu values, expected %zu", what, list->count, count);
}

static bool check_head(reader *r) {
  libsvm *s = r->s;
  bool classifies = s->type == SVM_C_SVC || s->type == SVM_NU_SVC;
  if (s->type < 0 || s->kernel < 0) return fail(r, NULL, "svm_type or kernel_type is missing");
  if (s->vectors < 0 || s->classes < 2) return fail(r, NULL, "total_sv or nr_class is missing");
  if (!classifies && s->classes != 2) return fail(r, NULL, "nr_class is %lld, expected 2", (long long)s->classes);
  size_t k = (size_t)s->classes, pairs = classifies ? k * (k - 1) / 2 : 1;
  if (!expect(r, "rho", &s->rho, pairs, true) || !expect(r, "label", &s->labels, k, classifies) ||
      !expect(r, "nr_sv", &s->per_class, k, classifies))
    return false;
  if (classifies &&
      (!expect(r, "probA", &s->prob_a, pairs, false) || !expect(r, "probB", &s->prob_b, s->prob_a.count, true)))
    return false;
  if (s->type == SVM_ONE_CLASS && !expect(r, "prob_density_marks", &s->marks, 10, false)) return false;
  for (size_t i = 0; i < s->labels.count; i++) {
    double n = s->labels.at[i];
    if (!(n >= INT32_MIN && n <= INT32_MAX) || n != (double)(int64_t)n)
      return fail(r, NULL, "label %g is no integer of 32 bits", n);
  }
  double sum = 0;
  for (size_t i = 0; i < s->per_class.count; i++) {
    double n = s->per_class.at[i];
    if (!(n >= 0 && n <= (double)s->vectors) || n != (double)(int64_t)n) return fail(r, NULL, "nr_sv: %g", n);
    sum += n;
  }
  if (classifies && sum != (double)s->vectors)
    return fail(r, NULL, "nr_sv adds up to %g, but total_sv is %lld", sum, (long long)s->vectors);
  return true;
}

// ---- support vectors ----------------------------------------------------------------------------------

// `index:value`; the column of index 1 is 0.
static bool read_pair(reader *r, int64_t before, int64_t *column, double *value) {
  bool precomputed = r->s->kernel == SVM_PRECOMPUTED;
  int64_t index;
  if (!read_integer(r, &index, precomputed ? 0 : 1, MOST_INDEX, "an index")) return false;
  if (r->text.at == r->text.end || *r->text.at++ != ':') return fail(r, NULL, "expected index:value");
  if (index - 1 <= before && !precomputed)
    return fail(r, "LibSVM's own tools sort them", "index %lld is not above the one before", (long long)index);
  *column = index - 1;
  return read_number(r, value, "a value");
}

static bool mark_used(reader *r, size_t column) {
  if (column >= r->used_capacity) {
    size_t capacity = 2 * column + 64;
    uint8_t *more = realloc(r->used, capacity);
    if (!more) return no_memory(r);
    memset(more + r->used_capacity, 0, capacity - r->used_capacity);
    r->used = more;
    r->used_capacity = capacity;
  }
  if (column >= r->s->width) r->s->width = column + 1;
  r->used[column] = 1;
  return true;
}

static bool note_columns(reader *r) {
  libsvm *s = r->s;
  int64_t column = -1;
  double value;
  for (size_t i = 0; i < libsvm_rows(s); i++)
    if (!read_number(r, &value, "a coefficient")) return false;
  while (json_peek(&r->text)) {
    if (!read_pair(r, column, &column, &value)) return false;
    if (column < 0) continue;
    if (!mark_used(r, (size_t)column)) return false;
  }
  return true;
}

// Of a precomputed kernel: the number of the vector in the training data, which is a column of the input.
static bool fill_serial(reader *r, size_t vector) {
  int64_t column;
  double value;
  if (!read_pair(r, -1, &column, &value)) return false;
  if (column != -1 || !(value >= 1 && value <= MOST_INDEX) || value != (double)(int64_t)value)
    return fail(r, NULL, "a vector of a precomputed kernel is 0:number, number from 1 to %d", MOST_INDEX);
  r->s->columns[vector] = (int64_t)value - 1;
  if ((size_t)value > r->s->width) r->s->width = (size_t)value;
  return true;
}

static bool fill(reader *r, size_t vector) {
  libsvm *s = r->s;
  size_t rows = libsvm_rows(s);
  int64_t column = -1;
  double value;
  for (size_t i = 0; i < rows; i++)
    if (!read_number(r, &s->coefficients[vector * rows + i], "a coefficient")) return false;
  if (s->kernel == SVM_PRECOMPUTED) return fill_serial(r, vector);
  while (json_peek(&r->text)) {
    if (!read_pair(r, column, &column, &value)) return false;
    s->values[vector * s->column_count + r->slot_of[column]] = value;
  }
  return true;
}

// Asks for memory by the bytes that are there: dense vectors may need much more than sparse ones.
static bool make_room(reader *r) {
  libsvm *s = r->s;
  size_t vectors = (size_t)s->vectors, most = (size_t)s->c->source->size * ELEMENTS_A_BYTE + FEW_ELEMENTS, all;
  bool precomputed = s->kernel == SVM_PRECOMPUTED;
  if (precomputed) s->width = 0;
  for (size_t i = 0; i < s->width; i++) s->column_count += r->used[i];
  size_t pairs = s->rho.count;
  if (!size_mul(vectors, s->column_count > pairs ? s->column_count : pairs, &all) || all > most)
    return fail(r, NULL, "%zu sparse support vectors of %zu columns are too large as a table", vectors,
                s->column_count);
  arena *memory = s->c->memory;
  s->coefficients = arena_array(memory, vectors * libsvm_rows(s), sizeof *s->coefficients);
  s->columns = arena_array(memory, precomputed ? vectors : s->column_count, sizeof *s->columns);
  s->values = calloc(vectors * s->column_count + 1, sizeof *s->values);
  if (s->values && !convert_at_end(s->c, free, s->values)) {
    free(s->values);
    s->values = NULL;
  }
  r->slot_of = calloc(s->width + 1, sizeof *r->slot_of);
  if (!s->coefficients || !s->columns || !s->values || !r->slot_of) return no_memory(r);
  for (size_t i = 0, slot = 0; i < s->width; i++)
    if (r->used[i]) {
      s->columns[slot] = (int64_t)i;
      r->slot_of[i] = (uint32_t)slot++;
    }
  return true;
}

static bool read_vectors(reader *r) {
  libsvm *s = r->s;
  reader start = *r;
  int64_t vectors = 0;
  for (; next_line(r); vectors++)
    if (!note_columns(r)) return false;
  if (vectors != s->vectors)
    return fail(r, "is the file cut short?", "there are %lld support vectors, expected %lld", (long long)vectors,
                (long long)s->vectors);
  if (!make_room(r)) return false;
  r->next = start.next;
  r->line = start.line;
  for (size_t i = 0; next_line(r); i++) {
    if (!fill(r, i)) return false;
    size_t at = (size_t)(r->text.at - r->text.begin);
    source_forget(s->c->source, at);
    convert_progress(s->c, at, s->c->source->size);
  }
  return true;
}

static bool read_model(reader *r) {
  bool vectors_follow = false;
  while (!vectors_follow && next_line(r))
    if (!read_head_line(r, &vectors_follow)) return false;
  if (!vectors_follow) return fail(r, "is the file cut short?", "the line 'SV' is missing");
  return check_head(r) && read_vectors(r);
}

sdx_status libsvm_read(libsvm *s) {
  source *from = s->c->source;
  reader r = {.s = s, .next = from->bytes, .end = from->bytes + from->size};
  json_init(&r.text, from->bytes, 0, 1, SIZE_MAX);
  bool good = read_model(&r);
  free(r.used);
  free(r.slot_of);
  return good ? SDX_OK : s->c->f->status;
}
