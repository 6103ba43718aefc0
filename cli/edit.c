// SPDX-License-Identifier: Apache-2.0
// The frame of the commands that change ONNX models (edit.h).
#include "cli/edit.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "cli/engine.h"
#include "cli/files.h"
#include "cli/locate.h"
#include "cli/table.h"

int edit_failed(const edit *e) { return cli_error(CLI_FAILED, "%s: %s", e->command, sdx_builder_error(e->builder)); }

char *edit_split(const char *text, const char **value) {
  const char *equals = strchr(text, '=');
  if (!equals) return NULL;
  *value = equals + 1;
  return xformat("%.*s", (int)(equals - text), text);
}

sdx_ref edit_find(const edit *e, const char *option, const char *name) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  sdx_ref ref = sdx_graph_find(g, name);
  if (ref) return ref;
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(name));
  for (size_t i = 1; i <= sdx_graph_value_count(g); i++)
    if ((ref = sdx_graph_value(g, i))) str_nearest_offer(&nearest, str_from(sdx_graph_name(g, ref)));
  cli_error(CLI_FAILED, "--%s %s: the graph has no value of that name", option, name);
  if (nearest.best.at) cli_hint("did you mean '%.*s'?", STR_ARG(nearest.best));
  else cli_hint("'sardonyx inspect --graph' lists them");
  return 0;
}

void edit_name_nodes(edit *e) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  for (size_t i = 0; i < sdx_graph_node_count(g); i++)
    if (*sdx_graph_node_op(g, i) && !*sdx_graph_node_name(g, i))
      sdx_graph_node_rename(g, i, sdx_graph_name(g, sdx_graph_node_output(g, i, 0)));
}

// ---- options of all ---------------------------------------------------------------------------------

enum { MOST_DIMS = 64 };

// "1,3,?,height": numbers, free dimensions by name, "?" for those without. The names lie in `text`.
static bool parse_shape(char *text, int64_t *shape, const char **symbols, size_t *rank) {
  *rank = 0;
  for (char *at = text, *end; *at && *rank < MOST_DIMS; at = end) {
    end = strchrnul(at, ',');
    if (*end) *end++ = 0;
    symbols[*rank] = NULL;
    if (!args_parse_int(at, &shape[*rank])) {
      if (!*at || (*at >= '0' && *at <= '9')) return false;
      if (strcmp(at, "?") != 0) symbols[*rank] = at;
      shape[*rank] = -1;
    } else if (shape[*rank] < 0) {
      return false;
    }
    ++*rank;
  }
  return true;
}

static int set_shape(const edit *e, const char *text) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  const char *value, *symbols[MOST_DIMS];
  int64_t shape[MOST_DIMS];
  size_t rank = 0;
  char *name = edit_split(text, &value), *list = name ? xstrdup(value) : NULL;
  int code = CLI_OK;
  if (!name || !parse_shape(list, shape, symbols, &rank))
    code = cli_error(CLI_USAGE, "--set-shape %s: expected NAME=N,.. of numbers, names of free dimensions, or ?", text);
  sdx_ref ref = code ? 0 : edit_find(e, "set-shape", name);
  if (!code && !ref) code = CLI_FAILED;
  bool is_input = false;
  for (size_t i = 0; i < sdx_graph_input_count(g); i++) is_input |= ref == sdx_graph_input(g, i);
  if (!code && !is_input) code = cli_error(CLI_FAILED, "--set-shape %s: '%s' is no input", text, name);
  if (!code) {
    sdx_io io = sdx_graph_describe(g, ref);
    io.has_shape = true, io.rank = rank, io.shape = shape, io.symbols = symbols;
    sdx_graph_declare(g, ref, &io);
  }
  free(name);
  free(list);
  return code;
}

// Gives every free dimension of that name the size; true if there was one. `nearest` is offered the names.
static bool fix_dim(sdx_graph *g, const char *name, int64_t size, str_nearest *nearest) {
  bool found = false;
  for (size_t i = 0; i < sdx_graph_input_count(g); i++) {
    sdx_ref ref = sdx_graph_input(g, i);
    sdx_io io = sdx_graph_describe(g, ref);
    int64_t shape[MOST_DIMS];
    bool here = false;
    for (size_t k = 0; k < io.rank; k++) {
      const char *symbol = io.symbols[k] ? io.symbols[k] : "";
      str_nearest_offer(nearest, str_from(symbol));
      bool is = !strcmp(symbol, name);
      shape[k] = is ? size : io.shape[k];
      here |= is;
    }
    io.shape = shape;
    if (here) sdx_graph_declare(g, ref, &io);
    found |= here;
  }
  return found;
}

static int set_dim(const edit *e, const char *text) {
  const char *value;
  int64_t size;
  char *name = edit_split(text, &value);
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(name));
  int code = CLI_OK;
  if (!name || !args_parse_int(value, &size) || size < 0)
    code = cli_error(CLI_USAGE, "--dim %s: expected NAME=NUMBER, e.g. --dim batch=1", text);
  else if (!fix_dim(sdx_builder_graph(e->builder), name, size, &nearest)) {
    code = cli_error(CLI_FAILED, "--dim %s: no input has a free dimension of that name", text);
    if (nearest.best.at) cli_hint("did you mean '%.*s'?", STR_ARG(nearest.best));
  }
  free(name);
  return code;
}

static int rename_value(const edit *e, const char *text) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  const char *value;
  char *name = edit_split(text, &value);
  if (!name || !*value) {
    free(name);
    return cli_error(CLI_USAGE, "--rename %s: expected OLD=NEW", text);
  }
  sdx_ref ref = edit_find(e, "rename", name);
  int code = ref ? CLI_OK : CLI_FAILED;
  if (ref) sdx_graph_rename(g, ref, value);
  if (ref && strcmp(sdx_graph_name(g, ref), value) != 0)
    code = cli_error(CLI_FAILED, "--rename %s: the name '%s' is taken", text, value);
  free(name);
  return code;
}

static int each(const edit *e, const char *option, int (*apply)(const edit *e, const char *text)) {
  const char *text;
  for (size_t at = 0; (text = args_each(e->a, option, &at));) {
    int code = apply(e, text);
    if (code) return code;
  }
  return CLI_OK;
}

// Sizes that were changed show in the types of all values, and whether the model allows them.
static int apply_shapes(const edit *e) {
  int code = each(e, "set-shape", set_shape);
  if (!code) code = each(e, "dim", set_dim);
  if (!code && (args_has(e->a, "set-shape") || args_has(e->a, "dim")) && sdx_builder_infer(e->builder))
    code = edit_failed(e);
  return code;
}

// ---- what is told -----------------------------------------------------------------------------------

static json_t *summary(const edit *e) { return engine_json(sdx_builder_summary(e->builder), e->command); }

static json_int_t number(const json_t *object, const char *key) {
  return json_integer_value(json_object_get(object, key));
}

static void print_row(table *t, const char *name, json_int_t before, json_int_t after, bool bytes) {
  char a[32], b[32];
  table_cell(t, "%s", name);
  table_cell(t, "%s",
             bytes ? bytes_describe((double)before, a) : (snprintf(a, sizeof a, "%lld", (long long)before), a));
  table_cell(t, "%s", bytes ? bytes_describe((double)after, b) : (snprintf(b, sizeof b, "%lld", (long long)after), b));
}

static void print_changes(const json_t *before, const json_t *after) {
  table *t = table_create("<|before>|after>");
  const json_t *old = json_object_get(before, "operators"), *new = json_object_get(after, "operators");
  const char *op;
  json_t *count;
  print_row(t, "nodes", number(before, "nodes"), number(after, "nodes"), false);
  print_row(t, "weights", number(before, "weight_bytes"), number(after, "weight_bytes"), true);
  print_row(t, "opset", number(before, "opset"), number(after, "opset"), false);
  json_object_foreach((json_t *)old, op, count) {
    if (json_integer_value(count) != number(new, op))
      print_row(t, op, json_integer_value(count), number(new, op), false);
  }
  json_object_foreach((json_t *)new, op, count) {
    if (!json_object_get(old, op)) print_row(t, op, 0, json_integer_value(count), false);
  }
  table_print(t);
  table_destroy(t);
}

static void print_details(const json_t *details) {
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)details, key, value) {
    if (json_is_string(value)) printf("%s: %s\n", key, json_string_value(value));
  }
}

static int report(const edit *e, const char *path, const char *target, json_t *before) {
  json_t *after = summary(e);
  struct stat st;
  if (!after || stat(target, &st)) {
    json_decref(after);
    return cli_error(CLI_FAILED, "%s cannot be examined", target);
  }
  if (args_has(e->a, "json")) {
    json_print(json_pack("{s:s,s:s,s:I,s:O,s:O,s:O}", "source", path, "output", target, "bytes", (json_int_t)st.st_size,
                         "before", before, "after", after, "details", e->details));
  } else {
    printf("%s to %s\n", path, target);
    print_changes(before, after);
    print_details(e->details);
  }
  json_decref(after);
  return CLI_OK;
}

// ---- the frame --------------------------------------------------------------------------------------

typedef struct job {
  edit *e;
  edit_step step;
  bool tell;
} job;

int edit_reopen(edit *e) {
  int code;
  sdx_options *options = engine_options(e->a, &code);
  if (!options) return code;
  sdx_builder_destroy(e->builder);
  sdx_status status = sdx_builder_open(e->path, options, &e->builder);
  sdx_options_destroy(options);
  if (!status) return apply_shapes(e);
  return cli_error(CLI_FAILED, "%s: %s", e->path, e->builder ? sdx_builder_error(e->builder) : "memory is exhausted");
}

static int change(void *context, const char *target) {
  const job *j = context;
  edit *e = j->e;
  int code = edit_reopen(e);
  json_t *before = code ? NULL : summary(e);
  if (!code && !before) code = CLI_FAILED;
  if (!code) code = j->step(e);
  if (!code) code = each(e, "rename", rename_value);
  if (!code && sdx_builder_save(e->builder, target)) code = edit_failed(e);
  if (!code && j->tell) code = report(e, e->path, target, before);
  json_decref(before);
  return code;
}

static char *default_target(const char *path, const char *command) {
  size_t length = strlen(path);
  if (path_has_suffix(path, ".onnx")) length -= strlen(".onnx");
  return xformat("%.*s.%s.onnx", (int)length, path, command);
}

int edit_run(const args *a, const char *command, edit_step step) {
  why w;
  const char *word = a->words[0], *output = args_text(a, "output", is_standard_stream(word) ? "-" : "");
  bool to_stdout = is_standard_stream(output);
  if (to_stdout && args_has(a, "json"))
    return cli_error(CLI_USAGE, "%s: standard output takes the model or the report; give -o FILE or leave --json",
                     command);
  if (to_stdout && !output_possible(output, true, &w)) return cli_error(CLI_FAILED, "%s", w.text);
  char *name, *path = model_locate(word, &name);
  if (!path) return CLI_FAILED;
  char *target = *output ? xstrdup(output) : default_target(path, command);
  bool streams = output_is_stream(target);
  edit e = {.a = a, .command = command, .path = path, .details = json_object()};
  job j = {&e, step, !streams};
  int code = streams ? output_by_file(target, "model.onnx", change, &j) : change(&j, target);
  sdx_builder_destroy(e.builder);
  json_decref(e.details);
  free(target);
  free(path);
  free(name);
  return code;
}
