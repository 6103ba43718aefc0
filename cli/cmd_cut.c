// SPDX-License-Identifier: Apache-2.0
// `sardonyx cut`: a part of a model as a model of its own.
#include <stdlib.h>
#include <string.h>

#include "cli/edit.h"

static const cli_option options[] = {
    OPTION("from", ARG_TEXT, "A,..", "values that become the inputs (default: the model's own)"),
    OPTION("to", ARG_TEXT, "B,..", "values that become the outputs (default: the model's own)"),
    EDIT_OPTIONS,
    {0},
};

enum { MOST_NAME = 4096 };

static int cut_inputs(edit *e) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  char name[MOST_NAME];
  for (size_t i = 0; args_list_item(args_text(e->a, "from", ""), i, name, sizeof name); i++) {
    sdx_ref ref = edit_find(e, "from", name);
    if (!ref) return CLI_FAILED;
    if (sdx_graph_describe(g, ref).dtype == SDX_UNDEFINED)
      return cli_error(CLI_FAILED, "--from %s: its type is not known, so it cannot become an input", name);
    sdx_graph_make_input(g, ref);
  }
  return CLI_OK;
}

static int cut_outputs(edit *e) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  char name[MOST_NAME];
  if (!args_has(e->a, "to")) return CLI_OK;
  sdx_graph_clear_outputs(g);
  for (size_t i = 0; args_list_item(args_text(e->a, "to", ""), i, name, sizeof name); i++) {
    sdx_ref ref = edit_find(e, "to", name);
    if (!ref) return CLI_FAILED;
    sdx_io io = sdx_graph_describe(g, ref);
    if (io.dtype == SDX_UNDEFINED)
      return cli_error(CLI_FAILED, "--to %s: its type is not known, so it cannot become an output", name);
    sdx_graph_add_output(g, ref, &io);
  }
  return CLI_OK;
}

// Inputs that nothing reads any more are no inputs of the part.
static void drop_idle_inputs(edit *e) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  for (size_t i = sdx_graph_input_count(g); i-- > 0;) {
    sdx_ref ref = sdx_graph_input(g, i);
    if (!sdx_graph_is_read(g, ref)) sdx_graph_remove_input(g, ref);
  }
}

static int cut(edit *e) {
  if (sdx_builder_infer(e->builder)) return edit_failed(e);
  int code = cut_inputs(e);
  if (!code) code = cut_outputs(e);
  if (!code && sdx_builder_sweep(e->builder)) code = edit_failed(e);
  if (!code) drop_idle_inputs(e);
  return code;
}

static int run(const args *a) {
  if (!args_has(a, "from") && !args_has(a, "to"))
    return cli_error(CLI_USAGE, "cut: give --from A,.. or --to B,.. or both");
  return edit_run(a, "cut", cut);
}

CLI_COMMAND(cut) = {
    "cut",
    "Make a model of a part of another",
    "MODEL [--from A,..] [--to B,..] [-o FILE]",
    "Keeps what leads from the values A to the values B, which 'sardonyx inspect --graph' names. Inputs of the model\n"
    "that this part still needs stay inputs; those that it does not read go.\n\n"
    "Examples:\n"
    "  sardonyx cut resnet50.onnx --to pooled -o features.onnx\n"
    "  sardonyx cut detector.onnx --from features --to boxes,scores -o head.onnx\n",
    options,
    1,
    1,
    run,
};
