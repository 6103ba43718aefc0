// SPDX-License-Identifier: Apache-2.0
// `sardonyx merge`: two models as one, the results of the first fed to the second.
#include <stdlib.h>
#include <string.h>

#include "cli/edit.h"
#include "cli/locate.h"

static const cli_option options[] = {
    OPTION("connect", ARG_TEXT, "OUT=IN", "an output of the first model feeds an input of the second; again for more"),
    OPTION("prefix", ARG_TEXT, "TEXT", "in front of all names of the second model (default: none)"),
    OPTION_FLAG("keep-outputs", "outputs that are connected stay outputs, too"),
    EDIT_OPTIONS,
    {0},
};

static bool types_agree(const sdx_io *a, const sdx_io *b) {
  if (a->dtype != b->dtype) return false;
  if (!a->has_shape || !b->has_shape) return true;
  if (a->rank != b->rank) return false;
  for (size_t i = 0; i < a->rank; i++)
    if (a->shape[i] >= 0 && b->shape[i] >= 0 && a->shape[i] != b->shape[i]) return false;
  return true;
}

// The ends of the first model are the first ones of each list; names are those that the models have by themselves.
typedef struct ends {
  size_t inputs, outputs;
  char **output_names;  // of the first
  char **names;         // of the inputs of the second
  size_t name_count;
} ends;

// The number of a name; -1 after printing.
static int64_t find_end(char **names, size_t count, const char *text, const char *name, const char *what) {
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(name));
  for (size_t i = 0; i < count; i++) {
    if (!strcmp(names[i], name)) return (int64_t)i;
    str_nearest_offer(&nearest, str_from(names[i]));
  }
  cli_error(CLI_FAILED, "--connect %s: '%s' is no %s", text, name, what);
  if (nearest.best.at) cli_hint("did you mean '%.*s'?", STR_ARG(nearest.best));
  return -1;
}

static char **list_names(sdx_graph *g, sdx_ref (*at)(sdx_graph *, size_t), size_t count) {
  char **names = xmalloc((count + 1) * sizeof *names);
  for (size_t i = 0; i < count; i++) names[i] = xstrdup(sdx_graph_name(g, at(g, i)));
  return names;
}

static void free_names(char **names, size_t count) {
  for (size_t i = 0; i < count; i++) free(names[i]);
  free(names);
}

static int connect(edit *e, const ends *first, size_t *connected, const char *text) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  const char *to;
  char *from = edit_split(text, &to);
  if (!from) return cli_error(CLI_USAGE, "--connect %s: expected OUT=IN", text);
  int64_t out = find_end(first->output_names, first->outputs, text, from, "output of the first model");
  int64_t in = out < 0 ? -1 : find_end(first->names, first->name_count, text, to, "input of the second model");
  int code = in < 0 ? CLI_FAILED : CLI_OK;
  if (!code && connected[in]) code = cli_error(CLI_FAILED, "--connect %s: the input is connected already", text);
  if (!code) {
    sdx_ref source = sdx_graph_output(g, (size_t)out), target = sdx_graph_input(g, first->inputs + (size_t)in);
    sdx_io a = sdx_graph_describe(g, source), b = sdx_graph_describe(g, target);
    if (!types_agree(&a, &b))
      code = cli_error(CLI_FAILED, "--connect %s: element types or shapes of the two differ", text);
    else sdx_graph_replace(g, target, source, 0);
    connected[in] = (size_t)out + 1;
  }
  free(from);
  return code;
}

static void drop_connected(edit *e, const ends *first, const size_t *connected) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  for (size_t in = first->name_count; in-- > 0;)
    if (connected[in]) sdx_graph_remove_input(g, sdx_graph_input(g, first->inputs + in));
  for (size_t out = first->outputs; out-- > 0 && !args_has(e->a, "keep-outputs");) {
    bool used = false;
    for (size_t in = 0; in < first->name_count; in++) used |= connected[in] == out + 1;
    if (used) sdx_graph_remove_output(g, out);
  }
}

static int join(edit *e, sdx_builder *second) {
  sdx_graph *g = sdx_builder_graph(e->builder), *other = sdx_builder_graph(second);
  ends first = {.inputs = sdx_graph_input_count(g), .outputs = sdx_graph_output_count(g)};
  first.name_count = sdx_graph_input_count(other);
  first.output_names = list_names(g, sdx_graph_output, first.outputs);
  first.names = list_names(other, sdx_graph_input, first.name_count);
  size_t *connected = xmalloc((first.name_count + 1) * sizeof *connected);
  memset(connected, 0, (first.name_count + 1) * sizeof *connected);
  int code = sdx_builder_append(e->builder, second, args_text(e->a, "prefix", "")) ? edit_failed(e) : CLI_OK;
  const char *text;
  for (size_t at = 0; !code && (text = args_each(e->a, "connect", &at));) code = connect(e, &first, connected, text);
  if (!code) drop_connected(e, &first, connected);
  if (!code && sdx_builder_infer(e->builder)) code = edit_failed(e);
  free_names(first.output_names, first.outputs);
  free_names(first.names, first.name_count);
  free(connected);
  return code;
}

// Both models in one version of ONNX: the newer of the two, or a newer one in which both can be said.
static int same_opset(edit *e, sdx_builder *second) {
  for (int turn = 0; turn < 2; turn++) {
    int64_t a = sdx_builder_opset(e->builder, ""), b = sdx_builder_opset(second, "");
    if (a < b && sdx_builder_raise(e->builder, turn ? b : 0)) return edit_failed(e);
    a = sdx_builder_opset(e->builder, "");
    if (b < a && sdx_builder_raise(second, a)) return cli_error(CLI_FAILED, "%s", sdx_builder_error(second));
  }
  return CLI_OK;
}

static int merge(edit *e) {
  sdx_builder *second = NULL;
  char *name, *path = model_locate(e->a->words[1], &name);
  if (!path) return CLI_FAILED;
  int code = CLI_OK;
  if (sdx_builder_open(path, NULL, &second))
    code = cli_error(CLI_FAILED, "%s: %s", path, second ? sdx_builder_error(second) : "memory is exhausted");
  if (!code && sdx_builder_opset(e->builder, "") != sdx_builder_opset(second, "")) code = same_opset(e, second);
  if (code) sdx_builder_destroy(second);
  else code = join(e, second);
  free(path);
  free(name);
  return code;
}

static int run(const args *a) { return edit_run(a, "merge", merge); }

CLI_COMMAND(merge) = {
    "merge",
    "Make one model of two",
    "FIRST SECOND [--connect OUT=IN ...] [--prefix TEXT] [-o FILE]",
    "What is not connected stays an input or an output of the whole. Names of the second model that the first has "
    "taken\n"
    "get a number. Where the opsets differ, the older model is brought to the newer one.\n\n"
    "Examples:\n"
    "  sardonyx merge tokens.onnx model.onnx --connect ids=input_ids --connect mask=attention_mask -o all.onnx\n"
    "  sardonyx merge a.onnx b.onnx --prefix b/ -o both.onnx          # side by side\n",
    options,
    2,
    2,
    run,
};
