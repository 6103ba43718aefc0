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

// A fusion may uncover another one; more rounds never paid, but where shapes are folded: each may let the next be.
enum { ROUNDS = 4, ROUNDS_WITH_SHAPES = 24, LEVEL_WITH_SHAPES = 3 };

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
    if (!found) {
      error_at(c->err, at_option("disable_passes"), SDX_INVALID_ARGUMENT, "names no pass: '%.*s'", STR_ARG(name));
      error_hint(c->err, "%s", str_nearest_hint(&nearest, hint, sizeof hint));
      return SDX_INVALID_ARGUMENT;
    }
    p += name.size + (p[name.size] == ',');
  }
  return SDX_OK;
}

// The pass on g, then on the bodies of g's nodes. The recursion is as deep as the model's nesting, which import bounds.
static sdx_status run_on(pass_context *c, const pass_def *pass, graph *g) {
  bool changed = c->changed;
  c->graph = g;
  c->changed = false;
  SDX_TRY(pass->run(c));
  c->changed |= changed;
  for (uint32_t i = 0; i < g->node_count; i++) {
    const node *n = g->nodes[i];
    for (uint32_t k = 0; k < n->attr_count && !n->dead; k++) {
      graph *const *bodies;
      size_t count = attr_graphs(&n->attrs[k], &bodies);
      for (size_t b = 0; b < count; b++) SDX_TRY(run_on(c, pass, bodies[b]));
    }
  }
  return SDX_OK;
}

sdx_status passes_run(pass_context *c, int level, const char *disabled) {
  SDX_TRY(check_names(c, disabled));
  graph *root = c->root = c->graph;
  int rounds = level < LEVEL_WITH_SHAPES ? ROUNDS : ROUNDS_WITH_SHAPES;
  for (int round = 0; round < rounds && level > 0; round++) {
    bool changed = false;
    for (size_t i = 0; passes[i]; i++) {
      if (passes[i]->level > level || is_disabled(disabled, passes[i]->name)) continue;
      c->changed = false;
      sdx_status status = run_on(c, passes[i], root);
      c->graph = root;
      if (status == SDX_OK && c->changed) {
        status = graph_sort(root, c->err);
        if (status == SDX_OK) status = passes_infer(root, c->scratch, NULL, NULL, false, c->err);
      }
      if (status == SDX_OK && c->check) status = c->check(c->context, c->err);
      arena_reset(c->scratch);
      if (status == SDX_OK) passes_sweep(c);
      if (status != SDX_OK) {
        error_within(c->err, "pass %s", passes[i]->name);
        return status;
      }
      changed |= c->changed;
    }
    if (!changed) break;
  }
  return SDX_OK;
}
