// SPDX-License-Identifier: Apache-2.0
// Whole models give the same results whatever passes run: the same bits without the passes that
// reassociate, within 1e-5 with them. Models of examples/ and, where they lie beside the checkout, of
// ../shared/models. Under a sanitizer kernels are not optimised: models that take more than a second are left out.
#include <ftw.h>
#include <stdlib.h>
#include <unistd.h>

#include "passes/passes.h"
#include "tests/model.h"
#include "tests/process.h"

enum { MOST_MODELS = 200, MOST_BYTES = 24 << 20 };
static char *models[MOST_MODELS];
static size_t model_count;
static int64_t free_dim;

static int add_model(const char *path, const struct stat *st, int type, struct FTW *where) {
  size_t n = strlen(path);
  bool is_model = type == FTW_F && n > 5 && strcmp(path + n - 5, ".onnx") == 0;
  if (is_model && st->st_size <= MOST_BYTES && model_count < MOST_MODELS) models[model_count++] = strdup(path);
  return 0;
}

static sdx_run *run_with(const char *path, const char *settings, sdx_session **s) {
  sdx_options *o = model_options(settings);
  if (sdx_session_load_file(path, o, s) != SDX_OK) fail_msg("%s: %s", path, sdx_session_error(*s));
  sdx_options_destroy(o);
  sdx_run *r = model_run(*s, free_dim);
  if (r && sdx_run_execute(r) != SDX_OK) {
    print_message("%s: %s\n", path, sdx_run_error(r));
    sdx_run_destroy(r);
    r = NULL;
  }
  return r;
}

static void compare(const char *path, const char *settings, const sdx_run *plain, size_t outputs, double tolerance) {
  sdx_session *s;
  sdx_run *r = run_with(path, settings, &s);
  if (!r) fail_msg("%s fails with %s", path, settings);
  for (size_t i = 0; i < outputs; i++) {
    double difference = model_difference(sdx_run_output(plain, i), sdx_run_output(r, i));
    if (!(difference <= tolerance)) fail_msg("%s, %s: result %zu differs by %g", path, settings, i, difference);
  }
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static void same_results_at_every_level(void **state) {
  const char *none = process_sanitized() ? "optimize=none run_timeout_ms=1000" : "optimize=none";
  char exact[500] = "disable_passes=";
  for (size_t i = 0; passes[i]; i++)
    if (passes[i]->reassociates) snprintf(exact + strlen(exact), sizeof exact - strlen(exact), "%s,", passes[i]->name);
  for (size_t i = 0; i < model_count; i++) {
    sdx_session *s;
    free_dim = 1;
    sdx_run *plain = run_with(models[i], none, &s);
    if (!plain) {  // audio wants more samples than one
      sdx_session_destroy(s);
      free_dim = 512;
      plain = run_with(models[i], none, &s);
    }
    if (plain) {
      size_t outputs = sdx_session_output_count(s);
      compare(models[i], "optimize=basic", plain, outputs, 0);
      compare(models[i], exact, plain, outputs, 0);
      compare(models[i], "optimize=all", plain, outputs, 1e-5);
    }
    sdx_run_destroy(plain);
    sdx_session_destroy(s);
    free(models[i]);
  }
}

int main(int count, char **arguments) {
  static const char *const folders[] = {"examples", "../shared/models/seed", "../shared/models/vision"};
  for (size_t i = 0; i < sizeof folders / sizeof *folders && count < 2; i++)
    if (access(folders[i], R_OK) == 0) nftw(folders[i], add_model, 8, FTW_PHYS);
  for (int i = 1; i < count; i++) nftw(arguments[i], add_model, 8, FTW_PHYS);
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_results_at_every_level)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
