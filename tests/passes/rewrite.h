// SPDX-License-Identifier: Apache-2.0
// A pass by example: text in, the pass alone, text out. Both models are run and must give the same bits
// (within 1e-5 where the pass reassociates). The texts leave out names of nodes and types of what they make.
#pragma once

#include "passes/passes.h"
#include "run/session.h"
#include "tests/model.h"

static inline const pass_def *rewrite_pass(const char *name) {
  for (size_t i = 0; passes[i]; i++)
    if (strcmp(passes[i]->name, name) == 0) return passes[i];
  fail_msg("no pass %s", name);
  return NULL;
}

static inline sdx_session *rewrite_session(const char *pass, const char *source) {
  char settings[1000] = "optimize=none threads=1";
  for (size_t i = 0, n = 0; pass && passes[i]; i++) {
    if (n == 0) n = (size_t)snprintf(settings, sizeof settings, "threads=1 disable_passes=");
    if (strcmp(passes[i]->name, pass) != 0)
      n += (size_t)snprintf(settings + n, sizeof settings - n, "%s,", passes[i]->name);
    assert_true(n < sizeof settings);
  }
  return model_load(source, settings);
}

static inline void rewrite_forget(graph *g) {
  for (uint32_t i = 0; i < g->node_count; i++) {
    node *n = g->nodes[i];
    n->name = (str){0};
    for (uint32_t k = 0; k < n->output_count; k++)
      g->values[n->outputs[k]].type = g->values[n->outputs[k]].declared = (type_info){.rank = -1};
    for (uint32_t a = 0; a < n->attr_count; a++) {
      graph *const *bodies;
      size_t count = attr_graphs(&n->attrs[a], &bodies);
      for (size_t b = 0; b < count; b++) {
        for (value_id v = 1; v < bodies[b]->value_count; v++)
          if (bodies[b]->values[v].outer)
            bodies[b]->values[v].type = bodies[b]->values[v].declared = (type_info){.rank = -1};
        rewrite_forget(bodies[b]);
      }
    }
  }
}

static inline void rewrite_text(sdx_session *s, text *out) {
  rewrite_forget(s->main);
  graph_print(s->main, out);
  text_append(out, "", 1);
}

static inline void rewrite_same_numbers(sdx_session *a, sdx_session *b, double tolerance, const char *source) {
  sdx_run *x = model_run(a, 2), *y = model_run(b, 2);
  assert_non_null(x);
  if (sdx_run_execute(x) != SDX_OK) fail_msg("%s\n%s", source, sdx_run_error(x));
  if (sdx_run_execute(y) != SDX_OK) fail_msg("%s\n%s", source, sdx_run_error(y));
  for (size_t i = 0; i < sdx_session_output_count(a); i++) {
    double difference = model_difference(sdx_run_output(x, i), sdx_run_output(y, i));
    if (!(difference <= tolerance)) fail_msg("%s\nresult %zu differs by %g", source, i, difference);
  }
  sdx_run_destroy(x);
  sdx_run_destroy(y);
}

// The graph that `pass` makes of `before` prints as `after`. NULL: the pass leaves it as it is.
static inline void rewrites(const char *pass, const char *before, const char *after) {
  sdx_session *plain = rewrite_session(NULL, before), *rewritten = rewrite_session(pass, before);
  rewrite_same_numbers(plain, rewritten, rewrite_pass(pass)->reassociates ? 1e-5 : 0, before);
  text want = {0}, got = {0};
  rewrite_text(rewritten, &got);
  if (after) text_append(&want, after, strlen(after) + 1);
  else rewrite_text(plain, &want);
  if (strcmp(got.at, want.at) != 0) fail_msg("%s\nwanted:\n%s\ngot:\n%s", before, want.at, got.at);
  text_deinit(&want);
  text_deinit(&got);
  sdx_session_destroy(plain);
  sdx_session_destroy(rewritten);
}

static inline void leaves_alone(const char *pass, const char *source) { rewrites(pass, source, NULL); }
