// SPDX-License-Identifier: Apache-2.0
// Whole models for tests of passes: those of the repository and, where they lie beside the checkout, of
// ../shared/models. Under a sanitizer kernels are not optimised: models that take more than a second are left out.
#pragma once

#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "tests/model.h"
#include "tests/process.h"

enum { MOST_MODELS = 200, MOST_BYTES = 24 << 20 };
static char *models[MOST_MODELS];
static size_t model_count;

static inline int models_add(const char *path, const struct stat *st, int type, struct FTW *where) {
  size_t n = strlen(path);
  bool is_model = type == FTW_F && n > 5 && strcmp(path + n - 5, ".onnx") == 0;
  if (is_model && st->st_size <= MOST_BYTES && model_count < MOST_MODELS) models[model_count++] = strdup(path);
  return 0;
}

// The folders of the command line, else `folders`.
static inline void models_find(int count, char **arguments, const char *const *folders) {
  for (size_t i = 0; folders[i] && count < 2; i++) {
    if (access(folders[i], R_OK) == 0) nftw(folders[i], models_add, 8, FTW_PHYS);
    else printf("# SKIPPED: %s is absent\n", folders[i]);
  }
  for (int i = 1; i < count; i++) nftw(arguments[i], models_add, 8, FTW_PHYS);
}

// A run that was executed; NULL if the model does not take inputs of these sizes, or not within the time (0: any).
static inline sdx_run *models_run(sdx_session *s, int64_t free_dim, uint64_t timeout_ms, bool say) {
  sdx_run *r = model_run(s, free_dim);
  if (r) sdx_run_set_timeout_ms(r, timeout_ms);
  if (!r || sdx_run_execute(r) == SDX_OK) return r;
  if (say) print_message("%s\n", sdx_run_error(r));
  sdx_run_destroy(r);
  return NULL;
}

// The plain meaning of a model: no passes. Free dimensions take the first of `sizes` (0 ends them) that it runs with.
static inline sdx_run *models_plain(const char *path, const int64_t *sizes, int64_t *free_dim, sdx_session **s) {
  uint64_t timeout_ms = process_sanitized() ? 1000 : 0;
  sdx_options *o = model_options("optimize=none");
  sdx_status status = sdx_session_load_file(path, o, s);
  sdx_options_destroy(o);
  if (status != SDX_OK) fail_msg("%s: %s", path, sdx_session_error(*s));
  sdx_run *r = NULL;
  for (; *sizes && !r; sizes++) r = models_run(*s, *free_dim = *sizes, timeout_ms, false);
  if (!r) printf("# SKIPPED: %s takes no inputs that are made here\n", path);
  return r;
}

// How far the results move when float inputs move to the next float, up or down: a model may turn that into much, and
// then another order of summation in each of tens of layers does as well.
static inline double models_sensitivity(sdx_session *s, int64_t free_dim, const sdx_run *plain, size_t output) {
  sdx_run *r = model_run(s, free_dim);
  assert_non_null(r);
  for (size_t i = 0; i < sdx_session_input_count(s); i++) {
    sdx_value *v = model_input(sdx_session_input(s, i), free_dim);
    float *x = sdx_tensor_data(v);
    for (size_t k = 0; sdx_tensor_dtype(v) == SDX_FLOAT && k < sdx_tensor_count(v); k++)
      x[k] = nextafterf(x[k], (k * 2654435761u >> 16) & 1 ? 4 : -4);
    sdx_run_set_input(r, i, v);
    sdx_value_release(v);
  }
  assert_int_equal(sdx_run_execute(r), SDX_OK);
  double difference = model_difference(sdx_run_output(plain, output), sdx_run_output(r, output));
  sdx_run_destroy(r);
  return difference;
}

// `s` and `free_dim` are those of `plain`. A tolerance of 0 means the same bits.
static inline void models_compare(const char *path, const char *what, sdx_session *s, int64_t free_dim,
                                  const sdx_run *plain, const sdx_run *other, double tolerance) {
  for (size_t i = 0; i < sdx_session_output_count(s); i++) {
    double difference = model_difference(sdx_run_output(plain, i), sdx_run_output(other, i));
    if (difference <= tolerance) continue;
    double most = tolerance == 0 ? 0 : 32 * models_sensitivity(s, free_dim, plain, i);
    if (!(difference <= most))
      fail_msg("%s, %s: result %zu differs by %g, %g is allowed", path, what, i, difference, fmax(most, tolerance));
  }
}
