// SPDX-License-Identifier: Apache-2.0
// Values of networks, their weights, and nodes that change shapes (net.h).
#include "convert/net.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/half.h"
#include "base/size.h"

void net_init(net *n, conversion *c) {
  *n = (net){.c = c, .layer = "", .kind = ""};
  str_map_init(&n->nodes, c->memory);
  str_map_init(&n->outputs, c->memory);
}

void net_reserve(net *n, str output) {
  if (!str_map_put(&n->outputs, output, 1)) convert_no_memory(n->c);
}

sdx_status net_fail(const net *n, sdx_status status, const char *hint, const char *format, ...) {
  char place[300], message[400];
  snprintf(place, sizeof place, "layer '%.180s' (%.80s)", n->layer, n->kind);
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  return convert_fail(n->c, status, place, hint, "%s", message);
}

const char *net_shape_text(net *n, const net_tensor *x) {
  char text[200] = "[";
  size_t at = 1;
  for (size_t i = 0; i < x->rank && at < 170; i++)
    at += (size_t)(x->shape[i] < 0 ? snprintf(text + at, 30, i ? ", ?" : "?")
                                   : snprintf(text + at, 30, i ? ", %lld" : "%lld", (long long)x->shape[i]));
  const char *copy = arena_format(n->c->memory, "%s]", text);
  return copy ? copy : "";
}

// ---- inputs and outputs -----------------------------------------------------------------------------

net_tensor net_input(net *n, const char *name, net_tensor x, bool batch) {
  const char *symbols[NET_RANK];
  for (size_t i = 0; i < x.rank; i++)
    symbols[i] = x.shape[i] >= 0 ? NULL : i || !batch ? arena_format(n->c->memory, "%s_%zu", name, i) : "N";
  x.ref = sdx_graph_add_input(
      n->c->graph,
      &(sdx_io){
          .name = name, .dtype = x.dtype, .has_shape = true, .rank = x.rank, .shape = x.shape, .symbols = symbols});
  return x;
}

void net_output(net *n, const char *name, net_tensor x) {
  const char *symbols[NET_RANK];
  for (size_t i = 0; i < x.rank; i++) symbols[i] = i || x.shape[0] >= 0 ? NULL : "N";
  sdx_graph_add_output(
      n->c->graph, x.ref,
      &(sdx_io){
          .name = name, .dtype = x.dtype, .has_shape = true, .rank = x.rank, .shape = x.shape, .symbols = symbols});
}

bool net_is_sound(net *n, const net_tensor *x) {
  for (size_t i = 0; i < x->rank; i++)
    if (x->shape[i] > INT32_MAX)
      return !net_fail(n, SDX_LIMIT_EXCEEDED, NULL, "a result of shape %s", net_shape_text(n, x));
  return true;
}

// ---- weights ----------------------------------------------------------------------------------------

// Of a number; 0: packed.
static size_t coding_bytes(net_coding coding) {
  static const size_t bytes[] = {[NET_F32] = 4, [NET_F64] = 8, [NET_F16] = 2, [NET_BF16] = 2,  [NET_I32] = 4,
                                 [NET_I64] = 8, [NET_I8] = 1,  [NET_U8] = 1,  [NET_PACKED] = 0};
  return coding == NET_ZERO ? 0 : bytes[coding];
}

static float float_at(const void *at, size_t i) {
  float f;
  memcpy(&f, (const char *)at + i * sizeof f, sizeof f);
  return f;
}

static unsigned packed_at(const net_numbers *w, size_t i) {
  unsigned number = 0;
  if (w->low_first) {
    for (size_t k = 0, bit = i * w->bits; k < w->bits; k++, bit++)
      number |= (((const unsigned char *)w->at)[bit / 8] >> bit % 8 & 1u) << k;
    return number;
  }
  for (size_t bit = i * w->bits, end = bit + w->bits; bit < end; bit++)
    number = number << 1 | (((const unsigned char *)w->at)[bit / 8] >> (7 - bit % 8) & 1u);
  return number;
}

static double stored_at(const net_numbers *w, size_t i) {
  const char *at = (const char *)w->at + i * coding_bytes(w->coding);
  double d;
  int32_t n;
  int64_t l;
  uint16_t h;
  switch (w->coding) {
    case NET_F32:
      return (double)float_at(w->at, i);
    case NET_F64:
      return memcpy(&d, at, sizeof d), d;
    case NET_F16:
      return memcpy(&h, at, sizeof h), (double)fp16_to_float(h);
    case NET_BF16:
      return memcpy(&h, at, sizeof h), (double)bf16_to_float(h);
    case NET_I32:
      return memcpy(&n, at, sizeof n), (double)n;
    case NET_I64:
      return memcpy(&l, at, sizeof l), (double)l;
    case NET_I8:
      return *(const signed char *)at;
    case NET_U8:
      return *(const unsigned char *)at;
    case NET_PACKED:
      return packed_at(w, i);
    default:
      return 0;
  }
}

double net_number_at(const net_numbers *w, size_t i) {
  if (w->table) return (double)float_at(w->table, packed_at(w, i));
  double number = stored_at(w, i);
  if (!w->scale) return number;
  // In floats, as whoever made the file computes them.
  size_t of = i / w->per % w->scales;
  float y = (float)number * float_at(w->scale, of);
  return (double)(w->bias ? y + float_at(w->bias, of) : y);
}

static size_t element_size(sdx_dtype dtype) {
  return dtype == SDX_DOUBLE || dtype == SDX_INT64 ? 8 : dtype == SDX_FLOAT16 ? 2 : dtype == SDX_BOOL ? 1 : 4;
}

static void store(sdx_dtype dtype, double number, char *at) {
  float f = (float)number;
  uint16_t h;
  int64_t l = number >= -0x1p63 && number < 0x1p63 ? (int64_t)number : 0;
  int32_t i = (int32_t)l;
  switch ((int)dtype) {
    case SDX_DOUBLE:
      memcpy(at, &number, sizeof number);
      break;
    case SDX_FLOAT16:
      memcpy(at, (h = fp16_from_float(f), &h), sizeof h);
      break;
    case SDX_INT64:
      memcpy(at, &l, sizeof l);
      break;
    case SDX_INT32:
      memcpy(at, &i, sizeof i);
      break;
    case SDX_BOOL:
      *at = number != 0;
      break;
    default:
      memcpy(at, &f, sizeof f);
  }
}

// What a constant is made of.
typedef struct made {
  sdx_dtype dtype;
  size_t count;
  net_piece *pieces;
  net_numbers *numbers;
} made;

// Whether its numbers are stored as they are wanted.
static bool is_stored_as(const net_piece *p, sdx_dtype dtype) {
  static const sdx_dtype dtypes[] = {[NET_F32] = SDX_FLOAT, [NET_F64] = SDX_DOUBLE, [NET_F16] = SDX_FLOAT16,
                                     [NET_I32] = SDX_INT32, [NET_I64] = SDX_INT64,  [NET_ZERO] = SDX_UNDEFINED};
  return p->from && !p->from->scale && !p->from->table && p->scale == 0 && dtypes[p->from->coding] == dtype;
}

static bool in_order(const net_piece *p) {
  int64_t step = 1;
  for (size_t i = p->rank; i--; step *= p->shape[i])
    if (p->stride[i] != step) return false;
  return true;
}

static char *fill_piece(const net_piece *p, sdx_dtype dtype, char *to) {
  int64_t index[NET_RANK] = {0}, at = p->offset;
  size_t count = 1, bytes = element_size(dtype);
  bool same = is_stored_as(p, dtype);
  for (size_t i = 0; i < p->rank; i++) count *= (size_t)p->shape[i];
  if (same && in_order(p)) {
    if (count) memcpy(to, (const char *)p->from->at + (size_t)at * bytes, count * bytes);
    return to + count * bytes;
  }
  for (size_t k = 0; k < count; k++, to += bytes) {
    double number = !same && p->from ? net_number_at(p->from, (size_t)at) : 0;
    if (same) memcpy(to, (const char *)p->from->at + (size_t)at * bytes, bytes);
    else store(dtype, p->scale != 0 ? number * p->scale : number, to);
    for (size_t i = p->rank; i--;) {
      at += p->stride[i];
      if (++index[i] < p->shape[i]) break;
      at -= p->stride[i] * p->shape[i];
      index[i] = 0;
    }
  }
  return to;
}

static sdx_status fill(void *context, void *bytes, size_t size) {
  const made *m = context;
  char *to = bytes;
  (void)size;
  for (size_t i = 0; i < m->count; i++) to = fill_piece(&m->pieces[i], m->dtype, to);
  return SDX_OK;
}

bool net_pieces_fit(size_t rank, const int64_t *shape, size_t count, const net_piece *pieces) {
  size_t sum = 0, total;
  if (rank > NET_RANK || !size_product(shape, rank, &total)) return false;
  for (size_t i = 0; i < count; i++) {
    const net_piece *p = &pieces[i];
    size_t size;
    int64_t least = p->offset, most = p->offset;
    if (!size_product(p->shape, p->rank, &size) || !size_add(sum, size, &sum)) return false;
    for (size_t d = 0; size && d < p->rank; d++) {
      int64_t reach;
      if (!i64_mul(p->stride[d], p->shape[d] - 1, &reach)) return false;
      if (!i64_add(reach < 0 ? least : most, reach, reach < 0 ? &least : &most)) return false;
    }
    if (size && p->from && p->from->coding != NET_ZERO && (least < 0 || most >= (int64_t)p->from->count)) return false;
  }
  return sum == total;
}

sdx_ref net_filled(conversion *c, const char *label, sdx_dtype dtype, size_t rank, const int64_t *shape, size_t count,
                   const net_piece *pieces) {
  made *m = arena_array(c->memory, 1, sizeof *m);
  if (!label || !m || !(m->pieces = arena_copy(c->memory, pieces, count * sizeof *pieces)) ||
      !(m->numbers = arena_array(c->memory, count, sizeof *m->numbers)))
    return convert_no_memory(c), 0;
  m->dtype = dtype;
  m->count = count;
  for (size_t i = 0; i < count; i++)
    if (pieces[i].from) m->pieces[i].from = memcpy(&m->numbers[i], pieces[i].from, sizeof *m->numbers);
  return sdx_graph_add_filled(sdx_builder_graph(c->builder), label, dtype, rank, shape, fill, m);
}

static size_t numbers_of(size_t count, const net_piece *pieces) {
  size_t all = 0;
  for (size_t i = 0; i < count; i++) all += pieces[i].from ? pieces[i].from->count : 0;
  return all;
}

net_tensor net_pieces(net *n, const char *part, sdx_dtype dtype, size_t rank, const int64_t *shape, size_t count,
                      const net_piece *pieces) {
  enum { SMALL = 1 << 20 };  // zeros may be more than the file has numbers
  net_tensor y = {.dtype = dtype, .rank = rank};
  size_t total, given = numbers_of(count, pieces);
  if (!net_pieces_fit(rank, shape, count, pieces) || !size_product(shape, rank, &total) ||
      (total > SMALL && total / 4 > given)) {
    net_fail(n, SDX_INVALID_MODEL, "is the file damaged?",
             "the %s has %zu numbers in the file, which does not fit the layer's sizes", part, given);
    return y;
  }
  if (rank) memcpy(y.shape, shape, rank * sizeof *shape);
  y.ref = net_filled(n->c, arena_format(n->c->memory, "%s/%s", n->layer, part), dtype, rank, shape, count, pieces);
  return y;
}

net_tensor net_constant(net *n, const char *part, sdx_dtype dtype, size_t rank, const int64_t *shape,
                        const net_numbers *from, const int64_t *order) {
  net_piece p = {.from = from, .rank = rank};
  int64_t stride[NET_RANK], step = 1;
  if (rank > NET_RANK) return net_fail(n, SDX_NOT_SUPPORTED, NULL, "weights of rank %zu", rank), (net_tensor){0};
  for (size_t i = rank; i--; step = wrap_mul(step, shape[i])) stride[i] = step;
  for (size_t i = 0; i < rank; i++) {
    size_t at = order ? (size_t)order[i] : i;
    p.shape[i] = shape[at];
    p.stride[i] = stride[at];
  }
  return net_pieces(n, part, dtype, rank, p.shape, 1, &p);
}

sdx_ref net_literal(conversion *c, const char *label, sdx_dtype dtype, size_t rank, const int64_t *shape,
                    const double *at) {
  size_t count;
  sdx_value *v = size_product(shape, rank, &count) ? sdx_tensor_create(dtype, rank, shape) : NULL;
  char *to = v ? sdx_tensor_data(v) : NULL;
  for (size_t i = 0; to && i < count; i++) store(dtype, at[i], to + i * element_size(dtype));
  return sdx_graph_add_initializer(c->graph, label, v);
}

net_tensor net_values(net *n, const char *part, sdx_dtype dtype, size_t rank, const int64_t *shape, const double *at) {
  net_tensor y = {.dtype = dtype, .rank = rank};
  const char *label = arena_format(n->c->memory, "%s/%s", n->layer, part);
  if (rank) memcpy(y.shape, shape, rank * sizeof *shape);
  y.ref = net_literal(n->c, label ? label : part, dtype, rank, shape, at);
  return y;
}

net_tensor net_scalar(net *n, sdx_dtype dtype, double number) {
  return (net_tensor){.ref = sdx_graph_add_scalar(n->c->graph, dtype, number), .dtype = dtype};
}

net_tensor net_row(net *n, const char *part, int64_t count, double number) {
  enum { MOST = 1 << 20 };
  double *all = count >= 0 && count <= MOST ? arena_array(n->c->memory, (size_t)count + 1, sizeof *all) : NULL;
  if (!all)
    return net_fail(n, SDX_NOT_SUPPORTED, NULL, "%lld numbers of its %s", (long long)count, part), (net_tensor){0};
  for (int64_t i = 0; i < count; i++) all[i] = number;
  return net_values(n, part, SDX_FLOAT, 1, &count, all);
}

net_tensor net_ints(net *n, size_t count, const int64_t *at) {
  return (net_tensor){sdx_graph_add_ints(n->c->graph, count, at), SDX_INT64, 1, {(int64_t)count}};
}

// ---- nodes ------------------------------------------------------------------------------------------

// Names of nodes are unique.
sdx_ref net_node(net *n, const char *op, const char *part, size_t count, const sdx_ref *inputs) {
  uint32_t seen = 0;
  if (!part && str_map_find(&n->outputs, str_from(n->layer), NULL)) part = op;
  char *name = arena_format(n->c->memory, "%s%s%s", n->layer, part ? "/" : "", part ? part : ""), *unique = name;
  while (unique && str_map_find(&n->nodes, str_from(unique), NULL)) {
    str_map_find(&n->nodes, str_from(name), &seen);
    str_map_put(&n->nodes, str_from(name), ++seen);
    unique = arena_format(n->c->memory, "%s_%u", name, seen);
  }
  if (!unique || !str_map_put(&n->nodes, str_from(unique), 0)) return convert_no_memory(n->c), 0;
  return sdx_graph_add_node(n->c->graph, op, unique, count, inputs);
}

net_tensor net_like(net_tensor x, sdx_ref ref) {
  x.ref = ref;
  return x;
}

net_tensor net_apply(net *n, const char *op, const char *part, net_tensor x) {
  return net_like(x, net_node(n, op, part, SDX_REFS(x.ref)));
}

net_tensor net_cast(net *n, net_tensor x, sdx_dtype to) {
  if (x.dtype == to) return x;
  x.dtype = to;
  x.ref = net_node(n, "Cast", "cast", SDX_REFS(x.ref));
  sdx_graph_set_int(n->c->graph, "to", to);
  return x;
}

net_tensor net_scale(net *n, const char *op, const char *part, net_tensor x, double number) {
  return net_like(x, net_node(n, op, part, SDX_REFS(x.ref, net_scalar(n, x.dtype, number).ref)));
}

static bool broadcast(net *n, net_tensor a, net_tensor b, net_tensor *y) {
  *y = a.rank >= b.rank ? a : b;
  for (size_t i = 1; i <= y->rank; i++) {
    int64_t p = i <= a.rank ? a.shape[a.rank - i] : 1, q = i <= b.rank ? b.shape[b.rank - i] : 1;
    if (p >= 0 && q >= 0 && p != 1 && q != 1 && p != q)
      return !net_fail(n, SDX_INVALID_MODEL, NULL, "shapes %s and %s do not fit", net_shape_text(n, &a),
                       net_shape_text(n, &b));
    y->shape[y->rank - i] = p == 1 ? q : q == 1 ? p : p < 0 ? q : p;
  }
  return true;
}

net_tensor net_binary(net *n, const char *op, const char *part, net_tensor a, net_tensor b) {
  net_tensor y;
  if (!broadcast(n, a, b, &y)) return a;
  y.dtype = a.dtype;
  y.ref = net_node(n, op, part, SDX_REFS(a.ref, b.ref));
  return y;
}

net_tensor net_compare(net *n, const char *op, const char *part, net_tensor a, net_tensor b) {
  net_tensor y = net_binary(n, op, part, a, b);
  y.dtype = SDX_BOOL;
  return y;
}

bool net_axis(net *n, const net_tensor *x, int64_t axis, size_t *at) {
  int64_t rank = (int64_t)x->rank;
  if (axis < -rank || axis >= rank)
    return !net_fail(n, SDX_INVALID_MODEL, NULL, "axis %lld of a value of shape %s", (long long)axis,
                     net_shape_text(n, x));
  *at = (size_t)(axis < 0 ? axis + rank : axis);
  return true;
}

net_tensor net_transpose(net *n, net_tensor x, const int64_t *order) {
  net_tensor y = x;
  bool same = true;
  for (size_t i = 0; i < x.rank; i++) {
    y.shape[i] = x.shape[order[i]];
    same = same && order[i] == (int64_t)i;
  }
  if (same) return x;
  y.ref = net_node(n, "Transpose", "transpose", SDX_REFS(x.ref));
  sdx_graph_set_ints(n->c->graph, "perm", x.rank, order);
  return y;
}

net_tensor net_permute(net *n, net_tensor x, size_t count, const int64_t *order) {
  unsigned seen = 0;
  for (size_t i = 0; i < count && count == x.rank; i++)
    if (order[i] >= 0 && order[i] < (int64_t)x.rank) seen |= 1u << order[i];
  if (count != x.rank || seen != (1u << x.rank) - 1)
    return net_fail(n, SDX_INVALID_MODEL, NULL, "an order of %zu axes for %s", count, net_shape_text(n, &x)), x;
  return net_transpose(n, x, order);
}

int64_t net_product(const net_tensor *x, size_t from, size_t to) {
  size_t product;
  return size_product(x->shape + from, to - from, &product) && product < INT32_MAX ? (int64_t)product : -1;
}

net_tensor net_reshape(net *n, net_tensor x, size_t rank, const int64_t *spec) {
  net_tensor y = {.dtype = x.dtype, .rank = rank};
  size_t left = rank, known = 1;
  bool open = false, same = rank == x.rank;
  for (size_t i = 0; i < rank; i++) {
    if (spec[i] == -1) left = i, y.shape[i] = -1;
    else y.shape[i] = spec[i] == 0 && i < x.rank ? x.shape[i] : spec[i];
    if (i != left && y.shape[i] < 0) open = true;
    else if (i != left && !size_mul(known, (size_t)y.shape[i], &known)) open = true;
  }
  int64_t all = net_product(&x, 0, x.rank);
  if (left < rank && all >= 0 && !open && known) {
    if (all % (int64_t)known)
      return net_fail(n, SDX_INVALID_MODEL, NULL, "%lld numbers of shape %s do not fit the shape that is wanted",
                      (long long)all, net_shape_text(n, &x)),
             x;
    y.shape[left] = all / (int64_t)known;
  } else if (left < rank && all < 0) {  // what is not known may be in the same place in both
    size_t unknown = 0, given = 1, at = 0;
    for (size_t i = 0; i < x.rank; i++)
      if (x.shape[i] < 0) unknown++, at = i;
      else if (!size_mul(given, (size_t)x.shape[i], &given)) unknown = 2;
    size_t rest = 1;
    for (size_t i = 0; i < rank; i++)
      if (i != left && !(spec[i] == 0 && i == at) && !size_mul(rest, (size_t)i64_max(y.shape[i], 1), &rest))
        unknown = 2;
    if (unknown == 1 && at < rank && spec[at] == 0 && rest && given % rest == 0)
      y.shape[left] = (int64_t)(given / rest);
  }
  for (size_t i = 0; same && i < rank; i++) same = y.shape[i] == x.shape[i] && (y.shape[i] >= 0 || spec[i] == 0);
  if (same) return x;
  y.ref = net_node(n, "Reshape", "reshape", SDX_REFS(x.ref, sdx_graph_add_ints(n->c->graph, rank, spec)));
  return y;
}

net_tensor net_unsqueeze(net *n, net_tensor x, size_t axis) {
  if (x.rank == NET_RANK)
    return net_fail(n, SDX_NOT_SUPPORTED, NULL, "a value of more than %d dimensions", NET_RANK), x;
  if (axis > x.rank) return net_fail(n, SDX_INVALID_MODEL, NULL, "a new axis %zu of %zu", axis, x.rank + 1), x;
  x.ref = net_node(n, "Unsqueeze", "unsqueeze",
                   SDX_REFS(x.ref, sdx_graph_add_ints(n->c->graph, 1, (int64_t[]){(int64_t)axis})));
  memmove(x.shape + axis + 1, x.shape + axis, (x.rank - axis) * sizeof *x.shape);
  x.shape[axis] = 1;
  x.rank++;
  return x;
}

net_tensor net_squeeze(net *n, net_tensor x, size_t axis) {
  x.ref = net_node(n, "Squeeze", "squeeze",
                   SDX_REFS(x.ref, sdx_graph_add_ints(n->c->graph, 1, (int64_t[]){(int64_t)axis})));
  x.rank--;
  memmove(x.shape + axis, x.shape + axis + 1, (x.rank - axis) * sizeof *x.shape);
  return x;
}

net_tensor net_slice(net *n, net_tensor x, size_t axis, int64_t from, int64_t to, int64_t step) {
  sdx_graph *g = n->c->graph;
  int64_t at = (int64_t)axis, size = x.shape[axis];
  if (from == 0 && step == 1 && (to == INT64_MAX || (size >= 0 && to >= size))) return x;
  sdx_ref ends[] = {sdx_graph_add_ints(g, 1, &from), sdx_graph_add_ints(g, 1, &to), sdx_graph_add_ints(g, 1, &at),
                    sdx_graph_add_ints(g, 1, &step)};
  x.ref = net_node(n, "Slice", "slice", SDX_REFS(x.ref, ends[0], ends[1], ends[2], ends[3]));
  if (size >= 0) x.shape[axis] = node_slice_length(size, from, to, step);
  return x;
}

net_tensor net_slice_each(net *n, net_tensor x, const int64_t *from, const int64_t *to, const int64_t *step,
                          const int64_t *from_start, const int64_t *to_end, const int64_t *gone) {
  for (size_t i = 0; i < x.rank; i++) {
    int64_t by = gone[i] || !step[i] ? 1 : step[i], first = from_start[i] ? by > 0 ? 0 : -1 : from[i];
    int64_t open = by > 0 ? INT64_MAX : INT64_MIN + 1;
    int64_t end = !gone[i] ? to_end[i] ? open : to[i] : first == -1 ? open : wrap_add(first, 1);
    x = net_slice(n, x, i, first, end, by);
  }
  for (size_t i = x.rank; i--;)
    if (gone[i]) x = net_squeeze(n, x, i);
  return x;
}

net_tensor net_concat(net *n, size_t axis, size_t count, const net_tensor *parts) {
  net_tensor y = parts[0];
  sdx_ref *refs = arena_array(n->c->memory, count, sizeof *refs);
  if (!refs) return convert_no_memory(n->c), y;
  for (size_t i = 0; i < count; i++) {
    refs[i] = parts[i].ref;
    if (parts[i].rank != y.rank)
      return net_fail(n, SDX_INVALID_MODEL, NULL, "shapes %s and %s do not fit", net_shape_text(n, &y),
                      net_shape_text(n, &parts[i])),
             y;
    for (size_t d = 0; d < y.rank; d++)
      if (i && d == axis) y.shape[d] = y.shape[d] < 0 || parts[i].shape[d] < 0 ? -1 : y.shape[d] + parts[i].shape[d];
      else if (y.shape[d] < 0) y.shape[d] = parts[i].shape[d];
      else if (d != axis && parts[i].shape[d] >= 0 && parts[i].shape[d] != y.shape[d])
        return net_fail(n, SDX_INVALID_MODEL, NULL, "shapes %s and %s do not fit along axis %zu",
                        net_shape_text(n, &parts[0]), net_shape_text(n, &parts[i]), d),
               y;
  }
  if (count == 1) return y;
  y.ref = net_node(n, "Concat", NULL, count, refs);
  sdx_graph_set_int(n->c->graph, "axis", (int64_t)axis);
  return y;
}

net_tensor net_stack(net *n, int64_t axis, size_t count, net_tensor *parts) {
  net_tensor like = {.rank = parts[0].rank + 1};
  size_t at;
  if (like.rank > NET_RANK)
    return net_fail(n, SDX_NOT_SUPPORTED, NULL, "a value of more than %d dimensions", NET_RANK), parts[0];
  if (!net_axis(n, &like, axis, &at)) return parts[0];
  for (size_t i = 0; i < count; i++) {
    if (parts[i].rank + 1 != like.rank)
      return net_fail(n, SDX_INVALID_MODEL, NULL, "values of rank %zu and %zu", like.rank - 1, parts[i].rank), parts[0];
    parts[i] = net_unsqueeze(n, parts[i], at);
  }
  return net_concat(n, at, count, parts);
}

net_tensor net_pad(net *n, net_tensor x, const char *mode, double value, const int64_t *before, const int64_t *after) {
  int64_t pads[2 * NET_RANK];
  bool none = true;
  for (size_t i = 0; i < x.rank; i++) {
    if (before[i] < -NET_MOST || before[i] > NET_MOST || after[i] < -NET_MOST || after[i] > NET_MOST)
      return net_fail(n, SDX_INVALID_MODEL, NULL, "a border of %lld", (long long)(before[i] ? before[i] : after[i])), x;
    pads[i] = before[i], pads[x.rank + i] = after[i];
    none = none && !before[i] && !after[i];
    if (x.shape[i] >= 0) x.shape[i] += before[i] + after[i];
  }
  if (none) return x;
  sdx_graph *g = n->c->graph;
  sdx_ref borders = sdx_graph_add_ints(g, 2 * x.rank, pads);
  bool constant = !strcmp(mode, "constant");
  x.ref = net_node(n, "Pad", "pad", constant ? 3 : 2,
                   (sdx_ref[]){x.ref, borders, constant ? net_scalar(n, x.dtype, value).ref : 0});
  sdx_graph_set_string(g, "mode", mode);
  return x;
}

net_tensor net_reduce(net *n, const char *op, net_tensor x, size_t count, const int64_t *axes, bool keep) {
  sdx_graph *g = n->c->graph;
  net_tensor y = {.dtype = x.dtype};
  bool gone[NET_RANK] = {0};
  if (node_axes_are_inputs(n->c, op)) {
    y.ref = net_node(n, op, NULL, SDX_REFS(x.ref, sdx_graph_add_ints(g, count, axes)));
  } else {
    y.ref = net_node(n, op, NULL, SDX_REFS(x.ref));
    sdx_graph_set_ints(g, "axes", count, axes);
  }
  sdx_graph_set_int(g, "keepdims", keep);
  for (size_t i = 0; i < count; i++) gone[axes[i]] = true;
  for (size_t i = 0; i < x.rank; i++)
    if (!gone[i] || keep) y.shape[y.rank++] = gone[i] ? 1 : x.shape[i];
  return y;
}

net_tensor net_softmax(net *n, const char *op, net_tensor x, size_t axis) {
  net_tensor y = net_apply(n, op, NULL, x);
  sdx_graph_set_int(n->c->graph, "axis", (int64_t)axis);
  return y;
}

net_tensor net_expand(net *n, net_tensor x, size_t rank, const int64_t *shape) {
  net_tensor want = {.rank = rank}, y;
  for (size_t i = 0; i < rank; i++) want.shape[i] = shape[i];
  if (!broadcast(n, x, want, &y)) return x;
  y.dtype = x.dtype;
  y.ref = net_node(n, "Expand", "expand", SDX_REFS(x.ref, sdx_graph_add_ints(n->c->graph, rank, shape)));
  return y;
}

net_tensor net_tile(net *n, net_tensor x, const int64_t *repeats) {
  net_tensor y = x;
  for (size_t i = 0; i < x.rank; i++) {
    if (repeats[i] < 0 || repeats[i] > NET_MOST)
      return net_fail(n, SDX_INVALID_MODEL, NULL, "%lld repetitions", (long long)repeats[i]), x;
    if (x.shape[i] >= 0) y.shape[i] *= repeats[i];
  }
  y.ref = net_node(n, "Tile", NULL, SDX_REFS(x.ref, sdx_graph_add_ints(n->c->graph, x.rank, repeats)));
  return y;
}

net_tensor net_gather(net *n, net_tensor data, net_tensor at, size_t axis) {
  net_tensor y = {.dtype = data.dtype, .rank = data.rank - 1 + at.rank};
  if (y.rank > NET_RANK) return net_fail(n, SDX_NOT_SUPPORTED, NULL, "a result of rank %zu", y.rank), data;
  size_t k = 0;
  for (size_t i = 0; i < axis; i++) y.shape[k++] = data.shape[i];
  for (size_t i = 0; i < at.rank; i++) y.shape[k++] = at.shape[i];
  for (size_t i = axis + 1; i < data.rank; i++) y.shape[k++] = data.shape[i];
  y.ref = net_node(n, "Gather", NULL, SDX_REFS(data.ref, at.ref));
  sdx_graph_set_int(n->c->graph, "axis", (int64_t)axis);
  return y;
}

net_tensor net_gather_along(net *n, net_tensor data, net_tensor at, size_t axis) {
  net_tensor y = net_cast(n, at, SDX_INT64);
  y.ref = net_node(n, "GatherElements", NULL, SDX_REFS(data.ref, y.ref));
  sdx_graph_set_int(n->c->graph, "axis", (int64_t)axis);
  y.dtype = data.dtype;
  return y;
}

void net_split(net *n, net_tensor x, size_t axis, size_t count, const int64_t *sizes, net_tensor *parts) {
  sdx_graph *g = n->c->graph;
  int64_t sum = 0;
  for (size_t i = 0; i < count; i++) {
    parts[i] = x;
    if (sizes[i] < 0 || sizes[i] > INT32_MAX) sum = INT64_MIN / 2;
    else sum += parts[i].shape[axis] = sizes[i];
  }
  if (sum < 0 || (x.shape[axis] >= 0 && sum != x.shape[axis])) {
    net_fail(n, SDX_INVALID_MODEL, NULL, "parts that are not %s along axis %zu", net_shape_text(n, &x), axis);
    return;
  }
  if (count == 1) return;
  parts[0].ref = net_node(n, "Split", NULL, SDX_REFS(x.ref, sdx_graph_add_ints(g, count, sizes)));
  sdx_graph_set_int(g, "axis", (int64_t)axis);
  for (size_t i = 1; i < count; i++) parts[i].ref = sdx_graph_add_node_output(g);
}

net_tensor net_flatten(net *n, net_tensor x, size_t keep) {
  if (x.rank == keep + 1) return x;
  int64_t spec[NET_RANK] = {0};
  spec[keep] = -1;
  return net_reshape(n, x, keep + 1, spec);
}

net_tensor net_flatten_2d(net *n, net_tensor x, int64_t axis) {
  int64_t rank = (int64_t)x.rank, at = axis < 0 ? axis + rank : axis;
  if (at < 0 || at > rank)
    return net_fail(n, SDX_INVALID_MODEL, NULL, "axis %lld of %s", (long long)axis, net_shape_text(n, &x)), x;
  net_tensor y = {net_node(n, "Flatten", NULL, SDX_REFS(x.ref)),
                  x.dtype,
                  2,
                  {net_product(&x, 0, (size_t)at), net_product(&x, (size_t)at, x.rank)}};
  sdx_graph_set_int(n->c->graph, "axis", at);
  return y;
}

net_tensor net_shape_of(net *n, net_tensor x) {
  return (net_tensor){net_node(n, "Shape", "shape", SDX_REFS(x.ref)), SDX_INT64, 1, {(int64_t)x.rank}};
}
