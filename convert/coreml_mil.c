// SPDX-License-Identifier: Apache-2.0
// ML programs: the main function, its constants, its operations in order. Read next: coreml_mil.h.
#include "convert/coreml_mil.h"

#include <stdio.h>
#include <string.h>

// Element types of programs, and of arrays in the file of weights.
enum { BOOL = 1, STRING = 2, FLOAT16 = 10, FLOAT32, FLOAT64, INT8 = 21, INT16, INT32, INT64, UINT8 = 31, UINT16 };
enum { BLOB_FLOAT16 = 1, BLOB_FLOAT32, BLOB_UINT8, BLOB_INT8, BLOB_HEADER = 24, BLOB_MARK = 0xDEADBEEF };

// ---- values -----------------------------------------------------------------------------------------

static bool put(mil *p, str name, mil_value value) {
  if (p->count == p->room) {
    size_t room = p->room ? 2 * p->room : 64;
    mil_value *more = arena_array(p->m->c->memory, room, sizeof *more);
    if (!more) return !convert_no_memory(p->m->c);
    if (p->count) memcpy(more, p->values, p->count * sizeof *more);
    p->values = more;
    p->room = room;
  }
  if (!str_map_put(&p->names, name, (uint32_t)p->count)) return !convert_no_memory(p->m->c);
  p->values[p->count++] = value;
  return true;
}

static sdx_dtype dtype_of(int64_t type) {
  switch (type) {
    case BOOL:
      return SDX_BOOL;
    case STRING:
      return SDX_STRING;
    case FLOAT16:
    case FLOAT32:
    case FLOAT64:
      return SDX_FLOAT;
    case INT64:
      return SDX_INT64;
    default:
      return type >= INT8 && type <= UINT16 ? SDX_INT32 : SDX_UNDEFINED;
  }
}

// A type as a tensor without a value. False: it is none, or of too many dimensions.
static bool read_type(const proto *type, net_tensor *x) {
  proto tensor, dimension, size;
  *x = (net_tensor){0};
  if (!proto_get(type, "tensorType", &tensor)) return false;
  x->dtype = dtype_of(proto_int(&tensor, "dataType", 0));
  wire at = tensor.bytes;
  while (proto_each(&tensor, &at, "dimensions", &dimension)) {
    if (x->rank == NET_RANK) return false;
    int64_t known = proto_get(&dimension, "constant", &size) ? proto_int(&size, "size", 0) : -1;
    x->shape[x->rank++] = known > INT32_MAX ? -1 : known;
  }
  return x->dtype != SDX_UNDEFINED;
}

// ---- constants --------------------------------------------------------------------------------------

static uint64_t little(str s, size_t at, size_t bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes; i++) number |= (uint64_t)(unsigned char)s.at[at + i] << 8 * i;
  return number;
}

static bool fail(mil *p, const char *place, const char *wrong) {
  return !convert_fail(p->m->c, SDX_INVALID_MODEL, place, "is the package complete?", "%s", wrong);
}

// An array of the file of weights: a header that tells its type, size and place.
static bool read_blob(mil *p, const proto *blob, net_numbers *w) {
  str all = p->m->weights;
  uint64_t at = (uint64_t)proto_int(blob, "offset", 0);
  if (at > all.size || all.size - at < BLOB_HEADER || little(all, at, 4) != BLOB_MARK)
    return fail(p, "weights/weight.bin",
                all.size ? "there is no array where the program has one" : "the file is absent or empty");
  uint64_t type = little(all, at + 4, 4), size = little(all, at + 8, 8), from = little(all, at + 16, 8);
  if (from > all.size || size > all.size - from) return fail(p, "weights/weight.bin", "an array reaches past the end");
  static const net_coding codings[] = {
      [BLOB_FLOAT16] = NET_F16, [BLOB_FLOAT32] = NET_F32, [BLOB_UINT8] = NET_U8, [BLOB_INT8] = NET_I8};
  if (type < BLOB_FLOAT16 || type > BLOB_INT8) return fail(p, "weights/weight.bin", "an array of an unknown type");
  size_t bytes = type == BLOB_FLOAT16 ? 2 : type == BLOB_FLOAT32 ? 4 : 1;
  *w = (net_numbers){.at = all.at + from, .coding = codings[type], .count = (size_t)size / bytes};
  return true;
}

static bool take_ints(const proto *list, net_numbers *w) {
  w->at = proto_all_ints(list, "values", &w->count);
  w->coding = NET_I64;
  return true;
}

// Bytes as the type says.
static bool take_bytes(mil *p, const proto *list, int64_t type, net_numbers *w) {
  str bytes = proto_text(list, "values");
  static const net_coding codings[] = {[INT8] = NET_I8, [UINT8] = NET_U8, [FLOAT16] = NET_F16, [INT32] = NET_I32};
  if (type != INT8 && type != UINT8 && type != FLOAT16 && type != INT32)
    return fail(p, "program", "bytes of a type that is not known");
  size_t each = type == FLOAT16 ? 2 : type == INT32 ? 4 : 1;
  *w = (net_numbers){.at = bytes.at, .coding = codings[type], .count = bytes.size / each};
  return true;
}

static bool read_immediate(mil *p, const proto *tensor, int64_t type, mil_value *v) {
  proto list;
  net_numbers *w = &v->numbers;
  const char *which = proto_which(tensor, 1, &list);
  if (!which) return true;  // no numbers
  if (!strcmp(which, "floats")) {
    w->coding = NET_F32;
    w->at = proto_floats(&list, "values", &w->count);
  } else if (!strcmp(which, "doubles")) {
    w->coding = NET_F64;
    w->at = proto_doubles(&list, "values", &w->count);
  } else if (!strcmp(which, "strings")) {
    wire at = list.bytes;
    proto_each_text(&list, &at, "values", &v->text);
  } else {
    return strcmp(which, "bytes") ? take_ints(&list, w) : take_bytes(p, &list, type, w);
  }
  return !convert_failed(p->m->c);
}

// A value that is written in the program.
static bool read_value(mil *p, const proto *value, mil_value *v) {
  proto type, tensor, immediate, blob;
  *v = (mil_value){.constant = true};
  proto_get(value, "type", &type);
  proto_get(&type, "tensorType", &tensor);
  if (!read_type(&type, &v->tensor)) return true;  // a list or dictionary: of use to nobody here
  if (proto_get(value, "blobFileValue", &blob)) return read_blob(p, &blob, &v->numbers);
  proto_get(value, "immediateValue", &immediate);
  if (!proto_get(&immediate, "tensor", &tensor)) return !convert_failed(p->m->c);
  proto_get(&type, "tensorType", &blob);
  return read_immediate(p, &tensor, proto_int(&blob, "dataType", 0), v);
}

// ---- parameters -------------------------------------------------------------------------------------

// The argument of that name.
static bool argument_of(mil_op *op, const char *name, proto *argument) {
  proto entry;
  wire at = op->message.bytes;
  while (proto_each(&op->message, &at, "inputs", &entry))
    if (str_is(proto_text(&entry, "key"), name)) return proto_get(&entry, "value", argument);
  return false;
}

static const mil_value *written(mil_op *op, const proto *value) {
  mil_value *v = arena_array(op->p->m->c->memory, 1, sizeof *v);
  if (!v) return convert_no_memory(op->p->m->c), NULL;
  return read_value(op->p, value, v) ? v : NULL;
}

// Constants that are packed have what other operations take as inputs as attributes.
static const mil_value *attribute_of(mil_op *op, const char *name) {
  proto entry, value;
  wire at = op->message.bytes;
  while (proto_each(&op->message, &at, "attributes", &entry))
    if (str_is(proto_text(&entry, "key"), name)) return proto_get(&entry, "value", &value) ? written(op, &value) : NULL;
  return NULL;
}

// What is bound: a value that is written there, or one with a name.
static const mil_value *bound(mil_op *op, const char *name, const proto *binding) {
  proto value;
  uint32_t at;
  if (proto_get(binding, "value", &value)) return written(op, &value);
  str of = proto_text(binding, "name");
  if (str_map_find(&op->p->names, of, &at)) return &op->p->values[at];
  return net_fail(op->n, SDX_INVALID_MODEL, NULL, "its %s '%.*s' is never computed", name, STR_ARG(of)), NULL;
}

const mil_value *mil_find(mil_op *op, const char *name) {
  proto argument, binding;
  if (!argument_of(op, name, &argument)) return attribute_of(op, name);
  wire at = argument.bytes;
  return proto_each(&argument, &at, "arguments", &binding) ? bound(op, name, &binding) : NULL;
}

static bool as_tensor(mil_op *op, const char *name, const mil_value *v, net_tensor *x) {
  if (!v) return false;
  *x = v->tensor;
  if (v->tensor.ref) return true;
  if (!v->constant || v->text.size || x->dtype == SDX_STRING)
    return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "its %s is no tensor", name);
  *x = net_constant(op->n, name, x->dtype, x->rank, x->shape, &v->numbers, NULL);
  return x->ref != 0;
}

net_tensor *mil_all(mil_op *op, const char *name, size_t *count) {
  proto argument = {0}, binding;
  size_t i = 0;
  *count = argument_of(op, name, &argument) ? proto_count(&argument, "arguments") : 0;
  net_tensor *all = *count ? arena_array(op->p->m->c->memory, *count, sizeof *all) : NULL;
  for (wire at = argument.bytes; all && i < *count && proto_each(&argument, &at, "arguments", &binding); i++)
    if (!as_tensor(op, name, bound(op, name, &binding), &all[i])) break;
  if (all && i == *count) return all;
  if (!convert_failed(op->p->m->c)) net_fail(op->n, SDX_INVALID_MODEL, NULL, "it has no %s", name);
  return NULL;
}

bool mil_maybe(mil_op *op, const char *name, net_tensor *x) {
  *x = (net_tensor){0};
  return as_tensor(op, name, mil_find(op, name), x);
}

bool mil_in(mil_op *op, const char *name, net_tensor *x) {
  return mil_maybe(op, name, x) ||
         (!convert_failed(op->p->m->c) && !net_fail(op->n, SDX_INVALID_MODEL, NULL, "the input '%s' is absent", name));
}

const net_numbers *mil_numbers(mil_op *op, const char *name) {
  const mil_value *v = mil_find(op, name);
  if (!v) return NULL;
  if (v->constant) return &v->numbers;
  net_fail(op->n, SDX_NOT_SUPPORTED, NULL, "its %s is computed", name);
  return NULL;
}

size_t mil_ints(mil_op *op, const char *name, int64_t to[MIL_LIST]) {
  const net_numbers *w = mil_numbers(op, name);
  size_t i = 0;
  for (; w && i < w->count && i < MIL_LIST; i++) {
    double number = net_number_at(w, i);
    to[i] = number >= -0x1p62 && number <= 0x1p62 ? (int64_t)number : 0;
  }
  return i;
}

int64_t mil_int(mil_op *op, const char *name, int64_t missing) {
  int64_t list[MIL_LIST];
  return mil_ints(op, name, list) ? list[0] : missing;
}

double mil_number(mil_op *op, const char *name, double missing) {
  const net_numbers *w = mil_numbers(op, name);
  return w && w->count ? net_number_at(w, 0) : missing;
}

str mil_text(mil_op *op, const char *name) {
  const mil_value *v = mil_find(op, name);
  return v ? v->text : (str){"", 0};
}

bool mil_axis(mil_op *op, const net_tensor *x, const char *name, int64_t missing, size_t *axis) {
  return net_axis(op->n, x, mil_int(op, name, missing), axis);
}

// ---- operations -------------------------------------------------------------------------------------

static const mil_kind *find_kind(str type) {
  static const mil_kind *const tables[] = {mil_value_kinds, mil_shape_kinds, mil_layer_kinds};
  for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
    for (const mil_kind *kind = tables[i]; kind->name; kind++)
      if (str_is(type, kind->name)) return kind;
  return NULL;
}

static str first_output(const proto *operation) {
  proto output;
  wire at = operation->bytes;
  return proto_each(operation, &at, "outputs", &output) ? proto_text(&output, "name") : (str){"", 0};
}

// All operations that are not converted, at once.
static bool check_operations(mil *p, const proto *block) {
  proto operation;
  wire at = block->bytes;
  while (proto_each(block, &at, "operations", &operation)) {
    str type = proto_text(&operation, "type");
    if (str_is(type, "const") || find_kind(type)) continue;
    char *place = arena_format(p->m->c->memory, "operation '%.*s'", STR_ARG(first_output(&operation)));
    convert_fail(p->m->c, SDX_NOT_SUPPORTED, place, NULL, "'%.*s' is not converted", STR_ARG(type));
  }
  return !convert_failed(p->m->c);
}

static bool emit_constant(mil *p, const proto *operation) {
  proto entry, value;
  mil_value v;
  wire at = operation->bytes;
  while (proto_each(operation, &at, "attributes", &entry)) {
    if (!str_is(proto_text(&entry, "key"), "val")) continue;
    proto_get(&entry, "value", &value);
    return read_value(p, &value, &v) && put(p, first_output(operation), v);
  }
  return fail(p, "program", "a constant without a value");
}

// What is known of a result is what was computed, and where that is open what is declared.
static net_tensor settled(const net_tensor *declared, net_tensor y) {
  for (size_t i = 0; i < y.rank && y.rank == declared->rank; i++)
    if (y.shape[i] < 0) y.shape[i] = declared->shape[i];
  return y;
}

static bool emit_operation(mil *p, const proto *operation) {
  mil_op op = {.p = p, .n = &p->m->n, .g = p->m->c->graph, .message = *operation};
  net_tensor declared[MIL_OUTPUTS];
  proto output, type;
  op.kind = find_kind(proto_text(operation, "type"));
  p->m->n.layer = str_to_c(p->m->c->memory, first_output(operation));
  p->m->n.kind = op.kind ? op.kind->name : "";
  if (!op.kind || !p->m->n.layer) return !convert_no_memory(p->m->c);
  wire at = operation->bytes;
  while (op.out_count < MIL_OUTPUTS && proto_each(operation, &at, "outputs", &output)) {
    proto_get(&output, "type", &type);
    read_type(&type, &declared[op.out_count]);
    op.out[op.out_count] = declared[op.out_count];
    op.out_count++;
  }
  op.kind->emit(&op);
  at = operation->bytes;
  for (size_t i = 0; !convert_failed(p->m->c) && i < op.out_count && proto_each(operation, &at, "outputs", &output);
       i++) {
    mil_value v = {.tensor = settled(&declared[i], op.out[i])};
    if (op.as_constant) v = op.value;
    else if (!v.tensor.ref) return !net_fail(op.n, SDX_INVALID_MODEL, NULL, "it does not have %zu results", i + 1);
    if (!net_is_sound(op.n, &v.tensor) || !put(p, proto_text(&output, "name"), v)) return false;
  }
  return !convert_failed(p->m->c);
}

// ---- the program ------------------------------------------------------------------------------------

static bool add_input(mil *p, const proto *input) {
  proto type;
  net_tensor x;
  char *name = str_to_c(p->m->c->memory, proto_text(input, "name"));
  if (!name) return !convert_no_memory(p->m->c);
  proto_get(input, "type", &type);
  if (!read_type(&type, &x) || x.dtype == SDX_STRING) return fail(p, name, "an input that is no array of numbers");
  x = net_input(&p->m->n, name, x, false);
  return put(p, proto_text(input, "name"), (mil_value){.tensor = x});
}

static void give_outputs(mil *p, const proto *block) {
  uint32_t index;
  str name;
  wire at = block->bytes;
  for (size_t i = 0; proto_each_text(block, &at, "outputs", &name); i++) {
    mil_op op = {.p = p, .n = &p->m->n};
    if (!str_map_find(&p->names, name, &index)) {
      fail(p, "program", "a result is never computed");
      return;
    }
    net_tensor y = p->values[index].tensor;
    p->m->n.layer = p->m->n.kind = "output";
    if (!y.ref) y = net_constant(op.n, "constant", y.dtype, y.rank, y.shape, &p->values[index].numbers, NULL);
    coreml_set(p->m, name, y);
  }
}

// The block of the main function.
static bool find_main(const proto *program, proto *function, proto *block) {
  proto entry, version;
  wire at = program->bytes;
  while (proto_each(program, &at, "functions", &entry)) {
    proto_get(&entry, "value", function);
    if (str_is(proto_text(&entry, "key"), "main") || proto_count(program, "functions") == 1) {
      wire in = function->bytes;
      return proto_each(function, &in, "block_specializations", &version) && proto_get(&version, "value", block);
    }
  }
  return false;
}

static void emit_program(coreml *m, const proto *model, const proto *program) {
  mil p = {.m = m};
  proto function, block, input, operation;
  str_map_init(&p.names, m->c->memory);
  if (!find_main(program, &function, &block)) {
    fail(&p, "program", "it has no function 'main'");
    return;
  }
  if (!check_operations(&p, &block)) return;
  wire at = function.bytes;
  while (proto_each(&function, &at, "inputs", &input))
    if (!add_input(&p, &input)) return;
  at = block.bytes;
  while (proto_each(&block, &at, "operations", &operation))
    if (!(str_is(proto_text(&operation, "type"), "const") ? emit_constant : emit_operation)(&p, &operation)) return;
  if (!convert_failed(m->c)) give_outputs(&p, &block);
}

const coreml_kind coreml_program_kinds[] = {{"mlProgram", emit_program}, {0}};
