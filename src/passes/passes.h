// SPDX-License-Identifier: Apache-2.0
// Graph rewrites. One file per pass; order.c holds the pipeline, written by hand. A pass keeps the
// meaning of the graph bit for bit, except the ones marked `reassociates` (they may change rounding).
#pragma once

#include "base/text.h"
#include "ops/record.h"

typedef struct pass_context {
  graph *graph;  // the root or a body: passes run on each by itself
  graph *root;
  arena *scratch;                            // reset after each pass
  mem_account *account;                      // constants that folding makes are charged here
  size_t fold_node_bytes, fold_total_bytes;  // budgets of constant folding
  size_t folded_bytes;
  // Computes one node with constant inputs into counted values; provided by run/. Any failure means
  // "leave the node alone".
  sdx_status (*evaluate)(void *context, graph *g, node *n, sdx_value **outputs, error *err);
  // Takes over a counted value whose bytes a constant of the graph points at.
  sdx_status (*keep)(void *context, sdx_value *owned, error *err);
  sdx_status (*check)(void *context, error *err);  // after each pass: deadline of the load; may be NULL
  size_t made_bytes;                               // of constants, since the last sweep
  // Nobody reads these bytes of a constant any more; may be NULL.
  void (*let_go)(void *context, const void *at, size_t bytes);
  void *context;
  bool changed;
  error *err;
} pass_context;

typedef struct pass_def {
  const char *name;
  const char *help;  // one line
  int level;         // 1 = basic, 2 = all; 3 = for graphs that are written: at run time plans do it
  bool reassociates;
  sdx_status (*run)(pass_context *c);
} pass_def;

extern const pass_def *const passes[];  // pipeline order, NULL-terminated
// Runs the pipeline up to `level`, skipping the comma-separated names in `disabled`.
sdx_status passes_run(pass_context *c, int level, const char *disabled);
// Once new constants have added up to some MB: lets go of those that nobody reads any more. A pass calls it where it
// holds no constant that has lost its reader.
void passes_sweep(pass_context *c);
// Types and shapes (symbolic) of every value by the operators' infer functions. A declared element type that
// contradicts is an error naming both; declared shapes are one line of `warnings` (may be NULL) or one report to the
// sink, errors if `strict`.
sdx_status passes_infer(graph *g, arena *scratch, const problem_sink *sink, text *warnings, bool strict, error *err);
// The same for one node, with what is known of its inputs now.
sdx_status passes_infer_node(graph *g, node *n, arena *scratch, error *err);
