// SPDX-License-Identifier: Apache-2.0
// Whole models give the same results whatever passes run: the same bits without passes and layouts that
// reassociate, within 1e-5 with them or within what the next float of the inputs would make.
#include "passes/passes.h"
#include "tests/passes/models.h"

static void compare(const char *path, const char *settings, sdx_session *simple, const sdx_run *plain, int64_t free_dim,
                    double tolerance) {
  sdx_options *o = model_options(settings);
  sdx_session *s;
  if (sdx_session_load_file(path, o, &s) != SDX_OK) fail_msg("%s: %s", path, sdx_session_error(s));
  sdx_options_destroy(o);
  sdx_run *r = models_run(s, free_dim, 0, true);
  if (!r) fail_msg("%s fails with %s", path, settings);
  models_compare(path, settings, simple, free_dim, plain, r, tolerance);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static void same_results_at_every_level(void **state) {
  static const int64_t sizes[] = {1, 512, 0};  // audio wants more samples than one
  char exact[500] = "layouts=0 disable_passes=";
  for (size_t i = 0; passes[i]; i++)
    if (passes[i]->reassociates) snprintf(exact + strlen(exact), sizeof exact - strlen(exact), "%s,", passes[i]->name);
  for (size_t i = 0; i < model_count; i++) {
    sdx_session *s;
    int64_t free_dim;
    sdx_run *plain = models_plain(models[i], sizes, &free_dim, &s);
    if (plain) {
      compare(models[i], "optimize=basic", s, plain, free_dim, 0);
      compare(models[i], exact, s, plain, free_dim, 0);
      compare(models[i], "optimize=all", s, plain, free_dim, 1e-5);
    }
    sdx_run_destroy(plain);
    sdx_session_destroy(s);
    free(models[i]);
  }
}

int main(int count, char **arguments) {
  static const char *const folders[] = {"examples", "../shared/models/seed", "../shared/models/vision",
                                        "../shared/cases", NULL};
  models_find(count, arguments, folders);
  const struct CMUnitTest tests[] = {cmocka_unit_test(same_results_at_every_level)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
