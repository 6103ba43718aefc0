// SPDX-License-Identifier: Apache-2.0
// A session as JSON: summary, plan with its memory map, predicted peak memory. Graphs: describe_graph.c.
#include <stdio.h>

#include "base/host.h"
#include "run/session.h"

static void json_dims(text *t, const graph *g, const int64_t *dims, int rank) {
  text_append(t, "[", 1);
  for (int i = 0; i < rank; i++) {
    if (i) text_append(t, ",", 1);
    str name = dims[i] < 0 ? graph_symbol_name(g, dims[i]) : (str){0};
    if (dims[i] >= 0) text_format(t, "%lld", (long long)dims[i]);
    else if (name.size) text_json_string(t, name);
    else text_append(t, "null", 4);
  }
  text_append(t, "]", 1);
}

static void json_io(text *t, const sdx_io *io, size_t count) {
  text_append(t, "[", 1);
  for (size_t i = 0; i < count; i++) {
    text_append(t, i ? ",{\"name\":" : "{\"name\":", i ? 9 : 8);
    text_json_string(t, str_from(io[i].name));
    text_format(t, ",\"type\":\"%s\",\"shape\":", io[i].type);
    if (!io[i].has_shape) text_append(t, "null", 4);
    else {
      text_append(t, "[", 1);
      for (size_t k = 0; k < io[i].rank; k++) {
        if (k) text_append(t, ",", 1);
        if (io[i].shape[k] >= 0) text_format(t, "%lld", (long long)io[i].shape[k]);
        else if (io[i].symbols[k]) text_json_string(t, str_from(io[i].symbols[k]));
        else text_append(t, "null", 4);
      }
      text_append(t, "]", 1);
    }
    text_append(t, "}", 1);
  }
  text_append(t, "]", 1);
}

static void describe_summary(const sdx_session *s, text *t) {
  text_append(t, "{\"metadata\":{", 13);
  for (size_t i = 0; i < s->custom_at; i++) {
    if (i) text_append(t, ",", 1);
    text_json_string(t, str_from(s->metadata[2 * i]));
    text_append(t, ":", 1);
    text_json_string(t, str_from(s->metadata[2 * i + 1]));
  }
  text_append(t, "},\"custom_metadata\":{", 21);
  for (size_t i = s->custom_at; i < s->metadata_count; i++) {
    if (i > s->custom_at) text_append(t, ",", 1);
    text_json_string(t, str_from(s->metadata[2 * i]));
    text_append(t, ":", 1);
    text_json_string(t, str_from(s->metadata[2 * i + 1]));
  }
  text_append(t, "},\"inputs\":", 11);
  json_io(t, s->inputs, s->input_count);
  if (s->default_count) text_append(t, ",\"defaults\":", 12);
  if (s->default_count) json_io(t, s->inputs + s->input_count, s->default_count);
  text_append(t, ",\"outputs\":", 11);
  json_io(t, s->outputs, s->output_count);
  text_format(t, ",\"file_bytes\":%zu", s->size);
  describe_counts(s, t);
  text_append(t, "}\n", 2);
}

static const char *storage_name(const plan_value *v) {
  static const char *const names[] = {"none", "constant", "slab", "input", "output", "dynamic"};
  return names[v->storage];
}

static void describe_plan(const plan *p, text *t) {
  const graph *g = p->graph;
  text_format(t, "{\"threads\":%zu,\"slab_bytes\":%zu,\"live_bytes\":%zu,\"steps\":[", p->threads, p->slab_bytes,
              p->live_bytes);
  for (uint32_t s = 0; s < p->step_count; s++) {
    const plan_step *step = &p->steps[s];
    text_format(t, "%s\n{\"op\":", s ? "," : "");
    text_json_string(t, step->step.node->op_type);
    text_append(t, ",\"node\":", 8);
    text_json_string(t, step->step.node->name);
    text_append(t, ",\"kernel\":", 10);
    text_json_string(t, str_from(step->step.kernel ? step->step.kernel : "portable"));
    text_append(t, ",\"place\":", 9);
    text_json_string(t, str_from(p->places->at[step->place].provider->name));
    if (step->reason) {
      text_append(t, ",\"reason\":", 10);
      text_json_string(t, str_from(step->reason));
    }
    text_format(t, ",\"layout\":\"%s\"", layout_name((layout)step->step.layout));
    text_format(t, ",\"dynamic\":%s,\"scratch_bytes\":%zu,\"scratch_offset\":%zu,\"outputs\":[",
                step->dynamic ? "true" : "false", step->step.scratch_bytes, step->scratch_offset);
    for (uint32_t i = 0, shown = 0; i < step->step.output_count; i++) {
      value_id v = step->outputs[i];
      if (!v) continue;
      text_format(t, "%s{\"name\":", shown++ ? "," : "");
      text_json_string(t, v < g->value_count ? g->values[v].name : step->step.node->name);
      text_format(t, ",\"dtype\":\"%s\",\"shape\":", dtype_name((sdx_dtype)p->values[v].value.tensor.dtype));
      if (p->values[v].known) json_dims(t, g, p->values[v].type.dims, (size_t)p->values[v].type.rank);
      else text_append(t, "null", 4);
      text_format(t, ",\"layout\":\"%s\",\"storage\":\"%s\",\"offset\":%zu,\"bytes\":%zu}",
                  layout_name((layout)p->values[v].layout), storage_name(&p->values[v]),
                  p->values[p->values[v].root].offset, p->values[v].value.tensor.bytes);
    }
    text_append(t, "]}", 2);
  }
  text_append(t, "\n]}\n", 4);
}

static void describe_memory(const sdx_session *s, const plan *p, text *t) {
  size_t io = 0;
  for (uint32_t i = 0; i < s->input_count; i++) io += p->values[s->main->inputs[i]].value.tensor.bytes;
  for (uint32_t i = 0; i < s->output_count; i++) io += p->values[p->outputs[i]].value.tensor.bytes;
  size_t held = atomic_load(&s->account.used), load_peak = atomic_load(&s->account.peak);
  size_t running = held + p->slab_bytes + io, peak = running > load_peak ? running : load_peak;
  size_t resident = host_resident_bytes(), other = resident > held ? resident - held : 0;
  text_format(
      t,
      "{\"process_bytes\":%zu,\"session_bytes\":%zu,\"load_peak_bytes\":%zu,\"slab_bytes\":%zu,\"io_bytes\":%zu,"
      "\"packs\":%zu,\"packed\":%zu,\"packed_bytes\":%zu,"
      "\"predicted_peak_bytes\":%zu,\"limit_bytes\":%zu}\n",
      other, held, load_peak, p->slab_bytes, io, s->packs.count, s->packs.made, s->packs.made_bytes, other + peak,
      s->account.limit);
}

uint64_t sdx_session_memory_bytes(const sdx_session *session) { return atomic_load(&session->account.used); }

char *sdx_session_describe(const sdx_session *session, const char *what) {
  sdx_session *s = (sdx_session *)session;  // the plan cache fills behind its lock
  text t = {0};
  error err = {0};
  plan *p = NULL;
  if (!s->main || !what) return NULL;
  if (strcmp(what, "summary") == 0) describe_summary(s, &t);
  else if (strcmp(what, "graph") == 0) describe_graph(s, &t);
  else if (session_declared_plan(s, &p, &err) != SDX_OK) {
    text_append(&t, "{\"error\":", 9);
    text_json_string(&t, str_from(err.message));
    text_append(&t, "}\n", 2);
  } else if (strcmp(what, "plan") == 0) describe_plan(p, &t);
  else if (strcmp(what, "memory") == 0) describe_memory(s, p, &t);
  plan_release(p);
  if (!t.failed) return t.at;
  text_deinit(&t);
  return NULL;
}
