// SPDX-License-Identifier: Apache-2.0
// AttributeProto -> attr (import_scope.h): values, subgraphs, and references from a function's body to the attributes
// of its call, followed outwards until one has a value. Names are checked before memory is asked for.
#include "base/size.h"
#include "onnx/import_scope.h"

typedef struct attr_source {
  wire message;
  const scope *scope;  // what names in its graphs mean
  bool once;           // what lies in functions, or is referred to there, is read wherever they are called
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
  *found = source->once = false;
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

static sdx_status share(importer *im, const shared_tensor *s) {
  if (im->shared_count == im->shared_room) {
    size_t room = im->shared_room ? 2 * im->shared_room : 16;
    shared_tensor **more = arena_array(&im->scratch, room, sizeof *more);
    if (!more) return import_no_memory(im);
    if (im->shared_count) memcpy(more, im->shared, im->shared_count * sizeof *more);
    im->shared = more;
    im->shared_room = room;
  }
  shared_tensor *kept = arena_copy(&im->scratch, s, sizeof *s);
  str key = {(const char *)&kept->place, sizeof kept->place};
  if (!kept || !str_map_put(&im->shared_by_place, key, (uint32_t)im->shared_count)) return import_no_memory(im);
  im->shared[im->shared_count++] = kept;
  return SDX_OK;
}

sdx_status import_tensor(importer *im, tensor_reader *r, wire message, bool in_function, tensor *out, str *name) {
  shared_tensor s = {.place = message.file + message.at, .name = STR("")};
  uint32_t index;
  if (!in_function) return tensor_proto_read(r, message, out, name, im->err);
  if (str_map_find(&im->shared_by_place, (str){(const char *)&s.place, sizeof s.place}, &index)) {
    s = *im->shared[index];
  } else {
    SDX_TRY(tensor_proto_read(r, message, &s.tensor, &s.name, im->err));
    SDX_TRY(share(im, &s));
  }
  *out = s.tensor;
  if (name) *name = s.name;
  return SDX_OK;
}

// One message of an attribute into element i of its (list) value.
static sdx_status read_message(importer *im, const attr_source *source, building *target, attr *a, wire body,
                               size_t i) {
  tensor_reader reader = import_reader(im, source->once), *r = &reader;
  switch (a->kind) {
    case ATTR_TENSOR:
      return import_tensor(im, r, body, source->scope->call, (tensor *)a->tensor, NULL);
    case ATTR_TENSORS: {
      tensor *t = arena_zalloc(r->memory, sizeof *t);
      if (!t) return import_no_memory(im);
      ((const tensor **)a->tensors.at)[i] = t;
      return import_tensor(im, r, body, source->scope->call, t, NULL);
    }
    case ATTR_SPARSE_TENSOR:
      return sparse_proto_read(r, body, (sparse_tensor *)a->sparse, NULL, im->err);
    case ATTR_SPARSE_TENSORS: {
      sparse_tensor *t = arena_zalloc(r->memory, sizeof *t);
      if (!t) return import_no_memory(im);
      ((const sparse_tensor **)a->sparses.at)[i] = t;
      return sparse_proto_read(r, body, t, NULL, im->err);
    }
    case ATTR_TYPE:
      return type_proto_read(target->graph, &im->types, body, (type_info *)a->type, im->err);
    case ATTR_TYPES:
      return type_proto_read(target->graph, &im->types, body, (type_info *)&a->types.at[i], im->err);
    case ATTR_GRAPH:
      return import_subgraph(im, source->scope, target, body, &a->graph);
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
  if (!room) return import_no_memory(im);
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
  attr_source source = {message, s, !s->call};
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
    if (im->options->keep_calls && !source.scope->call) {
      a->kind = ATTR_REFERENCE, a->s = reference;
      return SDX_OK;
    }
    if (kind)
      return error_set(im->err, SDX_INVALID_MODEL, "it has a value and refers to '%.*s', too", STR_ARG(reference));
    bool found;
    SDX_TRY(follow_reference(im, &source, reference, &found));
    if (!found) return SDX_OK;
  }
}

static sdx_status fail_nameless(importer *im, const wire_field *f) {
  error_set(im->err, SDX_INVALID_MODEL, "an attribute has no name");
  error_offset(im->err, f->offset);
  return SDX_INVALID_MODEL;
}

sdx_status import_check_attributes(importer *im, wire message) {
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
    if (name.size == 0) status = fail_nameless(im, &f);
    else if (str_map_find(&seen, name, NULL))
      status = error_at(im->err, part_named(PART_ATTRIBUTE, name), SDX_INVALID_GRAPH, "is given twice");
    else if (!str_map_put(&seen, name, 0)) status = import_no_memory(im);
  }
  arena_deinit(&scratch);
  return status;
}

sdx_status import_attributes(importer *im, const scope *s, const node_head *h, node *parts) {
  size_t count = h->counts.of[NODE_ATTRIBUTE];
  wire message = h->message;
  if (count == 0) return SDX_OK;
  if (count > 1) SDX_TRY(import_settle_node(im, s, h, import_check_attributes(im, message), "attribute"));
  parts->attrs = arena_array(im->tensors.memory, count, sizeof *parts->attrs);
  if (!parts->attrs) return import_no_memory(im);
  wire_field f;
  while (wire_next(&message, &proto_node, &f)) {
    if (f.slot != NODE_ATTRIBUTE || parts->attr_count == count) continue;
    attr *a = &parts->attrs[parts->attr_count];
    sdx_status status = read_attribute(im, s, f.body, a);
    if (status == SDX_OK && a->name.size == 0) status = fail_nameless(im, &f);
    if (status != SDX_OK) {
      error_in_part(im->err, part_named(PART_ATTRIBUTE, a->name));
      SDX_TRY(import_settle_node(im, s, h, status, "attribute"));
    } else if (a->kind) {
      parts->attr_count++;
    }
  }
  return SDX_OK;
}
