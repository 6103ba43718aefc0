// SPDX-License-Identifier: Apache-2.0
// MXNet: a symbol (NAME-symbol.json) and its parameters (NAME-0000.params), one of which is given and the other beside
// it. Variables that have no array are inputs; what is compared with labels is left out. Read next: mxnet.h.
#include "convert/mxnet.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"

enum { MOST_NODES = 1000000, MOST_SYMBOL = 1 << 28 };

// ---- attributes -------------------------------------------------------------------------------------

const char *mxnet_text(const mxnet_op *op, const char *key, const char *missing) {
  const char *text = json_string_value(json_object_get(op->attributes, key));
  return text && strcmp(text, "None") != 0 ? text : missing;
}

bool mxnet_flag(const mxnet_op *op, const char *key, bool missing) {
  const char *text = mxnet_text(op, key, NULL);
  return text ? !strcmp(text, "True") || !strcmp(text, "1") || !strcmp(text, "true") : missing;
}

double mxnet_number(const mxnet_op *op, const char *key, double missing) {
  const char *text = mxnet_text(op, key, NULL);
  return text ? strtod(text, NULL) : missing;
}

size_t mxnet_ints(const mxnet_op *op, const char *key, int64_t none, int64_t to[NET_RANK]) {
  const char *p = mxnet_text(op, key, "");
  size_t count = 0;
  while (*p && count < NET_RANK) {
    char *end;
    if (!strncmp(p, "None", 4)) {
      to[count++] = none;
      p += 4;
    } else if ((*p >= '0' && *p <= '9') || *p == '-') {
      to[count++] = strtoll(p, &end, 10);
      p = end > p ? end : p + 1;
      if (*p == 'L') p++;
    } else {
      p++;
    }
  }
  return count;
}

int64_t mxnet_int(const mxnet_op *op, const char *key, int64_t missing) {
  int64_t list[NET_RANK];
  return mxnet_ints(op, key, missing, list) ? list[0] : missing;
}

// ---- inputs of operators ----------------------------------------------------------------------------

static net_tensor as_constant(net *n, const char *part, const mxnet_array *a) {
  return net_constant(n, part, a->dtype, a->shape.rank, a->shape.shape, &a->numbers, NULL);
}

bool mxnet_in(mxnet_op *op, size_t index, net_tensor *x) {
  *x = (net_tensor){0};
  if (index >= op->in_count) return false;
  mxnet_value *v = &op->in[index];
  if (v->array && !v->tensor.ref) v->tensor = as_constant(op->n, "constant", v->array);
  *x = v->tensor;
  return x->ref ||
         (!convert_failed(op->m->c) && !net_fail(op->n, SDX_INVALID_MODEL, NULL, "its input %zu is absent", index));
}

const mxnet_array *mxnet_array_in(mxnet_op *op, size_t index) {
  if (index < op->in_count && op->in[index].array) return op->in[index].array;
  net_fail(op->n, SDX_INVALID_MODEL, "are the parameters those of this symbol?", "its input %zu has no array", index);
  return NULL;
}

bool mxnet_weight(mxnet_op *op, size_t index, const char *part, size_t rank, const int64_t *shape, net_tensor *w) {
  const mxnet_array *a = mxnet_array_in(op, index);
  *w = a ? net_constant(op->n, part, SDX_FLOAT, rank, shape, &a->numbers, NULL) : (net_tensor){0};
  return w->ref != 0;
}

// ---- nodes ------------------------------------------------------------------------------------------

static const mxnet_kind *find_kind(const char *name) {
  static const mxnet_kind *const tables[] = {mxnet_layer_kinds, mxnet_value_kinds, mxnet_shape_kinds};
  for (size_t i = 0; name && i < sizeof tables / sizeof *tables; i++)
    for (const mxnet_kind *kind = tables[i]; kind->name; kind++)
      if (!strcmp(kind->name, name)) return kind;
  return NULL;
}

static const char *text_of(const json_t *node, const char *key) {
  const char *text = json_string_value(json_object_get(node, key));
  return text ? text : "";
}

static bool is_variable(const json_t *node) { return !strcmp(text_of(node, "op"), "null"); }

static const json_t *attributes_of(const json_t *node) {
  static const char *const keys[] = {"attrs", "attr", "param"};
  for (size_t i = 0; i < 3; i++) {
    const json_t *found = json_object_get(node, keys[i]);
    if (json_is_object(found)) return found;
  }
  return NULL;
}

// Which node's which result an input is. False: none.
static bool input_of(const json_t *node, size_t index, size_t *from, size_t *result) {
  const json_t *input = json_array_get(json_object_get(node, "inputs"), index);
  json_int_t a = json_integer_value(json_array_get(input, 0)), b = json_integer_value(json_array_get(input, 1));
  *from = (size_t)a, *result = (size_t)b;
  return json_is_array(input) && a >= 0 && b >= 0 && b < MXNET_VALUES;
}

static size_t inputs_of(const json_t *node) { return json_array_size(json_object_get(node, "inputs")); }

// All operators that are not converted, at once.
static bool check_nodes(mxnet *m) {
  for (size_t i = 0; i < json_array_size(m->nodes); i++) {
    const json_t *node = json_array_get(m->nodes, i);
    if (is_variable(node) || find_kind(text_of(node, "op"))) continue;
    char *place = arena_format(m->c->memory, "node '%.150s'", text_of(node, "name"));
    convert_fail(m->c, SDX_NOT_SUPPORTED, place, NULL, "the operator '%.100s' is not converted", text_of(node, "op"));
  }
  return !convert_failed(m->c);
}

// ---- inputs of the model ----------------------------------------------------------------------------

// What is compared with the result while training.
static bool is_label(const char *op, size_t index) {
  return index == 1 && strlen(op) > 6 && !strcmp(op + strlen(op) - 6, "Output");
}

// Notes for each node which operator reads it first, and as which input.
static bool find_readers(mxnet *m) {
  size_t count = json_array_size(m->nodes), from, result;
  m->readers = arena_array(m->c->memory, count, sizeof *m->readers);
  if (!m->readers) return !convert_no_memory(m->c);
  for (size_t i = 0; i < count; i++) {
    const json_t *node = json_array_get(m->nodes, i);
    for (size_t k = 0; k < inputs_of(node); k++)
      if (input_of(node, k, &from, &result) && from < i && !m->readers[from].node)
        m->readers[from] = (mxnet_reader){node, i, k};
  }
  return true;
}

// The array that a node has as an input.
static const mxnet_array *array_input(const mxnet *m, const json_t *node, size_t index) {
  size_t from, result;
  uint32_t at;
  if (!input_of(node, index, &from, &result)) return NULL;
  str name = str_from(text_of(json_array_get(m->nodes, from), "name"));
  return str_map_find(&m->array_of, name, &at) ? &m->arrays[at] : NULL;
}

// The rank and channels of an input, by the first layer behind it that tells them.
static void shape_by_reader(const mxnet *m, size_t of, net_tensor *x) {
  enum { STEPS = 20 };
  *x = (net_tensor){.rank = 4, .shape = {-1, -1, -1, -1}};
  for (int i = 0; i < STEPS && m->readers[of].node; i++) {
    const json_t *node = m->readers[of].node;
    of = m->readers[of].index;
    const char *op = text_of(node, "op");
    const mxnet_array *w = array_input(m, node, 1);
    mxnet_op as_op = {.attributes = attributes_of(node)};
    if (!strcmp(op, "Convolution") && w && w->shape.rank > 2) {
      x->rank = w->shape.rank;
      x->shape[1] = wrap_mul(w->shape.shape[1], mxnet_int(&as_op, "num_group", 1));
      for (size_t d = 2; d < x->rank; d++) x->shape[d] = -1;
      if (x->shape[1] < 1 || x->shape[1] > INT32_MAX) x->shape[1] = -1;
      return;
    }
    if (!strcmp(op, "FullyConnected") && w && w->shape.rank == 2) {
      *x = (net_tensor){.rank = 2, .shape = {-1, w->shape.shape[1]}};
      if (!mxnet_flag(&as_op, "flatten", true)) *x = (net_tensor){.rank = 3, .shape = {-1, -1, w->shape.shape[1]}};
      return;
    }
    if (!strcmp(op, "Embedding") || !strcmp(op, "RNN")) {
      x->rank = !strcmp(op, "RNN") ? 3 : 2;
      return;
    }
    if (!strncmp(op, "BatchNorm", 9) && w) x->shape[1] = (int64_t)w->numbers.count;
  }
}

static bool add_input(mxnet *m, size_t index, const json_t *node) {
  const mxnet_reader *reader = &m->readers[index];
  const char *name = text_of(node, "name");
  mxnet_op as_op = {.attributes = attributes_of(node)};
  net_tensor x = {0};
  int64_t shape[NET_RANK];
  if (!reader->node || is_label(text_of(reader->node, "op"), reader->input)) return true;
  size_t rank = mxnet_ints(&as_op, "__shape__", 0, shape);
  if (rank) x.rank = rank, memcpy(x.shape, shape, rank * sizeof *shape);
  else shape_by_reader(m, index, &x);
  x.dtype = SDX_FLOAT;
  x.shape[0] = -1;
  for (size_t i = 0; i < x.rank; i++)
    if (x.shape[i] < 1 || x.shape[i] > INT32_MAX) x.shape[i] = -1;
  m->values[index][0].tensor = net_input(&m->n, name, x, reader->input == 0);
  return !convert_failed(m->c);
}

// ---- the walk ---------------------------------------------------------------------------------------

static bool add_variable(mxnet *m, size_t index, const json_t *node) {
  uint32_t at;
  m->values[index] = arena_array(m->c->memory, 1, sizeof **m->values);
  if (!m->values[index]) return !convert_no_memory(m->c);
  m->value_counts[index] = 1;
  if (!str_map_find(&m->array_of, str_from(text_of(node, "name")), &at)) return add_input(m, index, node);
  m->values[index][0].array = &m->arrays[at];
  return true;
}

static bool find_inputs(mxnet *m, size_t index, const json_t *node, mxnet_op *op) {
  size_t from, result;
  for (size_t i = 0; i < inputs_of(node); i++) {
    if (i == MXNET_VALUES) return !net_fail(op->n, SDX_LIMIT_EXCEEDED, NULL, "more than %d inputs", MXNET_VALUES);
    if (!input_of(node, i, &from, &result) || from >= index || result >= m->value_counts[from])
      return !net_fail(op->n, SDX_INVALID_MODEL, NULL, "its input %zu is never computed", i);
    op->in[op->in_count++] = m->values[from][result];
  }
  return true;
}

static bool emit_node(mxnet *m, size_t index, const json_t *node) {
  mxnet_op op = {
      .m = m, .n = &m->n, .attributes = attributes_of(node), .kind = find_kind(text_of(node, "op")), .out_count = 1};
  m->n.layer = text_of(node, "name");
  m->n.kind = text_of(node, "op");
  if (!op.kind || !find_inputs(m, index, node, &op)) return false;
  op.kind->emit(&op);
  if (convert_failed(m->c)) return false;
  if ((!op.out[0].ref && !op.array) || op.out_count > MXNET_VALUES)
    return !net_fail(op.n, SDX_INVALID_MODEL, NULL, "it gives nothing");
  m->values[index] = arena_array(m->c->memory, op.out_count, sizeof **m->values);
  if (!m->values[index]) return !convert_no_memory(m->c);
  m->value_counts[index] = op.out_count;
  m->values[index][0].array = op.array;
  for (size_t i = 0; i < op.out_count; i++) {
    if (!net_is_sound(op.n, &op.out[i])) return false;
    m->values[index][i].tensor = op.out[i];
  }
  return true;
}

// Results are named as MXNet names them: NODE_output, or NODE_output1 where there are several.
static char *name_of_head(mxnet *m, const json_t *node, size_t result) {
  const char *name = text_of(node, "name");
  return result ? arena_format(m->c->memory, "%s_output%zu", name, result)
                : arena_format(m->c->memory, "%s_output", name);
}

static bool add_outputs(mxnet *m, const json_t *heads) {
  for (size_t i = 0; i < json_array_size(heads); i++) {
    const json_t *head = json_array_get(heads, i);
    json_int_t from = json_integer_value(json_array_get(head, 0)), result = json_integer_value(json_array_get(head, 1));
    if (from < 0 || from >= (json_int_t)json_array_size(m->nodes) || result < 0 ||
        (size_t)result >= m->value_counts[from] || !m->values[from][result].tensor.ref)
      return !convert_fail(m->c, SDX_INVALID_MODEL, "heads", NULL, "result %zu is never computed", i);
    char *name = name_of_head(m, json_array_get(m->nodes, (size_t)from), (size_t)result);
    if (!name) return !convert_no_memory(m->c);
    net_output(&m->n, name, m->values[from][result].tensor);
  }
  return !convert_failed(m->c);
}

static sdx_status convert_symbol(mxnet *m, const json_t *root) {
  m->nodes = json_object_get(root, "nodes");
  size_t count = json_array_size(m->nodes);
  const json_t *heads = json_object_get(root, "heads"),
               *version = json_array_get(json_object_get(json_object_get(root, "attrs"), "mxnet_version"), 1);
  if (!count || count > MOST_NODES || !json_array_size(heads))
    return convert_fail(m->c, SDX_INVALID_MODEL, "symbol", NULL, "it has no nodes or no heads");
  if (!check_nodes(m)) return SDX_NOT_SUPPORTED;
  long long number = json_integer_value(version);
  if (number > 0) convert_made_by(m->c, "MXNet %lld.%lld.%lld", number / 10000, number / 100 % 100, number % 100);
  m->values = arena_array(m->c->memory, count, sizeof *m->values);
  m->value_counts = arena_array(m->c->memory, count, sizeof *m->value_counts);
  if (!m->values || !m->value_counts || !find_readers(m)) return convert_no_memory(m->c);
  for (size_t i = 0; i < count; i++) {
    const json_t *node = json_array_get(m->nodes, i);
    if (!(is_variable(node) ? add_variable : emit_node)(m, i, node)) return SDX_INVALID_MODEL;
  }
  add_outputs(m, heads);
  return m->c->f->status;
}

// ---- the files --------------------------------------------------------------------------------------

// The file with the parameters of a symbol: of the last epoch, if there are several. NULL: none.
static char *params_beside(const char *path, arena *memory) {
  const char *slash = strrchr(path, '/'), *base = slash ? slash + 1 : path;
  const char *end = strstr(base, "-symbol.json");
  size_t stem = end ? (size_t)(end - base) : strcspn(base, ".");
  char *folder = arena_format(memory, "%.*s", slash ? (int)(slash - path) + 1 : 2, slash ? path : "./"), *found = NULL,
       *best = NULL;
  DIR *d = folder && !access(path, R_OK) ? opendir(folder) : NULL;
  for (struct dirent *e; d && (e = readdir(d));) {
    size_t size = strlen(e->d_name);
    if (size < stem + 7 || strcmp(e->d_name + size - 7, ".params") != 0 || strncmp(e->d_name, base, stem) != 0 ||
        (e->d_name[stem] != '-' && e->d_name[stem] != '.'))
      continue;
    if (best && strcmp(best, e->d_name) >= 0) continue;
    best = arena_format(memory, "%s", e->d_name);
    found = arena_format(memory, "%s%s", folder, e->d_name);
  }
  if (d) closedir(d);
  return found;
}

static char *symbol_beside(const char *path, arena *memory) {
  const char *dot = strrchr(path, '.'), *dash = strrchr(path, '-');
  size_t stem = dash && dot && dash < dot ? (size_t)(dash - path) : dot ? (size_t)(dot - path) : strlen(path);
  char *found = arena_format(memory, "%.*s-symbol.json", (int)stem, path);
  return found && !access(found, R_OK) ? found : NULL;
}

static bool is_symbol(const source *s) {
  size_t at = 0;
  while (at < s->head_size && s->head[at] && strchr(" \t\r\n", s->head[at])) at++;
  return at < s->head_size && s->head[at] == '{';
}

static char *beside(const source *s, arena *memory) {
  return is_symbol(s) ? params_beside(s->path, memory) : symbol_beside(s->path, memory);
}

static void release(void *root) { json_decref(root); }

static sdx_status convert_both(mxnet *m, str symbol, str params, const char *params_file) {
  conversion *c = m->c;
  json_error_t wrong;
  if (!mxnet_read_arrays(m, params, params_file)) return SDX_INVALID_MODEL;
  json_t *root = json_loadb(symbol.at, symbol.size, 0, &wrong);
  if (!root) return convert_fail(c, SDX_INVALID_MODEL, "symbol", NULL, "line %d: %s", wrong.line, wrong.text);
  if (convert_at_end(c, release, root)) return convert_symbol(m, root);
  json_decref(root);
  return convert_no_memory(c);
}

static sdx_status convert(conversion *c) {
  mxnet *m = arena_array(c->memory, 1, sizeof *m);
  if (!m) return convert_no_memory(c);
  m->c = c;
  net_init(&m->n, c);
  str_map_init(&m->array_of, c->memory);
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  if (sdx_builder_opset(c->builder, "") < 13)
    return convert_fail(c, SDX_NOT_SUPPORTED, NULL, "--opset 13 or newer", "MXNet's operators need opset 13");
  str bytes = {c->source->bytes, (size_t)c->source->size}, other = {0};
  convert_made_by(c, "MXNet");
  static const char none[] = "\x12\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0";
  char *path = beside(c->source, c->memory);
  if (!is_symbol(c->source)) {
    if (!path && !mxnet_read_arrays(m, bytes, c->source->path)) return SDX_INVALID_MODEL;
    if (!path)
      return convert_fail(c, SDX_NOT_FOUND, c->source->path, "put NAME-symbol.json beside it",
                          "there are arrays, but no symbol that uses them");
    SDX_TRY(convert_read(c, AT_FDCWD, path, MOST_SYMBOL, &other));
    convert_note(c, "%s is read, too", path);
    return convert_both(m, other, bytes, c->source->path);
  }
  if (!path) {
    convert_note(c, "there is no .params file beside it: all variables are inputs");
    return convert_both(m, bytes, (str){none, sizeof none - 1}, "none");
  }
  SDX_TRY(convert_read(c, AT_FDCWD, path, (size_t)1 << 40, &other));
  convert_note(c, "%s is read, too", path);
  return convert_both(m, bytes, other, path);
}

static const char reference[] =
    "def predict(path, inputs):\n"
    "    import glob, re, numpy\n"
    "    numpy.bool = bool\n"
    "    import mxnet\n"
    "    stem = re.sub(r'-symbol\\.json$|-\\d+\\.params$', '', path)\n"
    "    params = sorted(glob.glob(stem + '-*.params'))[-1]\n"
    "    net = mxnet.gluon.SymbolBlock.imports(stem + '-symbol.json', list(inputs), params)\n"
    "    results = net(*[mxnet.nd.array(x) for x in inputs.values()])\n"
    "    results = results if isinstance(results, (list, tuple)) else [results]\n"
    "    return dict(zip(mxnet.sym.load(stem + '-symbol.json').list_outputs(), [r.asnumpy() for r in results]))\n";

CONVERT_FORMAT(mxnet) = {
    .name = "mxnet",
    .title = "MXNet",
    .files = "symbol (-symbol.json) and parameters (.params), side by side",
    .kinds = CONVERT_KINDS("mxnet-symbol", "mxnet-params"),
    .convert = convert,
    .beside = beside,
    .reference = reference,
};
