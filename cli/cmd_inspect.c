// SPDX-License-Identifier: Apache-2.0
// `sardonyx inspect`: what a model is, takes, gives, and will need, from the engine's own description.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/json_table.h"
#include "cli/table.h"

static const cli_option options[] = {
    OPTION_FLAG("graph", "the graph as text, after the passes"),
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
    char *more = xformat("%s, %s %s", versions, key[6] ? key + 6 : "ai.onnx", json_string_value(field));
    free(versions);
    versions = more;
  }
  print_fact("versions", versions);
  free(versions);
  snprintf(text, sizeof text, "%.0f after passes", number(summary, "nodes"));
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
  putchar('\n');
  print_io("output<|type<|shape<", json_object_get(summary, "outputs"));
  printf("\noperators: ");
  bool first = true;
  json_object_foreach(json_object_get(summary, "operators"), key, field) {
    long long count = json_integer_value(field);
    if (count > 1) printf("%s%s×%lld", first ? "" : " ", key, count);
    else printf("%s%s", first ? "" : " ", key);
    first = false;
  }
  putchar('\n');
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

static int inspect(const args *a, const sdx_session *session) {
  bool graph = args_has(a, "graph"), plan = args_has(a, "plan"), kernels = args_has(a, "kernels");
  json_t *all = json_object();
  if (!graph && !plan && !kernels) {
    json_object_set_new(all, "summary", describe(session, "summary"));
    json_object_set_new(all, "memory", describe(session, "memory"));
  }
  if (graph) json_object_set_new(all, "graph", describe(session, "graph"));
  if (plan || kernels) json_object_set_new(all, "plan", describe(session, "plan"));
  const json_t *steps = json_object_get(all, "plan");
  const char *failure = json_string_value(json_object_get(steps, "error"));
  int code = failure ? cli_error(CLI_FAILED, "plan: %s", failure) : CLI_OK;
  if (kernels) json_object_set_new(all, "kernels", kernel_rows(steps));
  if (kernels && !plan) json_object_del(all, "plan");
  if (args_has(a, "json")) {
    json_print(all);  // takes the reference
    return code;
  }
  if (json_object_get(all, "summary")) print_summary(json_object_get(all, "summary"), json_object_get(all, "memory"));
  const char *text = json_string_value(json_object_get(json_object_get(all, "graph"), "text"));
  if (text) fputs(text, stdout);
  if (plan && !code) {
    json_t *rows = step_rows(json_object_get(all, "plan"));
    json_table_print(rows, NULL);
    char slab[32], live[32];
    printf("\n%zu steps, %.0f threads, slab %s, alive at once %s\n", json_array_size(rows),
           number(json_object_get(all, "plan"), "threads"),
           bytes_describe(number(json_object_get(all, "plan"), "slab_bytes"), slab),
           bytes_describe(number(json_object_get(all, "plan"), "live_bytes"), live));
    print_reasons(json_object_get(all, "plan"));
    json_decref(rows);
  }
  if (kernels && !code) json_table_print(json_object_get(all, "kernels"), NULL);
  json_decref(all);
  return code;
}

static int run(const args *a) {
  int code;
  sdx_session *session = engine_load(a, a->words[0], &code);
  if (!session) return code;
  code = inspect(a, session);
  sdx_session_destroy(session);
  return code;
}

CLI_COMMAND(inspect) = {
    "inspect",
    "Show what a model takes, gives and needs",
    "MODEL [--graph] [--plan] [--kernels] [--json]",
    "Free dimensions count as 1 for plan and peak memory; fix them with --dim batch=8.\n\n"
    "Examples:\n"
    "  sardonyx inspect model.onnx\n"
    "  sardonyx inspect model.onnx --plan --dim batch=8\n"
    "  sardonyx inspect model.onnx --plan --provider ./device.so\n"
    "  sardonyx inspect model.onnx --json\n",
    options,
    1,
    1,
    run,
};
