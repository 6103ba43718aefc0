// SPDX-License-Identifier: Apache-2.0
// A model to be looked at: nodes in the versions of the file, calls of local functions as calls, what nobody could run
// included. Types come from a second graph, which is brought to newest form and has its functions expanded; the two are
// matched by names. What cannot be worked out is a warning.
#include "passes/passes.h"
#include "run/session.h"

static void note(void *context, bool warning, const error *problem) {
  (void)warning;
  text *notes = context;
  text_put(notes, problem->message);
  text_put(notes, "\n");
}

// Takes types over where names are the same; bodies are those of the node that makes the same value. Recursion is as
// deep as graphs are nested, which the import bounds.
static void learn(graph *shown, const graph *typed) {
  for (value_id v = 1; v < shown->value_count; v++) {
    value_id same = shown->values[v].name.size ? graph_find(typed, shown->values[v].name) : 0;
    shown->values[v].type = same ? typed->values[same].type : (type_info){.rank = -1};
    shown->values[v].declared = same ? typed->values[same].declared : (type_info){.rank = -1};
  }
  shown->symbols = typed->symbols, shown->symbol_count = typed->symbol_count;
  shown->symbol_capacity = typed->symbol_capacity, shown->symbol_names = typed->symbol_names;
  for (uint32_t i = 0; i < shown->node_count; i++) {
    const node *n = shown->nodes[i];
    value_id made = n->output_count && n->outputs[0] ? graph_find(typed, shown->values[n->outputs[0]].name) : 0;
    uint32_t producer = made ? typed->values[made].producer : 0;
    for (uint32_t k = 0; producer && k < n->attr_count; k++) {
      graph *const *bodies, *const *others;
      const attr *same = node_attr(typed->nodes[producer - 1], str_to_c(shown->memory, n->attrs[k].name) ?: "");
      size_t count = attr_graphs(&n->attrs[k], &bodies), known = same ? attr_graphs(same, &others) : 0;
      for (size_t b = 0; b < count && b < known; b++) learn(bodies[b], others[b]);
    }
  }
}

static sdx_status infer(sdx_session *s, import_options import, const problem_sink *sink, text *notes) {
  graph *g;
  error err = {0};
  arena scratch;
  if (s->model->function_count) {
    import.keep_calls = false;
    if (onnx_import(s->bytes, s->size, &import, sink, &s->origin_model, &err) != SDX_OK) return err.status;
    g = s->origin_model->graph;
  } else if (!(g = graph_clone(&s->model->memory, s->main))) {
    return SDX_NO_MEMORY;
  }
  sdx_status status = custom_bind(s);
  if (status == SDX_OK)
    status = ops_bind_graph(g, s->model->opsets, s->model->opset_count, &s->custom, sink, notes, &err);
  arena_init(&scratch, &s->account);
  if (status != SDX_NO_MEMORY) status = passes_infer(g, &scratch, sink, notes, false, &err);
  arena_deinit(&scratch);
  if (status != SDX_NO_MEMORY) learn(s->main, g);
  return status;
}

sdx_status session_read(sdx_session *s) {
  text notes = {.account = &s->account};
  problem_sink sink = {note, &notes};
  SDX_TRY(session_fetch(s));
  import_options import = session_import_options(s);
  import.spent = NULL, import.keep_calls = true;
  sdx_status status = onnx_import(s->bytes, s->size, &import, &sink, &s->model, &s->err);
  if (status == SDX_OK) {
    error_clear(&s->err);
    s->main = s->model->graph;
    if (infer(s, import, &sink, &notes) == SDX_NO_MEMORY) status = error_no_memory(&s->err, s->size);
  }
  if (s->model) text_append(&s->model->warnings, notes.at ?: "", notes.size);
  text_deinit(&notes);
  return status == SDX_OK ? session_describe_model(s) : status;
}
