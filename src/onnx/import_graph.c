// SPDX-License-Identifier: Apache-2.0
// GraphProto -> graph. A graph is read in three sweeps over its nodes: check and count, declare what
// they make, build them. So memory is asked for exactly and once, and a name can be told apart that
// is made later from one that is never made. Rules: a name is made once in a graph; a node's output
// must not hide a name of an outer graph (inputs and initializers of a subgraph may); a subgraph reads
// only what is made before its node; nodes of one graph may be listed in any order.
//
// Local functions are expanded while nodes are built. A scope says what names mean: names of a graph
// are in the graph, names of a function body in a map of the call. Attributes that a body takes from
// its call are read where they are used, with the scope of the caller.
#include <stdio.h>
#include <time.h>

#include "base/size.h"
#include "onnx/import.h"
#include "onnx/proto.h"

enum { PENDING = UINT32_MAX };  // producer of a value whose node is not built yet

// A graph under construction; `outer` is the graph its subgraph-node is in.
typedef struct building {
  struct building *outer;
  graph *graph;
  uint32_t declared;  // values below have names of the file
  str_map captured;   // name in the outer graph -> stand-in here
  size_t depth;
} building;

typedef struct scope {
  const struct scope *outer;  // where names that are not found are looked for; NULL in function bodies
  building *at;               // the graph whose values the names mean
  str_map *names;             // function bodies; NULL: the graph's own names
  const struct call *call;    // where attributes come from, NULL outside of functions
  const opset_import *opsets;
  size_t opset_count;
} scope;

typedef struct call {
  const function *function;
  wire node;            // the calling NodeProto
  const scope *caller;  // its scope
  str_map outputs;      // formal output -> value of the caller
} call;

// A node of the file before it is built.
typedef struct node_head {
  wire message;
  size_t index;
  wire_counts counts;
  str name, op_type, domain, overload;
  size_t named_outputs;
} node_head;

enum { PLACE = 320 };

static const char *node_place(char buffer[PLACE], const scope *s, const node_head *h) {
  const building *b = s->at;
  int n = snprintf(buffer, PLACE, "node %zu '%.*s' (%.*s)", h->index, (int)(h->name.size < 120 ? h->name.size : 120),
                   h->name.at, (int)(h->op_type.size < 60 ? h->op_type.size : 60), h->op_type.at);
  if (b->depth && b->graph->name.size && n > 0 && n < PLACE)
    snprintf(buffer + n, (size_t)(PLACE - n), " of subgraph '%.*s'",
             (int)(b->graph->name.size < 80 ? b->graph->name.size : 80), b->graph->name.at);
  return buffer;
}

// import_settle for a problem of a node.
static sdx_status settle(importer *im, const scope *s, const node_head *h, sdx_status status, const char *code) {
  char place[PLACE];
  return status == SDX_OK ? SDX_OK : import_settle(im, status, code, node_place(place, s, h));
}

// ---- limits ---------------------------------------------------------------------------------------------

static sdx_status spend_work(importer *im, size_t amount) {
  enum { LOOK_AT_CLOCK_EVERY = 256 };
  if (amount > im->options->limits.max_nodes - im->work)
    return error_set(im->err, SDX_LIMIT_EXCEEDED,
                     "the model has more than %zu nodes after its functions are expanded "
                     "(limit max_nodes)",
                     im->options->limits.max_nodes);
  bool look = (im->work + amount) / LOOK_AT_CLOCK_EVERY != im->work / LOOK_AT_CLOCK_EVERY;
  im->work += amount;
  if (!look || !im->options->deadline_ns) return SDX_OK;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  if ((uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec < im->options->deadline_ns) return SDX_OK;
  return error_set(im->err, SDX_DEADLINE_EXCEEDED, "the time to load the model is over after %zu nodes", im->work);
}

static sdx_status no_memory(importer *im) {
  return error_set(im->err, SDX_NO_MEMORY, "no memory to build the graph: the memory budget is spent");
}

// ---- names ----------------------------------------------------------------------------------------------

// The value a name means, and the graph it is in; false: nobody knows the name. An optional input of a
// function that its call leaves out is known, and absent.
static bool find_name(const scope *s, str name, const building **home, value_id *id) {
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
      inner->graph->values[stand_in].outer = id;
    }
    id = stand_in;
    home = inner;
  }
  return id;
}

static sdx_status fail_unknown(importer *im, const scope *s, const char *what, str name) {
  enum { MOST_CANDIDATES = 20000 };
  char hint[300];
  str_nearest nearest;
  str_nearest_init(&nearest, name);
  for (; s && !s->names; s = s->outer)
    for (uint32_t v = 1; v < s->at->declared && v < MOST_CANDIDATES; v++)
      str_nearest_offer(&nearest, s->at->graph->values[v].name);
  return error_set(im->err, SDX_INVALID_GRAPH, "%s '%.*s' is made by no node and is no input or initializer%s", what,
                   STR_ARG(name), str_nearest_hint(&nearest, hint, sizeof hint));
}

// The value of `target` that a name read in scope s means; 0 for "".
static sdx_status resolve(importer *im, const scope *s, building *target, const char *what, str name, value_id *out) {
  const building *home;
  value_id id;
  *out = VALUE_ABSENT;
  if (name.size == 0) return SDX_OK;
  if (!find_name(s, name, &home, &id)) return fail_unknown(im, s, what, name);
  if (!id) return SDX_OK;
  if (home->graph->values[id].producer == PENDING) {
    if (home != target)
      return error_set(im->err, SDX_INVALID_GRAPH,
                       "%s '%.*s' is made in the outer graph only after the node that holds "
                       "this subgraph",
                       what, STR_ARG(name));
    im->out_of_order = true;
  }
  *out = bring_in(target, home, id);
  return *out ? SDX_OK : no_memory(im);
}

static sdx_status fail_twice(importer *im, str name, const char *what) {
  return error_set(im->err, SDX_INVALID_GRAPH, "the name '%.*s' is %s; every name of a graph is made once",
                   STR_ARG(name), what);
}

// A name that a node of scope s makes. *id = 0 where the name is taken.
static sdx_status declare(importer *im, const scope *s, str name, value_id *id) {
  *id = VALUE_ABSENT;
  graph *g = s->at->graph;
  uint32_t given = VALUE_ABSENT;
  if (s->names) {
    if (str_map_find(s->names, name, NULL)) return fail_twice(im, name, "made twice in a function");
    if (!str_map_find(&s->call->outputs, name, &given)) given = VALUE_ABSENT;
  } else {
    const building *home;
    if (graph_find(g, name))
      return fail_twice(im, name, "already an input, an initializer or the output of another node");
    if (find_name(s->outer, name, &home, &given) && given && home->graph->values[given].producer != PENDING)
      return fail_twice(im, name, "already in use by the outer graph");
    given = VALUE_ABSENT;
  }
  *id = given ? given : graph_add_value(g, name);
  if (!*id || (s->names && !str_map_put(s->names, name, *id))) return no_memory(im);
  g->values[*id].producer = PENDING;
  return SDX_OK;
}

static sdx_status read_subgraph(importer *im, const scope *names, building *outer, wire message, graph **out);

// ---- attributes -----------------------------------------------------------------------------------------

typedef struct attr_source {
  wire message;
  const scope *scope;  // what names in its graphs mean
} attr_source;

static sdx_status find_attribute(importer *im, wire message, const wire_schema *schema, size_t slot, str name,
                                 bool *found, wire *out) {
  wire_field f, part;
  while (wire_next(&message, schema, &f)) {
    if (f.slot != slot) continue;
    wire_counts counts;
    SDX_TRY(wire_scan(f.body, &proto_attribute, &counts, im->err));
    str candidate = STR("");
    for (wire w = f.body; wire_next(&w, &proto_attribute, &part);)
      if (part.slot == ATTRIBUTE_NAME) candidate = wire_str(&part);
    if (!str_equal(candidate, name)) continue;
    *out = f.body;
    *found = true;
    return SDX_OK;
  }
  return SDX_OK;
}

// Follows a reference to what the call gives, or to the default. found = false: declared, but not given.
static sdx_status follow_reference(importer *im, attr_source *source, str wanted, bool *found) {
  const call *c = source->scope->call;
  *found = false;
  if (!c)
    return error_set(im->err, SDX_INVALID_GRAPH, "refers to attribute '%.*s' of a function, but is not in a function",
                     STR_ARG(wanted));
  SDX_TRY(find_attribute(im, c->node, &proto_node, NODE_ATTRIBUTE, wanted, found, &source->message));
  if (*found) {
    source->scope = c->caller;
    return SDX_OK;
  }
  wire body = c->function->body;
  SDX_TRY(find_attribute(im, body, &proto_function, FUNCTION_ATTRIBUTE_PROTO, wanted, found, &source->message));
  if (*found) return SDX_OK;
  wire_field f;
  while (wire_next(&body, &proto_function, &f))
    if (f.slot == FUNCTION_ATTRIBUTE && str_equal(wire_str(&f), wanted)) return SDX_OK;
  return error_set(im->err, SDX_INVALID_GRAPH, "refers to attribute '%.*s', which function '%.*s' does not have",
                   STR_ARG(wanted), STR_ARG(c->function->name));
}

// The field that holds each kind of attribute.
static const uint8_t slot_of_kind[] = {[ATTR_FLOAT] = ATTRIBUTE_F,
                                       [ATTR_INT] = ATTRIBUTE_I,
                                       [ATTR_STRING] = ATTRIBUTE_S,
                                       [ATTR_TENSOR] = ATTRIBUTE_T,
                                       [ATTR_GRAPH] = ATTRIBUTE_G,
                                       [ATTR_FLOATS] = ATTRIBUTE_FLOATS,
                                       [ATTR_INTS] = ATTRIBUTE_INTS,
                                       [ATTR_STRINGS] = ATTRIBUTE_STRINGS,
                                       [ATTR_TENSORS] = ATTRIBUTE_TENSORS,
                                       [ATTR_GRAPHS] = ATTRIBUTE_GRAPHS,
                                       [ATTR_SPARSE_TENSOR] = ATTRIBUTE_SPARSE,
                                       [ATTR_SPARSE_TENSORS] = ATTRIBUTE_SPARSES,
                                       [ATTR_TYPE] = ATTRIBUTE_TP,
                                       [ATTR_TYPES] = ATTRIBUTE_TYPE_PROTOS};

// Kind from tag and filled field, which must agree. Files of before the tag have the field alone;
// writers that leave out zeros have the tag alone. Kind 0: neither.
static sdx_status attribute_kind(importer *im, const wire_counts *counts, int64_t tag, attr_kind *kind) {
  *kind = 0;
  if (tag < 0 || tag > ATTR_TYPES)
    return error_set(im->err, SDX_INVALID_MODEL, "type %lld does not exist", (long long)tag);
  for (int k = ATTR_FLOAT; k <= ATTR_TYPES; k++) {
    if (!counts->of[slot_of_kind[k]]) continue;
    if (*kind || (tag && tag != k))
      return error_set(im->err, SDX_INVALID_MODEL, "field '%s' is filled, but %s is '%s'",
                       proto_attribute.fields[slot_of_kind[k]].name, *kind ? "so" : "its type tag",
                       proto_attribute.fields[slot_of_kind[*kind ? (int)*kind : (int)tag]].name);
    *kind = (attr_kind)k;
  }
  if (!*kind && (tag == ATTR_TENSOR || tag == ATTR_GRAPH || tag == ATTR_SPARSE_TENSOR || tag == ATTR_TYPE))
    return error_set(im->err, SDX_INVALID_MODEL, "its type tag is '%s', but that field is empty",
                     proto_attribute.fields[slot_of_kind[tag]].name);
  if (!*kind) *kind = (attr_kind)tag;
  return SDX_OK;
}

// One message of an attribute into element i of its (list) value.
static sdx_status read_message(importer *im, const attr_source *source, building *target, attr *a, wire body,
                               size_t i) {
  tensor_reader *r = &im->tensors;
  switch (a->kind) {
    case ATTR_TENSOR:
      return tensor_proto_read(r, body, (tensor *)a->tensor, NULL, im->err);
    case ATTR_TENSORS: {
      tensor *t = arena_zalloc(r->memory, sizeof *t);
      if (!t) return no_memory(im);
      ((const tensor **)a->tensors.at)[i] = t;
      return tensor_proto_read(r, body, t, NULL, im->err);
    }
    case ATTR_SPARSE_TENSOR:
      return sparse_proto_read(r, body, (sparse_tensor *)a->sparse, NULL, im->err);
    case ATTR_SPARSE_TENSORS: {
      sparse_tensor *t = arena_zalloc(r->memory, sizeof *t);
      if (!t) return no_memory(im);
      ((const sparse_tensor **)a->sparses.at)[i] = t;
      return sparse_proto_read(r, body, t, NULL, im->err);
    }
    case ATTR_TYPE:
      return type_proto_read(target->graph, &im->types, body, (type_info *)a->type, im->err);
    case ATTR_TYPES:
      return type_proto_read(target->graph, &im->types, body, (type_info *)&a->types.at[i], im->err);
    case ATTR_GRAPH:
      return read_subgraph(im, source->scope, target, body, &a->graph);
    default:
      return SDX_OK;
  }
}

static sdx_status make_room(importer *im, attr *a, size_t count) {
  static const uint8_t element[] = {[ATTR_TENSOR] = sizeof(tensor),    [ATTR_SPARSE_TENSOR] = sizeof(sparse_tensor),
                                    [ATTR_TYPE] = sizeof(type_info),   [ATTR_FLOATS] = sizeof(float),
                                    [ATTR_INTS] = sizeof(int64_t),     [ATTR_STRINGS] = sizeof(str),
                                    [ATTR_TENSORS] = sizeof(tensor *), [ATTR_SPARSE_TENSORS] = sizeof(sparse_tensor *),
                                    [ATTR_TYPES] = sizeof(type_info)};
  if (a->kind == ATTR_GRAPHS) return error_set(im->err, SDX_NOT_SUPPORTED, "lists of graphs are not supported");
  a->s = STR("");
  if (a->kind == ATTR_INT) a->i = 0;
  if (a->kind == ATTR_FLOAT) a->f = 0;
  if (a->kind >= sizeof element || element[a->kind] == 0) return SDX_OK;
  void *room = arena_array(im->tensors.memory, count, element[a->kind]);
  if (!room) return no_memory(im);
  a->ints.at = room;  // all members of the union begin with the pointer
  if (a->kind != ATTR_TENSOR && a->kind != ATTR_SPARSE_TENSOR && a->kind != ATTR_TYPE) a->ints.count = count;
  return SDX_OK;
}

static sdx_status read_value(importer *im, const attr_source *source, building *target, const wire_counts *counts,
                             attr *a) {
  size_t slot = slot_of_kind[a->kind], count = counts->of[slot], filled = 0;
  SDX_TRY(make_room(im, a, count));
  wire_field f;
  for (wire w = source->message; wire_next(&w, &proto_attribute, &f);) {
    if (f.slot != slot) continue;
    switch (a->kind) {
      case ATTR_FLOAT:
        a->f = wire_float(&f);
        break;
      case ATTR_INT:
        a->i = (int64_t)f.value;
        break;
      case ATTR_STRING:
        a->s = wire_str(&f);
        break;
      case ATTR_FLOATS:
        filled += wire_read_fixed(&f, sizeof(float), (float *)a->floats.at + filled, count - filled);
        break;
      case ATTR_INTS:
        filled += wire_read_ints(&f, (int64_t *)a->ints.at + filled, count - filled);
        break;
      case ATTR_STRINGS:
        if (filled < count) ((str *)a->strings.at)[filled++] = wire_str(&f);
        break;
      default:
        if (filled < count) SDX_TRY(read_message(im, source, target, a, f.body, filled++));
    }
  }
  return SDX_OK;
}

// kind 0 afterwards: the attribute is not given after all (a reference to nothing).
static sdx_status read_attribute(importer *im, const scope *s, wire message, attr *a) {
  attr_source source = {message, s};
  *a = (attr){.name = STR("")};
  int64_t first_tag = 0;
  for (bool first = true;; first = false) {
    wire_counts counts;
    wire_field f;
    int64_t tag = 0;
    str reference = STR(""), name = STR("");
    SDX_TRY(wire_scan(source.message, &proto_attribute, &counts, im->err));
    for (wire w = source.message; wire_next(&w, &proto_attribute, &f);) {
      if (f.slot == ATTRIBUTE_NAME) name = wire_str(&f);
      if (f.slot == ATTRIBUTE_TYPE) tag = (int32_t)f.value;
      if (f.slot == ATTRIBUTE_REF) reference = wire_str(&f);
    }
    if (first) {
      a->name = name;
      first_tag = tag;
    }
    if (!first && first_tag && tag && tag != first_tag)
      return error_set(im->err, SDX_INVALID_GRAPH, "attribute '%.*s' that it refers to is of another type",
                       STR_ARG(name));
    attr_kind kind;
    SDX_TRY(attribute_kind(im, &counts, reference.size ? 0 : tag, &kind));
    if (!reference.size) {
      a->kind = kind;
      return kind ? read_value(im, &source, s->at, &counts, a) : SDX_OK;
    }
    if (kind)
      return error_set(im->err, SDX_INVALID_MODEL, "it has a value and refers to '%.*s', too", STR_ARG(reference));
    bool found;
    SDX_TRY(follow_reference(im, &source, reference, &found));
    if (!found) return SDX_OK;
  }
}

// Names of all attributes: none empty, none twice. Before memory is asked for.
static sdx_status check_attribute_names(importer *im, wire message) {
  arena scratch;
  arena_init(&scratch, im->options->account);
  str_map seen;
  str_map_init(&seen, &scratch);
  sdx_status status = SDX_OK;
  wire_field f, part;
  while (status == SDX_OK && wire_next(&message, &proto_node, &f)) {
    if (f.slot != NODE_ATTRIBUTE) continue;
    wire_counts counts;
    str name = STR("");
    status = wire_scan(f.body, &proto_attribute, &counts, im->err);
    for (wire w = f.body; status == SDX_OK && wire_next(&w, &proto_attribute, &part);)
      if (part.slot == ATTRIBUTE_NAME) name = wire_str(&part);
    if (status != SDX_OK) break;
    if (name.size == 0) status = error_set(im->err, SDX_INVALID_MODEL, "byte %zu: an attribute has no name", f.offset);
    else if (str_map_find(&seen, name, NULL))
      status = error_set(im->err, SDX_INVALID_GRAPH, "attribute '%.*s' is given twice", STR_ARG(name));
    else if (!str_map_put(&seen, name, 0)) status = no_memory(im);
  }
  arena_deinit(&scratch);
  return status;
}

// Into `parts`: a node that has no place in the graph yet.
static sdx_status read_attributes(importer *im, const scope *s, const node_head *h, node *parts) {
  size_t count = h->counts.of[NODE_ATTRIBUTE];
  wire message = h->message;
  if (count == 0) return SDX_OK;
  if (count > 1) SDX_TRY(settle(im, s, h, check_attribute_names(im, message), "attribute"));
  parts->attrs = arena_array(im->tensors.memory, count, sizeof *parts->attrs);
  if (!parts->attrs) return no_memory(im);
  wire_field f;
  while (wire_next(&message, &proto_node, &f)) {
    if (f.slot != NODE_ATTRIBUTE || parts->attr_count == count) continue;
    attr *a = &parts->attrs[parts->attr_count];
    sdx_status status = read_attribute(im, s, f.body, a);
    if (status == SDX_OK && a->name.size == 0)
      status = error_set(im->err, SDX_INVALID_MODEL, "byte %zu: an attribute has no name", f.offset);
    if (status != SDX_OK) {
      error_prefix(im->err, "attribute '%.*s'", STR_ARG(a->name));
      SDX_TRY(settle(im, s, h, status, "attribute"));
    } else if (a->kind) {
      parts->attr_count++;
    }
  }
  return SDX_OK;
}

// ---- nodes ----------------------------------------------------------------------------------------------

static sdx_status read_head(importer *im, wire message, size_t index, node_head *h) {
  wire_field f;
  *h = (node_head){
      .message = message, .index = index, .name = STR(""), .op_type = STR(""), .domain = STR(""), .overload = STR("")};
  SDX_TRY(wire_scan(message, &proto_node, &h->counts, im->err));
  for (wire w = message; wire_next(&w, &proto_node, &f);) switch (f.slot) {
      case NODE_NAME:
        h->name = wire_str(&f);
        break;
      case NODE_OP_TYPE:
        h->op_type = wire_str(&f);
        break;
      case NODE_DOMAIN:
        h->domain = domain_canonical(wire_str(&f));
        break;
      case NODE_OUTPUT:
        h->named_outputs += wire_size(f.body) > 0;
        break;
      case NODE_OVERLOAD:
        h->overload = wire_str(&f);
        break;
      default:
        break;
    }
  if (h->op_type.size == 0)
    return error_set(im->err, SDX_INVALID_GRAPH, "byte %zu: node %zu '%.*s' has no op_type", message.at, index,
                     STR_ARG(h->name));
  return SDX_OK;
}

// Version of a domain: from the function's own opset_import, then the model's. 0: not listed.
static int32_t opset_of(const importer *im, const scope *s, str domain) {
  const model *m = im->model;
  for (size_t i = 0; i < s->opset_count + m->opset_count; i++) {
    const opset_import *o = i < s->opset_count ? &s->opsets[i] : &m->opsets[i - s->opset_count];
    if (str_equal(o->domain, domain)) return (int32_t)o->version;
  }
  return 0;
}

static sdx_status find_opset(importer *im, const scope *s, str domain, int32_t *version) {
  *version = opset_of(im, s, domain);
  if (*version) return SDX_OK;
  *version = 1;  // files of before opset_import, and domains that nobody lists
  if (domain.size || im->model->opset_count + s->opset_count == 0) return SDX_OK;
  return error_set(im->err, SDX_INVALID_GRAPH,
                   "domain 'ai.onnx' is not in opset_import, so the operator's version is not known");
}

static sdx_status ids_reserve(importer *im, size_t count) {
  if (im->ids && count <= im->ids_room) return SDX_OK;
  size_t room = count < 64 ? 64 : count;
  im->ids = arena_array(&im->scratch, room, sizeof *im->ids);
  im->ids_room = im->ids ? room : 0;
  return im->ids ? SDX_OK : no_memory(im);
}

// Reads the names of inputs and outputs as ids of the scope's graph: [inputs][outputs].
static sdx_status read_ids(importer *im, const scope *s, const node_head *h, value_id *ids) {
  size_t in = 0, inputs = h->counts.of[NODE_INPUT], out = inputs, outputs = h->counts.of[NODE_OUTPUT];
  const building *home;
  wire_field f;
  for (wire w = h->message; wire_next(&w, &proto_node, &f);) {
    if (f.slot == NODE_INPUT && in < inputs) {
      value_id *id = &ids[in++];
      sdx_status status = resolve(im, s, s->at, "input", wire_str(&f), id);
      SDX_TRY(settle(im, s, h, status, "unknown-value"));
      if (status != SDX_OK && !(*id = graph_add_value(s->at->graph, STR("")))) return no_memory(im);
    }
    if (f.slot == NODE_OUTPUT && out < inputs + outputs) {  // declared before; a name that was taken is replaced
      value_id id = VALUE_ABSENT;
      if (wire_str(&f).size) find_name(s, wire_str(&f), &home, &id);
      bool ours = id && home == s->at && s->at->graph->values[id].producer == PENDING;
      if (ours) s->at->graph->values[id].producer = 0;
      if (id && !ours && !(id = graph_add_value(s->at->graph, STR("")))) return no_memory(im);
      ids[out++] = id;
    }
  }
  while (in < inputs) ids[in++] = VALUE_ABSENT;
  while (out < inputs + outputs) ids[out++] = VALUE_ABSENT;
  return SDX_OK;
}

static sdx_status build_node(importer *im, const scope *s, const node_head *h) {
  size_t inputs = h->counts.of[NODE_INPUT], outputs = h->counts.of[NODE_OUTPUT];
  int32_t version;
  SDX_TRY(spend_work(im, 1));
  SDX_TRY(settle(im, s, h, find_opset(im, s, h->domain, &version), "opset"));
  // Subgraphs come first: what this node makes is not there yet for them.
  node parts = {0};
  SDX_TRY(read_attributes(im, s, h, &parts));
  if (node_collect_captures(s->at->graph, &parts) != SDX_OK) return no_memory(im);
  SDX_TRY(ids_reserve(im, inputs + outputs));
  SDX_TRY(read_ids(im, s, h, im->ids));
  node *n = graph_add_node(s->at->graph, h->domain, h->op_type, inputs, im->ids, outputs, im->ids + inputs, im->err);
  if (!n) return no_memory(im);
  n->name = h->name;
  n->version = version;
  n->attrs = parts.attrs;
  n->attr_count = parts.attr_count;
  n->captures = parts.captures;
  n->capture_count = parts.capture_count;
  return SDX_OK;
}

static sdx_status declare_outputs(importer *im, const scope *s, const node_head *h) {
  wire_field f;
  for (wire w = h->message; wire_next(&w, &proto_node, &f);) {
    value_id id;
    if (f.slot == NODE_OUTPUT && wire_str(&f).size)
      SDX_TRY(settle(im, s, h, declare(im, s, wire_str(&f), &id), "duplicate-name"));
  }
  return SDX_OK;
}

static sdx_status build(importer *im, const scope *s, const node_head *h);

// One sweep over the nodes of a graph or function.
static sdx_status read_nodes(importer *im, const scope *s, wire message, const wire_schema *schema, size_t slot,
                             sdx_status (*each)(importer *, const scope *, const node_head *)) {
  size_t index = 0;
  wire_field f;
  while (wire_next(&message, schema, &f)) {
    node_head h;
    if (f.slot != slot) continue;
    SDX_TRY(read_head(im, f.body, index++, &h));
    sdx_status status = each(im, s, &h);
    if (status != SDX_OK) {
      // Deep inside, the innermost places say most: the message must not be pushed out.
      char place[PLACE];
      if (strlen(im->err->message) < sizeof im->err->message / 2) error_prefix(im->err, "%s", node_place(place, s, &h));
      return status;
    }
  }
  return SDX_OK;
}

// ---- functions ------------------------------------------------------------------------------------------

// A formal output that is one of the inputs: an Identity carries it over.
static sdx_status build_identity(importer *im, const scope *s, value_id from, value_id to) {
  int32_t version = opset_of(im, s, STR(""));
  SDX_TRY(spend_work(im, 1));
  node *n = graph_add_node(s->at->graph, STR(""), STR("Identity"), 1, &from, 1, &to, im->err);
  if (!n) return no_memory(im);
  n->version = version ? version : 1;
  return SDX_OK;
}

static sdx_status fail_arity(importer *im, const function *f, const char *what, size_t given, size_t formal) {
  return error_set(im->err, SDX_INVALID_GRAPH, "function '%.*s' is called with %zu %ss but has %zu", STR_ARG(f->name),
                   given, what, formal);
}

static sdx_status bind_formals(importer *im, const node_head *h, const value_id *ids, const wire_counts *counts,
                               scope *body, call *c) {
  size_t inputs = h->counts.of[NODE_INPUT], outputs = h->counts.of[NODE_OUTPUT], in = 0, out = 0;
  const function *f = c->function;
  if (inputs > counts->of[FUNCTION_INPUT]) return fail_arity(im, f, "input", inputs, counts->of[FUNCTION_INPUT]);
  if (outputs > counts->of[FUNCTION_OUTPUT]) return fail_arity(im, f, "output", outputs, counts->of[FUNCTION_OUTPUT]);
  wire_field field;
  for (wire w = f->body; wire_next(&w, &proto_function, &field);) {
    if (field.slot != FUNCTION_INPUT && field.slot != FUNCTION_OUTPUT) continue;
    bool is_input = field.slot == FUNCTION_INPUT;
    str_map *map = is_input ? body->names : &c->outputs;
    size_t i = is_input ? in++ : out++;
    value_id id = i < (is_input ? inputs : outputs) ? ids[is_input ? i : inputs + i] : VALUE_ABSENT;
    if (str_map_find(map, wire_str(&field), NULL))
      return error_set(im->err, SDX_INVALID_GRAPH, "function '%.*s' lists '%.*s' twice", STR_ARG(f->name),
                       STR_ARG(wire_str(&field)));
    if (!str_map_put(map, wire_str(&field), id)) return no_memory(im);
    if (!is_input && id) body->at->graph->values[id].producer = PENDING;
  }
  return SDX_OK;
}

// After the body: every formal output that the call wants must be there.
static sdx_status finish_outputs(importer *im, const scope *body, const call *c) {
  wire_field field;
  for (wire w = c->function->body; wire_next(&w, &proto_function, &field);) {
    if (field.slot != FUNCTION_OUTPUT) continue;
    uint32_t wanted = VALUE_ABSENT, made = VALUE_ABSENT;
    str_map_find(&c->outputs, wire_str(&field), &wanted);
    if (!wanted) continue;
    if (!str_map_find(body->names, wire_str(&field), &made) || !made)
      return error_set(im->err, SDX_INVALID_GRAPH, "function '%.*s' never makes its output '%.*s'",
                       STR_ARG(c->function->name), STR_ARG(wire_str(&field)));
    if (made != wanted) SDX_TRY(build_identity(im, body, made, wanted));
  }
  return SDX_OK;
}

static sdx_status expand_in(importer *im, const scope *s, const node_head *h, const function *f, arena *memory) {
  value_id *ids = arena_array(memory, h->counts.of[NODE_INPUT] + h->counts.of[NODE_OUTPUT], sizeof *ids);
  if (!ids) return no_memory(im);
  str_map names;
  str_map_init(&names, memory);
  call c = {.function = f, .node = h->message, .caller = s};
  str_map_init(&c.outputs, memory);
  scope body = {.at = s->at, .names = &names, .call = &c, .opsets = f->opsets, .opset_count = f->opset_count};
  wire_counts counts;
  SDX_TRY(wire_scan(f->body, &proto_function, &counts, im->err));
  SDX_TRY(read_ids(im, s, h, ids));
  SDX_TRY(bind_formals(im, h, ids, &counts, &body, &c));
  SDX_TRY(read_nodes(im, &body, f->body, &proto_function, FUNCTION_NODE, declare_outputs));
  SDX_TRY(read_nodes(im, &body, f->body, &proto_function, FUNCTION_NODE, build));
  return finish_outputs(im, &body, &c);
}

static sdx_status expand(importer *im, const scope *s, const node_head *h, const function *f) {
  SDX_TRY(spend_work(im, 1));  // calls of empty functions are work, too
  if (h->counts.of[NODE_ATTRIBUTE] > 1) SDX_TRY(check_attribute_names(im, h->message));
  arena memory;
  arena_init(&memory, im->options->account);
  sdx_status status = expand_in(im, s, h, f, &memory);
  arena_deinit(&memory);
  return status;
}

// A node, or the nodes of the function that it calls.
static sdx_status build(importer *im, const scope *s, const node_head *h) {
  const function *f = function_find(&im->functions, h->domain, h->op_type, h->overload);
  return f ? expand(im, s, h, f) : build_node(im, s, h);
}

// ---- graphs ---------------------------------------------------------------------------------------------

// Every node has a type; how many values the graph has. Empty messages, which cost a file next to
// nothing, do not count: they will turn out to be errors.
static sdx_status check_and_count(importer *im, wire message, size_t *values) {
  size_t index = 0;
  node_head h;
  wire_field f;
  *values = 0;
  while (wire_next(&message, &proto_graph, &f)) {
    if (f.slot == GRAPH_INPUT || f.slot == GRAPH_INITIALIZER || f.slot == GRAPH_SPARSE)
      *values += wire_size(f.body) > 2;
    if (f.slot != GRAPH_NODE) continue;
    SDX_TRY(read_head(im, f.body, index++, &h));
    *values += h.named_outputs;
  }
  return SDX_OK;
}

static sdx_status read_initializer(importer *im, building *b, const wire_field *f) {
  tensor_reader *r = &im->tensors;
  str name = STR("");
  tensor *t = arena_zalloc(r->memory, sizeof *t);
  if (!t) return no_memory(im);
  sdx_status status;
  if (f->slot == GRAPH_SPARSE) {
    sparse_tensor sparse = {0};
    status = sparse_proto_read(r, f->body, &sparse, &name, im->err);
    if (status == SDX_OK) status = sparse_to_dense(r, &sparse, t, im->err);
  } else {
    status = tensor_proto_read(r, f->body, t, &name, im->err);
  }
  if (status == SDX_OK && name.size == 0)
    status = error_set(im->err, SDX_INVALID_GRAPH, "byte %zu: an initializer has no name", f->offset);
  if (status == SDX_OK && graph_find(b->graph, name)) status = fail_twice(im, name, "made by two initializers");
  if (status != SDX_OK) {
    char place[PLACE];
    snprintf(place, sizeof place, "initializer '%.*s'", STR_ARG(name));
    if (!im->sink) error_prefix(im->err, "%s", place);
    status = import_settle(im, status, "initializer", place);
    if (status != SDX_OK || name.size == 0 || graph_find(b->graph, name)) return status;
    return graph_add_value(b->graph, name) ? SDX_OK : no_memory(im);  // so that its readers are no problems, too
  }
  return graph_add_constant(b->graph, name, t) ? SDX_OK : no_memory(im);
}

typedef struct value_info {
  str name;
  type_info type;
} value_info;

static sdx_status read_value_info(importer *im, graph *g, wire message, value_info *out) {
  wire_counts counts;
  wire_field f;
  *out = (value_info){.name = STR(""), .type = {.kind = TYPE_UNKNOWN, .rank = -1}};
  SDX_TRY(wire_scan(message, &proto_value_info, &counts, im->err));
  wire type = {0};
  while (wire_next(&message, &proto_value_info, &f)) {
    if (f.slot == VALUE_INFO_NAME) out->name = wire_str(&f);
    else type = f.body;
  }
  sdx_status status = type.file ? type_proto_read(g, &im->types, type, &out->type, im->err) : SDX_OK;
  if (status != SDX_OK) error_prefix(im->err, "type of '%.*s'", STR_ARG(out->name));
  return status;
}

// An input that has an initializer of its name is a constant; what is declared must fit it.
static sdx_status check_default(importer *im, graph *g, const graph_value *v, const value_info *info) {
  char declared[200], found[200];
  const tensor *t = v->constant;
  bool fits = info->type.kind == TYPE_UNKNOWN || info->type.kind == TYPE_TENSOR;
  if (fits && t && info->type.dtype && info->type.dtype != t->dtype) fits = false;
  if (fits && t && info->type.rank >= 0) {
    fits = info->type.rank == t->rank;
    for (int i = 0; fits && i < t->rank; i++) fits = info->type.dims[i] < 0 || info->type.dims[i] == t->dims[i];
  }
  if (fits || !t) return SDX_OK;
  return error_set(im->err, SDX_INVALID_GRAPH, "it is declared as %s but its initializer is %s",
                   type_describe(g, &info->type, declared, sizeof declared), tensor_describe(t, found, sizeof found));
}

static sdx_status add_input(importer *im, building *b, const value_info *info) {
  graph *g = b->graph;
  if (info->name.size == 0) return error_set(im->err, SDX_INVALID_GRAPH, "a graph input has no name");
  value_id id = graph_find(g, info->name);
  if (id) {
    const graph_value *v = &g->values[id];
    return v->constant ? check_default(im, g, v, info) : fail_twice(im, info->name, "an input twice");
  }
  id = graph_add_value(g, info->name);
  if (!id) return no_memory(im);
  g->values[id].type = info->type;
  g->inputs[g->input_count++] = id;
  return SDX_OK;
}

static sdx_status add_output(importer *im, const scope *s, const value_info *info) {
  graph *g = s->at->graph;
  value_id id;
  if (info->name.size == 0) return error_set(im->err, SDX_INVALID_GRAPH, "a graph output has no name");
  SDX_TRY(resolve(im, s, s->at, "graph output", info->name, &id));
  if (g->values[id].type.kind == TYPE_UNKNOWN) g->values[id].type = info->type;
  g->outputs[g->output_count++] = id;
  return SDX_OK;
}

// Declared types of inner values are a help, not a need: names that nobody makes are passed over.
static void add_value_info(const building *b, const value_info *info) {
  value_id id = graph_find(b->graph, info->name);
  if (id && id < b->declared && b->graph->values[id].type.kind == TYPE_UNKNOWN) b->graph->values[id].type = info->type;
}

// All messages of one slot that describe values.
static sdx_status read_value_infos(importer *im, const scope *s, wire message, size_t slot) {
  char place[PLACE];
  wire_field f;
  while (wire_next(&message, &proto_graph, &f)) {
    if (f.slot != slot) continue;
    value_info info;
    sdx_status status = read_value_info(im, s->at->graph, f.body, &info);
    if (status == SDX_OK && slot == GRAPH_VALUE_INFO) add_value_info(s->at, &info);
    if (status == SDX_OK && slot == GRAPH_INPUT) status = add_input(im, s->at, &info);
    if (status == SDX_OK && slot == GRAPH_OUTPUT) status = add_output(im, s, &info);
    if (status == SDX_OK) continue;
    snprintf(place, sizeof place, "%s '%.*s'", proto_graph.fields[slot].name, STR_ARG(info.name));
    if (!im->sink) error_prefix(im->err, "%s", place);
    SDX_TRY(import_settle(im, status, "value", place));
  }
  return SDX_OK;
}

static sdx_status read_graph(importer *im, const scope *s, wire message) {
  building *b = s->at;
  graph *g = b->graph;
  wire_counts counts;
  wire_field f;
  size_t values;
  SDX_TRY(wire_scan(message, &proto_graph, &counts, im->err));
  SDX_TRY(check_and_count(im, message, &values));
  size_t nodes = counts.of[GRAPH_NODE], inputs = counts.of[GRAPH_INPUT], outputs = counts.of[GRAPH_OUTPUT];
  if (nodes > im->options->limits.max_nodes) SDX_TRY(spend_work(im, nodes));
  for (wire w = message; wire_next(&w, &proto_graph, &f);) {
    if (f.slot == GRAPH_NAME) g->name = wire_str(&f);
    if (f.slot == GRAPH_DOC) g->doc = wire_str(&f);
  }
  if (!graph_reserve(g, values, nodes)) return no_memory(im);
  for (wire w = message; wire_next(&w, &proto_graph, &f);)
    if (f.slot == GRAPH_INITIALIZER || f.slot == GRAPH_SPARSE) SDX_TRY(read_initializer(im, b, &f));
  g->inputs = arena_array(g->memory, inputs, sizeof *g->inputs);
  g->outputs = arena_array(g->memory, outputs, sizeof *g->outputs);
  if (!g->inputs || !g->outputs) return no_memory(im);
  SDX_TRY(read_value_infos(im, s, message, GRAPH_INPUT));
  SDX_TRY(read_nodes(im, s, message, &proto_graph, GRAPH_NODE, declare_outputs));
  b->declared = g->value_count;
  SDX_TRY(read_value_infos(im, s, message, GRAPH_VALUE_INFO));  // before subgraphs take the types over
  SDX_TRY(read_nodes(im, s, message, &proto_graph, GRAPH_NODE, build));
  SDX_TRY(read_value_infos(im, s, message, GRAPH_OUTPUT));
  for (uint32_t v = 1; v < g->value_count; v++)
    if (g->values[v].producer == PENDING) g->values[v].producer = 0;
  return SDX_OK;
}

static sdx_status read_subgraph(importer *im, const scope *names, building *outer, wire message, graph **out) {
  building b = {.outer = outer, .depth = outer->depth + 1, .graph = graph_create(outer->graph->memory, outer->graph)};
  size_t limit = im->options->limits.max_subgraph_depth;
  if (limit > MOST_SUBGRAPHS_DEEP) limit = MOST_SUBGRAPHS_DEEP;
  if (b.depth > limit)
    return error_set(im->err, SDX_LIMIT_EXCEEDED, "subgraphs are nested more than %zu deep (limit max_subgraph_depth)",
                     limit);
  if (!b.graph) return no_memory(im);
  *out = b.graph;
  arena memory;
  arena_init(&memory, im->options->account);
  str_map_init(&b.captured, &memory);
  scope s = {.outer = names, .at = &b, .call = names->call, .opsets = names->opsets, .opset_count = names->opset_count};
  sdx_status status = read_graph(im, &s, message);
  arena_deinit(&memory);
  return status;
}

sdx_status import_graph(importer *im, wire message, graph **out) {
  building b = {.graph = graph_create(&im->model->memory, NULL)};
  if (!b.graph) return no_memory(im);
  *out = b.graph;
  scope s = {.at = &b, .opsets = im->model->opsets, .opset_count = im->model->opset_count};
  SDX_TRY(read_graph(im, &s, message));
  sdx_status status = graph_sort(b.graph, im->err);
  if (status != SDX_OK) im->out_of_order = false;  // was not mended
  return import_settle(im, status, "cycle", "graph");
}
