// SPDX-License-Identifier: Apache-2.0
// Runs that feed defaults. An initializer that the model lists as an input is a constant to every other run: folded,
// fused and packed. The first run that feeds it makes a variant, a copy of the graph as it was imported in which that
// one is an input, prepared as the main graph was; what stays constant is shared. Each set of defaults that is fed
// together has a variant of its own, until there are many: then one has all defaults as inputs. Read next: run.c.
#include "base/host.h"
#include "run/session.h"

enum { VARIANTS_MOST = 8 };  // for sets of their own

// Whether it is made for these; `given` NULL: for all defaults.
static bool is_for(const sdx_session *s, const variant *v, const value *const *given) {
  uint32_t k = 0;
  for (uint32_t i = 0; i < s->default_count; i++) {
    if (given && !given[i]) continue;
    if (k == v->fed_count || v->fed[k] != i) return false;
    k++;
  }
  return k == v->fed_count;
}

static const variant *find(sdx_session *s, const value *const *given) {
  pthread_mutex_lock(&s->lock);
  const variant *v = s->variants;
  while (v && !is_for(s, v, given)) v = v->next;
  pthread_mutex_unlock(&s->lock);
  return v;
}

// The chosen defaults become inputs behind the others.
static sdx_status open_inputs(graph *g, const uint32_t *fed, uint32_t count, error *err) {
  value_id *inputs = arena_array(g->memory, (size_t)g->input_count + count, sizeof *inputs);
  if (!inputs) return error_no_memory(err, ((size_t)g->input_count + count) * sizeof *inputs);
  if (g->input_count) memcpy(inputs, g->inputs, g->input_count * sizeof *inputs);
  for (uint32_t k = 0; k < count; k++) {
    graph_value *v = &g->values[g->defaults[fed[k]]];
    v->constant = NULL;
    v->type = v->declared;
    inputs[g->input_count + k] = g->defaults[fed[k]];
  }
  g->inputs = inputs;
  g->input_count += count;
  g->default_count = 0;
  return SDX_OK;
}

static sdx_status list_fed(const sdx_session *s, const value *const *given, variant *v, error *err) {
  uint32_t *fed = arena_array(&v->memory, s->default_count, sizeof *fed);
  if (!fed) return error_no_memory(err, s->default_count * sizeof *fed);
  for (uint32_t i = 0; i < s->default_count; i++)
    if (!given || given[i]) fed[v->fed_count++] = i;
  v->fed = fed;
  return SDX_OK;
}

static sdx_status prepare(sdx_session *s, const value *const *given, variant *v, error *err) {
  text warnings = {.account = &s->account};  // those of the load said it
  SDX_TRY(weights_keep(&s->weights, err));   // passes read constants, whoever has packed them
  SDX_TRY(list_fed(s, given, v, err));
  v->graph = graph_clone(&v->memory, s->origin);
  if (!v->graph) return error_no_memory(err, s->origin->value_count * sizeof(graph_value));
  SDX_TRY(open_inputs(v->graph, v->fed, v->fed_count, err));
  s->load_deadline_ns = clock_deadline_ns((uint64_t)s->options->load_timeout_ms);
  sdx_status status = session_bind_graph(s, v->graph, true, &warnings, err);
  text_deinit(&warnings);
  if (status == SDX_OK) status = session_describe_outputs(s, v->graph, &v->memory, &v->outputs, err);
  return status == SDX_OK ? session_optimise(s, v->graph, err) : status;
}

static void destroy(variant *v) {
  arena_deinit(&v->memory);
  mem_free(v);
}

static sdx_status make(sdx_session *s, const value *const *given, const variant **out, error *err) {
  variant *v = mem_zalloc(&s->account, sizeof *v);
  if (!v) return error_no_memory(err, sizeof *v);
  arena_init(&v->memory, &s->account);
  sdx_status status = prepare(s, given, v, err);
  if (status != SDX_OK) {
    error_set(err, status, "%s", status_text(status));
    destroy(v);
    return status;
  }
  pthread_mutex_lock(&s->lock);
  v->next = s->variants;
  s->variants = v;
  s->variant_count++;
  pthread_mutex_unlock(&s->lock);
  *out = v;
  return SDX_OK;
}

sdx_status session_variant(sdx_session *s, const value *const *given, const variant **out, error *err) {
  sdx_status status = SDX_OK;
  *out = find(s, given);
  if (*out) return SDX_OK;
  pthread_mutex_lock(&s->planning);
  *out = find(s, given);  // somebody else may have made it meanwhile
  if (!*out && s->variant_count >= VARIANTS_MOST) {
    given = NULL;
    *out = find(s, given);
  }
  if (!*out) status = make(s, given, out, err);
  pthread_mutex_unlock(&s->planning);
  return status;
}

void session_drop_variants(sdx_session *s) {
  while (s->variants) {
    variant *v = s->variants;
    s->variants = v->next;
    destroy(v);
  }
  s->variant_count = 0;
}

sdx_status session_bind_origin(sdx_session *s, arena *memory, graph **out, error *err) {
  text warnings = {.account = memory->account};
  uint32_t *all = arena_array(memory, s->default_count, sizeof *all);
  graph *g = *out = graph_clone(memory, s->origin);
  if (!all || !g) return error_no_memory(err, s->origin->value_count * sizeof(graph_value));
  for (uint32_t i = 0; i < s->default_count; i++) all[i] = i;
  SDX_TRY(open_inputs(g, all, s->default_count, err));
  sdx_status status = ops_bind_graph(g, s->opsets, s->opset_count, &s->custom, NULL, &warnings, err);
  text_deinit(&warnings);
  g->input_count -= s->default_count;
  g->default_count = s->default_count;
  for (uint32_t i = 0; i < g->default_count; i++)
    g->values[g->defaults[i]].constant = s->origin->values[g->defaults[i]].constant;
  return status;
}
