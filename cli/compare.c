// SPDX-License-Identifier: Apache-2.0
// Comparison of values (compare.h). Recursion follows the nesting of sequences, which the engine's
// reader has bounded.
#include "cli/compare.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/io.h"
#include "support/elements.h"

// From fine to coarse. float8 and float4 results are exact codes: conversions either hit or miss.
static const struct {
  sdx_dtype dtype;
  double rtol, atol;
} by_type[] = {
    {SDX_DOUBLE, 1e-7, 1e-7},    {SDX_COMPLEX128, 1e-7, 1e-7}, {SDX_FLOAT, 1e-3, 1e-5},
    {SDX_COMPLEX64, 1e-3, 1e-5}, {SDX_FLOAT16, 2e-2, 2e-3},    {SDX_BFLOAT16, 2e-2, 1e-2},
};
enum { TYPE_COUNT = sizeof by_type / sizeof *by_type };

static int coarseness(sdx_dtype dtype) {
  for (int i = 0; i < TYPE_COUNT; i++)
    if (by_type[i].dtype == dtype) return i;
  return -1;
}

static bool fail(comparison *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(comparison *c, const char *format, ...) {
  va_list list;
  va_start(list, format);
  vsnprintf(c->text, sizeof c->text, format, list);
  va_end(list);
  c->worst = INFINITY;
  return false;
}

static const char *index_text(const sdx_value *v, size_t i, char *buffer, size_t size) {
  size_t at[64], rank = sdx_tensor_rank(v), used = 0;
  for (size_t d = rank; d-- > 0;) {
    size_t dim = (size_t)sdx_tensor_shape(v)[d];
    at[d] = dim ? i % dim : 0;
    i /= dim ? dim : 1;
  }
  buffer[0] = 0;
  for (size_t d = 0; d < rank && used < size; d++)
    used += (size_t)snprintf(buffer + used, size - used, "%s%zu%s", d ? "," : "[", at[d], d + 1 == rank ? "]" : "");
  return buffer;
}

static bool compare_strings(const sdx_value *got, const sdx_value *want, comparison *c) {
  for (size_t i = 0; i < sdx_tensor_count(want); i++) {
    size_t n, m;
    const char *a = sdx_tensor_string(got, i, &n), *b = sdx_tensor_string(want, i, &m);
    char index[200], x[80], y[80];
    if (n != m || memcmp(a, b, n))
      return fail(c, "%s got %s, want %s", index_text(got, i, index, sizeof index), element_text(got, i, x, sizeof x),
                  element_text(want, i, y, sizeof y));
  }
  return true;
}

static bool same_shape(const sdx_value *a, const sdx_value *b) {
  size_t rank = sdx_tensor_rank(a);
  return rank == sdx_tensor_rank(b) &&
         !(rank && memcmp(sdx_tensor_shape(a), sdx_tensor_shape(b), rank * sizeof(int64_t)));
}

static bool compare_numbers(const sdx_value *got, const sdx_value *want, const compare_rules *rules, comparison *c) {
  sdx_dtype a = sdx_tensor_dtype(got), b = sdx_tensor_dtype(want);
  int row = coarseness(a) > coarseness(b) ? coarseness(a) : coarseness(b);
  if (row >= 0 && coarseness(rules->coarsest) > row) row = coarseness(rules->coarsest);
  int parts = dtype_is_complex(a) && dtype_is_complex(b) ? 2 : 1;
  size_t count = sdx_tensor_count(want), off = 0, worst_at = 0;
  double rtol = row >= 0 ? by_type[row].rtol : 0, atol = row >= 0 ? by_type[row].atol : 0;
  if (row >= 0 && isnan(rules->atol)) {  // cancellation errs in proportion to what was cancelled
    long double most = 1;
    for (size_t i = 0; i < count; i++) {
      long double x = fabsl(element_number(want, i));
      if (x > most && !isinf(x)) most = x;
    }
    atol *= (double)most;
  }
  if (row >= 0 && !isnan(rules->rtol)) rtol = rules->rtol;
  if (row >= 0 && !isnan(rules->atol)) atol = rules->atol;
  if (a == b && (a == SDX_UINT8 || a == SDX_INT8)) atol = rules->int8_steps;
  double worst = 0;
  for (size_t i = 0; i < count; i++)
    for (int part = 0; part < parts; part++) {
      long double x = element_part(got, i, part), y = element_part(want, i, part);
      if (x == y || (isnan(x) && isnan(y))) continue;
      double limit = (double)(atol + rtol * fabsl(y)), error = (double)fabsl(x - y);
      double ratio = isnan(error) || isinf(error) || limit == 0 ? INFINITY : error / limit;
      off += ratio > 1;
      if (ratio > worst) {
        worst = ratio;
        worst_at = i;
      }
    }
  if (worst > c->worst) c->worst = worst;
  if (worst <= 1) return true;
  char index[200], x[80], y[80];
  snprintf(c->text, sizeof c->text, "%s got %s, want %s; %zu of %zu off",
           index_text(got, worst_at, index, sizeof index), element_text(got, worst_at, x, sizeof x),
           element_text(want, worst_at, y, sizeof y), off, count);
  return false;
}

static bool compare_tensors(const sdx_value *got, const sdx_value *want, const compare_rules *rules, comparison *c) {
  sdx_dtype a = sdx_tensor_dtype(got), b = sdx_tensor_dtype(want);
  char x[200], y[200];
  value_describe(got, x, sizeof x);
  value_describe(want, y, sizeof y);
  bool types_fit = a == b || (rules->lenient && dtype_is_number(a) && dtype_is_number(b));
  bool shapes_fit =
      same_shape(got, want) || (rules->lenient && shape_same_but_ones(sdx_tensor_rank(got), sdx_tensor_shape(got),
                                                                      sdx_tensor_rank(want), sdx_tensor_shape(want)));
  if (!types_fit || !shapes_fit || sdx_tensor_count(got) != sdx_tensor_count(want))
    return fail(c, "got %s, want %s", x, y);
  return a == SDX_STRING ? compare_strings(got, want, c) : compare_numbers(got, want, rules, c);
}

// Maps are unordered: each wanted key is looked for.
static bool compare_maps(const sdx_value *got, const sdx_value *want, const compare_rules *rules, comparison *c) {
  const sdx_value *gk = sdx_value_item(got, 0), *wk = sdx_value_item(want, 0);
  const sdx_value *gv = sdx_value_item(got, 1), *wv = sdx_value_item(want, 1);
  size_t count = sdx_tensor_count(wk);
  if (sdx_tensor_count(gk) != count) return fail(c, "got a map of %zu, want one of %zu", sdx_tensor_count(gk), count);
  if (compare_tensors(gk, wk, rules, c)) return compare_tensors(gv, wv, rules, c);
  if (!dtype_is_number(sdx_tensor_dtype(wv)) || !dtype_is_number(sdx_tensor_dtype(gv)))
    return fail(c, "the maps' keys differ");
  sdx_value *ordered = sdx_tensor_create(sdx_tensor_dtype(gv), sdx_tensor_rank(gv), sdx_tensor_shape(gv));
  bool ok = ordered != NULL;
  char x[80], y[80];
  for (size_t i = 0; i < count && ok; i++) {
    size_t j = 0;
    element_text(wk, i, y, sizeof y);
    while (j < count && strcmp(element_text(gk, j, x, sizeof x), y)) j++;
    ok = j < count || fail(c, "key %s is missing", y);
    if (ok) element_set(ordered, i, element_number(gv, j));
  }
  if (ok) {
    c->worst = 0;
    c->text[0] = 0;
    ok = compare_tensors(ordered, wv, rules, c);
  }
  sdx_value_release(ordered);
  return ok;
}

bool value_compare(const sdx_value *got, const sdx_value *want, const compare_rules *rules, comparison *c) {
  char x[200], y[200];
  if (!got || sdx_value_kind(got) != sdx_value_kind(want))
    return fail(c, "got %s, want %s", value_describe(got, x, sizeof x), value_describe(want, y, sizeof y));
  switch (sdx_value_kind(want)) {
    case SDX_KIND_TENSOR:
      return compare_tensors(got, want, rules, c);
    case SDX_KIND_MAP:
      return compare_maps(got, want, rules, c);
    case SDX_KIND_NONE:
      return true;
    case SDX_KIND_SEQUENCE:
      break;
  }
  size_t count = sdx_value_item_count(want);
  if (sdx_value_item_count(got) != count)
    return fail(c, "got a sequence of %zu, want one of %zu", sdx_value_item_count(got), count);
  for (size_t i = 0; i < count; i++)
    if (!value_compare(sdx_value_item(got, i), sdx_value_item(want, i), rules, c)) {
      char inner[sizeof c->text];
      snprintf(inner, sizeof inner, "%s", c->text);
      snprintf(c->text, sizeof c->text, "item %zu: %.370s", i, inner);
      return false;
    }
  return true;
}
