// SPDX-License-Identifier: Apache-2.0
// What names of a file mean (import_scope.h). Rules: a name is made once in a graph; a node's output must not hide
// a name of an outer graph (inputs and initializers of a subgraph may). Nodes may stand in any order, those that hold
// subgraphs, too: sorting comes later. A value of an outer graph gets a stand-in in every graph on the way in.
#include "onnx/import_scope.h"

bool scope_find(const scope *s, str name, const building **home, value_id *id) {
  for (*id = VALUE_ABSENT; s; s = s->outer) {
    *home = s->at;
    if (s->names) return str_map_find(s->names, name, id);
    *id = graph_find(s->at->graph, name);
    if (*id && *id < s->at->declared) return true;
    *id = VALUE_ABSENT;
  }
  return false;
}

// Brings a value of an enclosing graph into `target`, one graph at a time from the outside in.
static value_id bring_in(building *target, const building *home, value_id id) {
  while (id && home != target) {
    building *inner = target;
    while (inner->outer != home) inner = inner->outer;
    const graph_value *from = &home->graph->values[id];
    uint32_t stand_in;
    if (!str_map_find(&inner->captured, from->name, &stand_in)) {
      stand_in = graph_add_value(inner->graph, from->name);
      if (!stand_in || !str_map_put(&inner->captured, from->name, stand_in)) return VALUE_ABSENT;
      inner->graph->values[stand_in].type = from->type;
      inner->graph->values[stand_in].declared = from->declared;
      inner->graph->values[stand_in].outer = id;
    }
    id = stand_in;
    home = inner;
  }
  return id;
}

static sdx_status fail_unknown(importer *im, const scope *s, error_part part) {
  enum { MOST_CANDIDATES = 20000 };
  char hint[300];
  str_nearest nearest;
  str_nearest_init(&nearest, part.name);
  for (; s && !s->names; s = s->outer)
    for (uint32_t v = 1; v < s->at->declared && v < MOST_CANDIDATES; v++)
      str_nearest_offer(&nearest, s->at->graph->values[v].name);
  error_at(im->err, part, SDX_INVALID_GRAPH, "is made by no node and is no input or initializer");
  error_hint(im->err, "%s", str_nearest_hint(&nearest, hint, sizeof hint));
  return SDX_INVALID_GRAPH;
}

sdx_status scope_resolve(importer *im, const scope *s, building *target, error_part part, value_id *out) {
  const building *home;
  value_id id;
  *out = VALUE_ABSENT;
  if (part.name.size == 0) return SDX_OK;
  if (!scope_find(s, part.name, &home, &id)) return fail_unknown(im, s, part);
  if (!id) return SDX_OK;
  if (home->graph->values[id].producer == PENDING) im->out_of_order = true;
  *out = bring_in(target, home, id);
  return *out ? SDX_OK : import_no_memory(im);
}

sdx_status scope_fail_twice(importer *im, error_part part, const char *what) {
  return error_at(im->err, part, SDX_INVALID_GRAPH, "is %s, but every name of a graph is made once", what);
}

sdx_status scope_declare(importer *im, const scope *s, str name, value_id *id) {
  *id = VALUE_ABSENT;
  error_part part = part_named(PART_OUTPUT, name);
  graph *g = s->at->graph;
  uint32_t given = VALUE_ABSENT;
  if (s->names) {
    if (str_map_find(s->names, name, NULL)) return scope_fail_twice(im, part, "made twice in a function");
    if (!str_map_find(&s->call->outputs, name, &given)) given = VALUE_ABSENT;
  } else {
    const building *home;
    if (graph_find(g, name))
      return scope_fail_twice(im, part, "already an input, an initializer or the output of another node");
    if (scope_find(s->outer, name, &home, &given) && given && home->graph->values[given].producer != PENDING)
      return scope_fail_twice(im, part, "already in use by the outer graph");
    given = VALUE_ABSENT;
  }
  *id = given ? given : graph_add_value(g, name);
  if (!*id || (s->names && !str_map_put(s->names, name, *id))) return import_no_memory(im);
  g->values[*id].producer = PENDING;
  return SDX_OK;
}
