// SPDX-License-Identifier: Apache-2.0
// The pipeline: which passes run, in which order, and until when. Written by hand because the order
// is the knowledge: cheap removals first, so that patterns meet clean graphs; fusions before the
// last sweep, which collects what they left behind.
#include <string.h>

#include "passes/passes.h"

#define PASS(name) extern const pass_def pass_##name;
#include "passes/pipeline.def"
#undef PASS

const pass_def *const passes[] = {
#define PASS(name) &pass_##name,
#include "passes/pipeline.def"
#undef PASS
    NULL};

enum { ROUNDS = 4 };  // a fusion may uncover another one; more rounds never paid

static bool is_disabled(const char *list, const char *name) {
  size_t n = strlen(name);
  for (const char *p = list; p && *p;) {
    size_t length = strcspn(p, ",");
    if (length == n && memcmp(p, name, n) == 0) return true;
    p += length + (p[length] == ',');
  }
  return false;
}

static sdx_status check_names(const pass_context *c, const char *disabled) {
  for (const char *p = disabled; p && *p;) {
    str name = {p, strcspn(p, ",")};
    str_nearest nearest;
    str_nearest_init(&nearest, name);
    bool found = false;
    for (size_t i = 0; passes[i] && !found; i++) {
      found = str_is(name, passes[i]->name);
      str_nearest_offer(&nearest, str_from(passes[i]->name));
    }
    char hint[128];
    if (!found)
      return error_set(c->err, SDX_INVALID_ARGUMENT, "disable_passes: there is no pass '%.*s'%s", STR_ARG(name),
                       str_nearest_hint(&nearest, hint, sizeof hint));
    p += name.size + (p[name.size] == ',');
  }
  return SDX_OK;
}

sdx_status passes_run(pass_context *c, int level, const char *disabled) {
  SDX_TRY(check_names(c, disabled));
  for (int round = 0; round < ROUNDS && level > 0; round++) {
    bool changed = false;
    for (size_t i = 0; passes[i]; i++) {
      if (passes[i]->level > level || is_disabled(disabled, passes[i]->name)) continue;
      c->changed = false;
      sdx_status status = passes[i]->run(c);
      if (status == SDX_OK && c->changed) {
        status = graph_sort(c->graph, c->err);
        if (status == SDX_OK) status = passes_infer(c->graph, c->scratch, NULL, c->err);
      }
      arena_reset(c->scratch);
      if (status != SDX_OK) {
        error_prefix(c->err, "pass %s", passes[i]->name);
        return status;
      }
      changed |= c->changed;
    }
    if (!changed) break;
  }
  return SDX_OK;
}
