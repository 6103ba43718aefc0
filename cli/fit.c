// SPDX-License-Identifier: Apache-2.0
// Makes a value from a file fit a model's input (io.h: value_fit): the things a person would do
// without thinking (float64 to float32, a missing batch dimension, flat pixels), and nothing else.
#include <stdio.h>
#include <string.h>

#include "cli/io.h"
#include "support/elements.h"

bool shape_fits(const sdx_io *io, size_t rank, const int64_t *shape) {
  if (!io->has_shape) return true;
  if (io->rank != rank) return false;
  for (size_t d = 0; d < rank; d++)
    if (io->shape[d] >= 0 && io->shape[d] != shape[d]) return false;
  return true;
}

// The input's shape with its free dimensions filled from the value's dimensions other than 1, in
// order; a single free dimension follows from the count.
static bool fill_shape(const sdx_io *io, const sdx_value *v, int64_t *shape) {
  size_t fixed = 1, free_dims = 0, free_at = 0, count = sdx_tensor_count(v);
  for (size_t d = 0; d < io->rank; d++) {
    shape[d] = io->shape[d];
    if (shape[d] < 0) {
      free_at = d;
      free_dims++;
    } else if (__builtin_mul_overflow(fixed, (size_t)shape[d], &fixed)) {
      return false;
    }
  }
  if (free_dims == 1) {
    if (!fixed || count % fixed) return false;
    shape[free_at] = (int64_t)(count / fixed);
    return true;
  }
  if (free_dims) {  // align from the right: [256,256,3] into [batch,h,w,3]
    size_t rank = sdx_tensor_rank(v);
    if (rank > io->rank) return false;
    for (size_t d = 0; d < io->rank; d++) {
      int64_t given = d + rank >= io->rank ? sdx_tensor_shape(v)[d + rank - io->rank] : 1;
      if (shape[d] >= 0 && shape[d] != given) return false;
      shape[d] = given;
    }
    return true;
  }
  return fixed == count;
}

bool shape_same_but_ones(size_t a_rank, const int64_t *a, size_t b_rank, const int64_t *b) {
  size_t i = 0, j = 0;
  if (a_rank == 1 || b_rank == 1) return true;
  for (;;) {
    while (i < a_rank && a[i] == 1) i++;
    while (j < b_rank && b[j] == 1) j++;
    if (i == a_rank || j == b_rank) return i == a_rank && j == b_rank;
    if (a[i++] != b[j++]) return false;
  }
}

// Converts `v` (taken) to the input's type; NULL with the reason when an integer cannot hold an element.
// Floats that are too large become infinite, as masks of -1e9 mean to in a half-precision twin.
static sdx_value *convert(sdx_value *v, sdx_dtype dtype, const char *found, const char *wanted, char note[200],
                          why *w) {
  sdx_value *converted = tensor_convert(v, dtype);
  if (!converted) why_set(w, "%s cannot become %s", found, wanted);
  snprintf(note, 200, "converted from %s", found);
  for (size_t i = 0; converted && i < sdx_tensor_count(v); i++) {
    if (element_holds(converted, i, element_number(v, i))) continue;
    if (dtype_is_real(dtype)) {
      snprintf(note, 200, "converted from %.100s; numbers too large for %s became infinite", found,
               sdx_dtype_name(dtype));
      break;
    }
    char element[64];
    why_set(w, "element %zu of %s is %s, which %s cannot hold", i, found, element_text(v, i, element, sizeof element),
            sdx_dtype_name(dtype));
    sdx_value_release(converted);
    converted = NULL;
  }
  sdx_value_release(v);
  return converted;
}

// The first dimension that differs, or how many elements there are where the ranks do.
static void tell_difference(const sdx_io *io, const sdx_value *v, char *text, size_t size) {
  size_t rank = sdx_tensor_rank(v), fixed = 1;
  const int64_t *shape = sdx_tensor_shape(v);
  bool all = true;
  for (size_t d = 0; d < io->rank; d++) {
    if (rank == io->rank && io->shape[d] >= 0 && io->shape[d] != shape[d]) {
      snprintf(text, size, "dimension %zu is %lld, expected %lld", d, (long long)shape[d], (long long)io->shape[d]);
      return;
    }
    all = all && io->shape[d] >= 0;
    if (io->shape[d] >= 0 && __builtin_mul_overflow(fixed, (size_t)io->shape[d], &fixed)) fixed = SIZE_MAX;
  }
  size_t count = sdx_tensor_count(v);
  if (all ? count == fixed : fixed && count % fixed == 0)
    snprintf(text, size, "%zu dimensions, expected %zu", rank, io->rank);
  else snprintf(text, size, "%zu elements, expected %s%zu", count, all ? "" : "a multiple of ", fixed);
}

sdx_value *value_fit(sdx_value *v, const sdx_io *io, char note[200], why *w) {
  char found[160], wanted[200];
  note[0] = 0;
  if (io->dtype == SDX_UNDEFINED) return v;  // sequences and the like are checked by the engine
  value_describe(v, found, sizeof found);
  io_describe(io, wanted, sizeof wanted);
  if (sdx_value_kind(v) != SDX_KIND_TENSOR) {
    sdx_value_release(v);
    return why_set(w, "%s, expected %s", found, wanted);
  }
  if (sdx_tensor_dtype(v) != io->dtype) {
    v = convert(v, io->dtype, found, wanted, note, w);
    if (!v) return NULL;
  }
  size_t rank = sdx_tensor_rank(v);
  if (shape_fits(io, rank, sdx_tensor_shape(v))) return v;
  int64_t shape[64];
  if (io->rank <= 64 && fill_shape(io, v, shape) && shape_same_but_ones(rank, sdx_tensor_shape(v), io->rank, shape)) {
    sdx_value *fitted = tensor_reshape(v, io->rank, shape);
    sdx_value_release(v);
    if (!fitted) return why_set(w, "not enough memory to reshape %s", found);
    snprintf(note, 200, "given as %s", found);
    return fitted;
  }
  char reason[120];
  tell_difference(io, v, reason, sizeof reason);
  sdx_value_release(v);
  return why_set(w, "%s does not fit %s: %s", found, wanted, reason);
}
