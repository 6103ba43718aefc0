// SPDX-License-Identifier: Apache-2.0
// `sardonyx inspect`: what a model is, takes, gives, and will need, from the engine's own description.
#include <fnmatch.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/graph_tree.h"
#include "cli/json_table.h"
#include "cli/table.h"
#include "cli/weights.h"

static const cli_option options[] = {
    OPTION("passes", ARG_TEXT, "WHEN",
           "the graph 'before' or 'after' the passes (default), or 'both' and what differs"),
    OPTION_FLAG("graph", "the graph as a tree that tells repeats once, bodies included; --json has it as text"),
    OPTION("only", ARG_TEXT, "PATTERN,..", "only nodes whose operator or name matches, as a table: 'Conv*,If'"),
    OPTION_FLAG("plan", "the steps with place, kernel, shape, layout and memory, for the declared shapes"),
    OPTION_FLAG("kernels", "which kernels serve which operators"),
    OPTION_FLAG("json", "machine-readable"),
    ENGINE_OPTIONS,
    {0},
};

static json_t *describe(const sdx_session *session, const char *what) {
  return engine_json(sdx_session_describe(session, what), what);
}

static void print_fact(const char *name, const char *value) {
  if (value && *value) printf("%s%-12s%s %s\n", ink_on(stdout, INK_DIM), name, ink_off(stdout), value);
}

static void print_number(const char *name, double bytes) {
  char text[32];
  print_fact(name, bytes_describe(bytes, text));
}

static double number(const json_t *object, const char *key) { return json_number_value(json_object_get(object, key)); }

static void print_io(const char *title, const json_t *list) {
  size_t i;
  json_t *io;
  table *t = table_create(title);
  json_array_foreach((json_t *)list, i, io) {
    const json_t *shape = json_object_get(io, "shape");
    char *text = xstrdup(json_is_array(shape) ? "" : "any");
    for (size_t d = 0; d < json_array_size(shape); d++) {
      char *dim = json_line(json_array_get(shape, d)), *more = xformat("%s%s%s", text, d ? "×" : "", *dim ? dim : "?");
      free(dim);
      free(text);
      text = more;
    }
    table_cell(t, "%s", json_string_value(json_object_get(io, "name")));
    table_cell(t, "%s", json_string_value(json_object_get(io, "type")));
    table_cell(t, "%s", json_is_array(shape) && !json_array_size(shape) ? "scalar" : text);
    free(text);
  }
  table_print(t);
  table_destroy(t);
}

static char *operators_line(const json_t *operators) {
  char *line = xstrdup("");
  const char *key;
  json_t *field;
  json_object_foreach((json_t *)operators, key, field) {
    long long count = json_integer_value(field);
    char *more = count > 1 ? xformat("%s %s×%lld", line, key, count) : xformat("%s %s", line, key);
    free(line);
    line = more;
  }
  return line;
}

enum { MOST_ROWS = 60 };

static void print_rest(size_t count, const char *what) {
  if (count > MOST_ROWS) printf("... and %zu more %s; --json lists all\n", count - MOST_ROWS, what);
}

// The bodies as a tree below the graph.
static void print_graphs(const json_t *graphs) {
  if (json_array_size(graphs) < 2) return;
  table *t = table_create("graph<|nodes>|weights>|size>");
  for (size_t i = 0; i < json_array_size(graphs) && i < MOST_ROWS; i++) {
    const json_t *g = json_array_get(graphs, i);
    const char *node = json_string_value(json_object_get(g, "node"));
    char bytes[32];
    if (!node) table_cell(t, "%s", json_string_value(json_object_get(g, "name")));
    else
      table_cell(t, "%*s%s %s", 2 * (int)json_integer_value(json_object_get(g, "depth")), "",
                 *node ? node : json_string_value(json_object_get(g, "op")),
                 json_string_value(json_object_get(g, "attribute")));
    table_cell(t, "%.0f", number(g, "nodes"));
    table_cell(t, "%.0f", number(g, "weights"));
    table_cell(t, "%s", bytes_describe(number(g, "weight_bytes"), bytes));
  }
  putchar('\n');
  table_print(t);
  table_destroy(t);
  print_rest(json_array_size(graphs), "bodies");
}

static void print_functions(const json_t *functions) {
  if (!json_array_size(functions)) return;
  table *t = table_create("function<|calls>|nodes>|operators<");
  for (size_t i = 0; i < json_array_size(functions) && i < MOST_ROWS; i++) {
    const json_t *f = json_array_get(functions, i);
    char *operators = operators_line(json_object_get(f, "operators"));
    const char *overload = json_string_value(json_object_get(f, "overload"));
    table_cell(t, "%s::%s%s%s", json_string_value(json_object_get(f, "domain")),
               json_string_value(json_object_get(f, "name")), overload ? ":" : "", overload ?: "");
    table_cell(t, "%.0f", number(f, "calls"));
    table_cell(t, "%.0f", number(f, "nodes"));
    table_cell(t, "%s", operators + (*operators == ' '));
    free(operators);
  }
  putchar('\n');
  table_print(t);
  table_destroy(t);
  print_rest(json_array_size(functions), "functions");
}

static void print_summary(const json_t *summary, const json_t *memory) {
  const json_t *meta = json_object_get(summary, "metadata");
  const char *key;
  json_t *field;
  char text[256];
  snprintf(text, sizeof text, "%s %s", json_string_value(json_object_get(meta, "producer_name")) ?: "unknown",
           json_string_value(json_object_get(meta, "producer_version")) ?: "");
  print_fact("producer", text);
  print_fact("graph", json_string_value(json_object_get(meta, "graph_name")));
  print_fact("description", json_string_value(json_object_get(meta, "description")));
  char *versions = xformat("IR %s", json_string_value(json_object_get(meta, "ir_version")) ?: "?");
  json_object_foreach((json_t *)meta, key, field) {
    if (strncmp(key, "opset:", 6)) continue;
    char *more = xformat("%s, %s %s", versions, key + 6, json_string_value(field));
    free(versions);
    versions = more;
  }
  print_fact("versions", versions);
  free(versions);
  size_t bodies = json_array_size(json_object_get(summary, "graphs")) - 1;
  snprintf(text, sizeof text, bodies ? "%.0f in the graph and its %zu bodies" : "%.0f", number(summary, "nodes"),
           bodies);
  print_fact("nodes", text);
  char bytes[32];
  snprintf(text, sizeof text, "%.0f tensors, %s", number(summary, "weights"),
           bytes_describe(number(summary, "weight_bytes"), bytes));
  print_fact("weights", text);
  print_number("file", number(summary, "file_bytes"));
  if (json_object_get(memory, "predicted_peak_bytes"))
    print_number("peak memory", number(memory, "predicted_peak_bytes"));
  json_object_foreach(json_object_get(summary, "custom_metadata"), key, field)
      print_fact(key, json_string_value(field));
  putchar('\n');
  print_io("input<|type<|shape<", json_object_get(summary, "inputs"));
  json_t *defaults = json_object_get(summary, "defaults");
  if (defaults) putchar('\n');
  if (defaults) print_io("input with a default<|type<|shape<", defaults);
  putchar('\n');
  print_io("output<|type<|shape<", json_object_get(summary, "outputs"));
  print_graphs(json_object_get(summary, "graphs"));
  print_functions(json_object_get(summary, "functions"));
  char *operators = operators_line(json_object_get(summary, "operators"));
  printf("\noperators: ");
  print_wrapped(operators, strlen(operators), 11, 2);
  free(operators);
}

// The plan's steps as flat rows.
static json_t *step_rows(const json_t *plan) {
  json_t *rows = json_array(), *step;
  size_t i;
  json_array_foreach(json_object_get(plan, "steps"), i, step) {
    const json_t *output = json_array_get(json_object_get(step, "outputs"), 0);
    char *shape = json_line(json_object_get(output, "shape"));
    for (char *c = shape; *c; c++)
      if (*c == ' ') *c = ',';
    char *type = xformat("%s[%s]", json_string_value(json_object_get(output, "dtype")) ?: "", shape);
    bool dynamic = json_is_true(json_object_get(step, "dynamic"));
    json_array_append_new(
        rows, json_pack("{s:I,s:O?,s:O?,s:O?,s:s,s:s,s:O?,s:O?,s:O?,s:O?}", "step", (json_int_t)i, "op",
                        json_object_get(step, "op"), "place", json_object_get(step, "place"), "kernel",
                        json_object_get(step, "kernel"), "when", dynamic ? "at run" : "planned", "result", type,
                        "layout", json_object_get(output, "layout"), "storage", json_object_get(output, "storage"),
                        "offset", json_object_get(output, "offset"), "bytes", json_object_get(output, "bytes")));
    free(shape);
    free(type);
  }
  return rows;
}

// Why steps did not go where they were offered to.
static void print_reasons(const json_t *plan) {
  const json_t *step;
  size_t i;
  json_array_foreach(json_object_get(plan, "steps"), i, step) {
    const char *reason = json_string_value(json_object_get(step, "reason"));
    if (reason)
      printf("step %zu (%s) runs on the host: %s\n", i, json_string_value(json_object_get(step, "op")), reason);
  }
}

// How many steps of each operator each kernel serves.
static json_t *kernel_rows(const json_t *plan) {
  json_t *counts = json_object(), *rows = json_array(), *step, *count;
  size_t i;
  const char *key;
  json_array_foreach(json_object_get(plan, "steps"), i, step) {
    char *pair = xformat("%s\n%s", json_string_value(json_object_get(step, "op")) ?: "",
                         json_string_value(json_object_get(step, "kernel")) ?: "");
    json_object_set_new(counts, pair, json_integer(json_integer_value(json_object_get(counts, pair)) + 1));
    free(pair);
  }
  json_object_foreach(counts, key, count) {
    const char *kernel = strchr(key, '\n');
    char *op = xformat("%.*s", (int)(kernel - key), key);
    json_array_append_new(rows, json_pack("{s:s,s:s,s:O}", "op", op, "kernel", kernel + 1, "steps", count));
    free(op);
  }
  json_decref(counts);
  return rows;
}

// ---- which nodes ------------------------------------------------------------------------------

static bool is_wanted(const args *a, const json_t *row, const char *name_key) {
  char pattern[256];
  const char *patterns = args_text(a, "only", NULL);
  if (!patterns) return true;
  for (size_t i = 0; args_list_item(patterns, i, pattern, sizeof pattern); i++)
    if (!fnmatch(pattern, json_string_value(json_object_get(row, "op")) ?: "", 0) ||
        !fnmatch(pattern, json_string_value(json_object_get(row, name_key)) ?: "", 0))
      return true;
  return false;
}

static void keep_wanted(const args *a, json_t *rows, const char *name_key) {
  for (size_t i = json_array_size(rows); i-- > 0;)
    if (!is_wanted(a, json_array_get(rows, i), name_key)) json_array_remove(rows, i);
}

static void print_nodes(const json_t *graphs) {
  json_t *rows = json_array(), *graph, *node;
  size_t g, i;
  json_array_foreach((json_t *)graphs, g, graph) {
    const char *holder = json_string_value(json_object_get(graph, "node"));
    char *place = holder ? xformat("%s %s", holder, json_string_value(json_object_get(graph, "attribute"))) : NULL;
    json_array_foreach(json_object_get(graph, "nodes"), i, node) {
      json_array_append_new(
          rows, json_pack("{s:O,s:O,s:s}", "node", json_object_get(node, "name"), "op", json_object_get(node, "op"),
                          "graph", place ?: json_string_value(json_object_get(graph, "name"))));
    }
    free(place);
  }
  json_table_print(rows, NULL);
  printf("%s%zu nodes match\n", json_array_size(rows) ? "\n" : "", json_array_size(rows));
  json_decref(rows);
}

// ---- one state of the graph ---------------------------------------------------------------------

// All that is asked for.
static json_t *gather(const args *a, const sdx_session *session) {
  bool plan = args_has(a, "plan"), kernels = args_has(a, "kernels"), only = args_has(a, "only");
  bool graph = args_has(a, "graph") || (only && !plan && !kernels);
  json_t *all = json_object();
  if (!graph && !plan && !kernels) {
    json_object_set_new(all, "summary", describe(session, "summary"));
    json_object_set_new(all, "memory", describe(session, "memory"));
  }
  if (graph) json_object_set_new(all, "graph", describe(session, "graph"));
  if (plan || kernels) json_object_set_new(all, "plan", describe(session, "plan"));
  if (only) {
    json_t *one, *shown = json_object_get(all, "graph");
    size_t i;
    json_object_del(shown, "text");
    json_array_foreach(json_object_get(shown, "graphs"), i, one) keep_wanted(a, json_object_get(one, "nodes"), "name");
    keep_wanted(a, json_object_get(json_object_get(all, "plan"), "steps"), "node");
  }
  if (kernels) json_object_set_new(all, "kernels", kernel_rows(json_object_get(all, "plan")));
  if (!plan && !json_object_get(json_object_get(all, "plan"), "error")) json_object_del(all, "plan");
  return all;
}

static void print_plan(const json_t *plan) {
  json_t *rows = step_rows(plan);
  json_table_print(rows, NULL);
  char slab[32], live[32];
  printf("\n%zu steps, %.0f threads, slab %s, alive at once %s\n", json_array_size(rows), number(plan, "threads"),
         bytes_describe(number(plan, "slab_bytes"), slab), bytes_describe(number(plan, "live_bytes"), live));
  print_reasons(plan);
  json_decref(rows);
}

static int plan_failure(const json_t *all) {
  const char *failure = json_string_value(json_object_get(json_object_get(all, "plan"), "error"));
  return failure ? cli_error(CLI_FAILED, "plan: %s", failure) : CLI_OK;
}

static void print_all(const args *a, const json_t *all) {
  const json_t *summary = json_object_get(all, "summary"), *graph = json_object_get(all, "graph"),
               *plan = json_object_get(all, "plan");
  const char *text = json_string_value(json_object_get(graph, "text"));
  if (summary) print_summary(summary, json_object_get(all, "memory"));
  if (text) graph_tree_print(json_object_get(graph, "graphs"));
  else if (graph) print_nodes(json_object_get(graph, "graphs"));
  if (json_object_get(plan, "error")) return;
  if (args_has(a, "plan")) print_plan(plan);
  if (args_has(a, "kernels")) json_table_print(json_object_get(all, "kernels"), NULL);
}

// ---- before and after passes --------------------------------------------------------------------

static void compare_operator(json_t *rows, const char *op, const json_t *before, const json_t *after) {
  json_int_t old = json_integer_value(json_object_get(before, op)),
             new = json_integer_value(json_object_get(after, op));
  if (old != new)
    json_array_append_new(
        rows, json_pack("{s:s,s:I,s:I,s:I}", "operator", op, "before", old, "after", new, "change", new - old));
}

// What the passes did, from two summaries.
static json_t *difference(const json_t *before, const json_t *after) {
  const json_t *old = json_object_get(before, "operators"), *new = json_object_get(after, "operators");
  json_t *rows = json_array(), *field, *all = json_object();
  const char *key;
  json_object_foreach((json_t *)old, key, field) compare_operator(rows, key, old, new);
  json_object_foreach((json_t *)new, key, field) {
    if (!json_object_get(old, key)) compare_operator(rows, key, old, new);
  }
  json_object_set_new(all, "operators", rows);
  static const char *const facts[] = {"nodes", "weights", "weight_bytes"};
  for (size_t i = 0; i < sizeof facts / sizeof *facts; i++)
    json_object_set_new(
        all, facts[i],
        json_pack("{s:O,s:O}", "before", json_object_get(before, facts[i]), "after", json_object_get(after, facts[i])));
  return all;
}

static void print_difference(const json_t *all) {
  const json_t *nodes = json_object_get(all, "nodes"), *bytes = json_object_get(all, "weight_bytes");
  char old[32], new[32];
  json_table_print(json_object_get(all, "operators"), NULL);
  printf("%snodes %.0f -> %.0f, weights %s -> %s\n", json_array_size(json_object_get(all, "operators")) ? "\n" : "",
         number(nodes, "before"), number(nodes, "after"), bytes_describe(number(bytes, "before"), old),
         bytes_describe(number(bytes, "after"), new));
}

// One session at a time, so that a large model fits.
static int load_and_gather(const args *a, bool optimised, json_t **all, json_t **summary) {
  int code;
  sdx_session *session =
      optimised ? engine_load(a, a->words[0], &code) : engine_load_unoptimised(a, a->words[0], &code);
  if (!session) return code;
  *all = gather(a, session);
  *summary = describe(session, "summary");
  sdx_session_destroy(session);
  return plan_failure(*all);
}

static int inspect_both(const args *a) {
  json_t *before = NULL, *after = NULL, *old = NULL, *new = NULL;
  int code = load_and_gather(a, true, &after, &new);
  if (after) code = load_and_gather(a, false, &before, &old) ?: code;
  if (before) {
    json_t *what = difference(old, new);
    if (args_has(a, "json")) {
      json_print(json_pack("{s:O,s:O,s:O}", "before", before, "after", after, "difference", what));
    } else {
      printf("%sbefore passes%s\n\n", ink_on(stdout, INK_BOLD), ink_off(stdout));
      print_all(a, before);
      printf("\n%safter passes%s\n\n", ink_on(stdout, INK_BOLD), ink_off(stdout));
      print_all(a, after);
      printf("\n%swhat differs%s\n\n", ink_on(stdout, INK_BOLD), ink_off(stdout));
      print_difference(what);
    }
    json_decref(what);
  }
  json_decref(before);
  json_decref(after);
  json_decref(old);
  json_decref(new);
  return code;
}

static int inspect_one(const args *a, bool optimised) {
  json_t *all = NULL, *summary = NULL;
  int code = load_and_gather(a, optimised, &all, &summary);
  json_decref(summary);
  if (!all) return code;
  if (!args_has(a, "json")) print_all(a, all);
  else json_print(json_incref(all));
  json_decref(all);
  return code;
}

static int run(const args *a) {
  const char *when = args_text(a, "passes", NULL);
  int code;
  bool graph = when || args_has(a, "graph") || args_has(a, "plan") || args_has(a, "kernels") || args_has(a, "only");
  if (!graph && weights_show(a->words[0], args_has(a, "json"), &code)) return code;
  if (!when) when = "after";
  if (!strcmp(when, "both")) return inspect_both(a);
  if (!strcmp(when, "after") || !strcmp(when, "before")) return inspect_one(a, !strcmp(when, "after"));
  return cli_error(CLI_USAGE, "--passes: '%s' is none of before, after, both", when);
}

CLI_COMMAND(inspect) = {
    "inspect",
    "Show what a model takes, gives and needs",
    "MODEL [--passes before|after|both] [--graph] [--plan] [--kernels] [--only PATTERN] [--json]",
    "Free dimensions count as 1 for plan and peak memory; fix them with --dim batch=8. Of files of weights (GGUF,\n"
    "safetensors) metadata and weights are listed; --graph, --plan, --kernels and --passes are about what they "
    "become.\n"
    "\n"
    "Examples:\n"
    "  sardonyx inspect model.onnx\n"
    "  sardonyx inspect model.onnx --passes both\n"
    "  sardonyx inspect model.onnx --passes before --only 'Conv*,Gemm'\n"
    "  sardonyx inspect model.onnx --plan --dim batch=8\n"
    "  sardonyx inspect model.onnx --plan --provider ./device.so\n"
    "  sardonyx inspect model.gguf\n"
    "  sardonyx inspect model.onnx --json\n",
    options,
    1,
    1,
    run,
};
