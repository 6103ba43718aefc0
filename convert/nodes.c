// SPDX-License-Identifier: Apache-2.0
// Pieces of graphs (nodes.h).
#include "convert/nodes.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/size.h"

enum { AXES_ARE_INPUTS = 13, REDUCE_AXES_ARE_INPUTS = 18 };  // of ReduceMax; ReduceSum has them since 13

static int64_t opset(const conversion *c) { return sdx_builder_opset(c->builder, ""); }

sdx_ref node_cast(conversion *c, sdx_ref x, sdx_dtype to) {
  sdx_ref y = sdx_graph_add_node(c->graph, "Cast", NULL, SDX_REFS(x));
  sdx_graph_set_int(c->graph, "to", to);
  return y;
}

sdx_ref node_unsqueeze(conversion *c, sdx_ref x, int64_t axis) {
  sdx_graph *g = c->graph;
  if (opset(c) >= AXES_ARE_INPUTS)
    return sdx_graph_add_node(g, "Unsqueeze", NULL, SDX_REFS(x, sdx_graph_add_ints(g, 1, &axis)));
  x = sdx_graph_add_node(g, "Unsqueeze", NULL, SDX_REFS(x));
  sdx_graph_set_ints(g, "axes", 1, &axis);
  return x;
}

sdx_ref node_concat(conversion *c, const char *name, int64_t axis, size_t count, const sdx_ref *parts) {
  sdx_ref y = sdx_graph_add_node(c->graph, "Concat", name, count, parts);
  sdx_graph_set_int(c->graph, "axis", axis);
  return y;
}

bool node_axes_are_inputs(const conversion *c, const char *reduction) {
  return opset(c) >= (strcmp(reduction, "ReduceSum") ? REDUCE_AXES_ARE_INPUTS : AXES_ARE_INPUTS);
}

sdx_ref node_reduce(conversion *c, const char *op, sdx_ref x, int64_t axis) {
  sdx_graph *g = c->graph;
  if (node_axes_are_inputs(c, op)) return sdx_graph_add_node(g, op, NULL, SDX_REFS(x, sdx_graph_add_ints(g, 1, &axis)));
  x = sdx_graph_add_node(g, op, NULL, SDX_REFS(x));
  sdx_graph_set_ints(g, "axes", 1, &axis);
  return x;
}

sdx_ref node_arg_max(conversion *c, sdx_ref x, int64_t axis) {
  sdx_ref y = sdx_graph_add_node(c->graph, "ArgMax", "label", SDX_REFS(x));
  sdx_graph_set_int(c->graph, "axis", axis);
  sdx_graph_set_int(c->graph, "keepdims", 0);
  return y;
}

sdx_ref node_threshold(conversion *c, sdx_ref x, sdx_dtype dtype, double above) {
  sdx_graph *g = c->graph;
  sdx_ref limit = sdx_graph_add_scalar(g, dtype, above);
  return node_cast(c, sdx_graph_add_node(g, "Greater", NULL, SDX_REFS(x, limit)), SDX_INT64);
}

static sdx_ref binary(conversion *c, const char *op, sdx_ref x, double y) {
  return sdx_graph_add_node(c->graph, op, NULL, SDX_REFS(x, sdx_graph_add_scalar(c->graph, SDX_DOUBLE, y)));
}

// As glibc (2.28 on), musl and others compute it: e^x = 2^(k/32) 2^(r/32), the second factor a polynomial of degree 3,
// all in double. Its error of 0.502 units in the last place is part of what is to be met.
sdx_ref node_exp_f32(conversion *c, sdx_ref x) {
  sdx_graph *g = c->graph;
  const double n = 32, c0 = 0x1.c6af84b912394p-5 / (n * n * n), c1 = 0x1.ebfce50fac4f3p-3 / (n * n),
               c2 = 0x1.62e42ff0c52d6p-1 / n;
  sdx_ref z = binary(c, "Mul", node_cast(c, x, SDX_DOUBLE), 0x1.71547652b82fep+0 * n);
  sdx_ref k = sdx_graph_add_node(g, "Round", NULL, SDX_REFS(z));
  sdx_ref r = sdx_graph_add_node(g, "Sub", NULL, SDX_REFS(z, k));
  sdx_ref y = binary(c, "Add", binary(c, "Mul", r, c0), c1);
  y = binary(c, "Add", sdx_graph_add_node(g, "Mul", NULL, SDX_REFS(y, r)), c2);
  y = binary(c, "Add", sdx_graph_add_node(g, "Mul", NULL, SDX_REFS(y, r)), 1);
  sdx_ref two = sdx_graph_add_scalar(g, SDX_DOUBLE, 2);
  sdx_ref power = sdx_graph_add_node(g, "Pow", NULL, SDX_REFS(two, binary(c, "Mul", k, 1 / n)));
  return node_cast(c, sdx_graph_add_node(g, "Mul", "exp", SDX_REFS(y, power)), SDX_FLOAT);
}

// log(u) e / (u - 1) with u = 1 + e rounded: what the sum lost the quotient gives back. Where nothing is left of e, it
// is the result itself.
sdx_ref node_log1p_f64(conversion *c, sdx_ref x) {
  sdx_graph *g = c->graph;
  sdx_ref u = binary(c, "Add", x, 1), kept = binary(c, "Sub", u, 1);
  sdx_ref lost = sdx_graph_add_node(g, "Equal", NULL, SDX_REFS(kept, sdx_graph_add_scalar(g, SDX_DOUBLE, 0)));
  sdx_ref ratio = sdx_graph_add_node(g, "Div", NULL, SDX_REFS(x, kept));
  sdx_ref log = sdx_graph_add_node(g, "Log", NULL, SDX_REFS(u));
  sdx_ref y = sdx_graph_add_node(g, "Mul", NULL, SDX_REFS(log, ratio));
  return sdx_graph_add_node(g, "Where", "log1p", SDX_REFS(lost, x, y));
}

static bool is_float(sdx_dtype dtype) {
  return dtype == SDX_FLOAT || dtype == SDX_DOUBLE || dtype == SDX_FLOAT16 || dtype == SDX_BFLOAT16;
}

static bool is_unsigned(sdx_dtype dtype) {
  return dtype == SDX_UINT8 || dtype == SDX_UINT16 || dtype == SDX_UINT32 || dtype == SDX_UINT64;
}

// ONNX rounds quotients of whole numbers towards zero: a - (a mod b) is a multiple.
sdx_ref node_floor_div(conversion *c, const char *name, sdx_ref a, sdx_ref b, sdx_dtype dtype) {
  sdx_graph *g = c->graph;
  if (is_float(dtype))
    return sdx_graph_add_node(g, "Floor", name, SDX_REFS(sdx_graph_add_node(g, "Div", NULL, SDX_REFS(a, b))));
  if (is_unsigned(dtype)) return sdx_graph_add_node(g, "Div", name, SDX_REFS(a, b));
  sdx_ref rest = sdx_graph_add_node(g, "Mod", NULL, SDX_REFS(a, b));
  return sdx_graph_add_node(g, "Div", name, SDX_REFS(sdx_graph_add_node(g, "Sub", NULL, SDX_REFS(a, rest)), b));
}

// a - floor(a / b) b would be off by b where the quotient is rounded up to a whole number.
sdx_ref node_floor_mod(conversion *c, const char *name, sdx_ref a, sdx_ref b, sdx_dtype dtype) {
  sdx_graph *g = c->graph;
  if (!is_float(dtype)) return sdx_graph_add_node(g, "Mod", name, SDX_REFS(a, b));
  sdx_ref rest = sdx_graph_add_node(g, "Mod", NULL, SDX_REFS(a, b)), zero = sdx_graph_add_scalar(g, dtype, 0);
  sdx_graph_set_int(g, "fmod", 1);
  sdx_ref below = sdx_graph_add_node(g, "Less", NULL, SDX_REFS(rest, zero));
  sdx_ref negative = sdx_graph_add_node(g, "Less", NULL, SDX_REFS(b, zero));
  sdx_ref differs = sdx_graph_add_node(g, "Xor", NULL, SDX_REFS(below, negative));
  sdx_ref some =
      sdx_graph_add_node(g, "Not", NULL, SDX_REFS(sdx_graph_add_node(g, "Equal", NULL, SDX_REFS(rest, zero))));
  sdx_ref other = sdx_graph_add_node(g, "And", NULL, SDX_REFS(differs, some));
  return sdx_graph_add_node(g, "Where", name,
                            SDX_REFS(other, sdx_graph_add_node(g, "Add", NULL, SDX_REFS(rest, b)), rest));
}

sdx_ref node_two_classes(conversion *c, sdx_ref p, sdx_dtype dtype) {
  sdx_graph *g = c->graph;
  sdx_ref one = sdx_graph_add_scalar(g, dtype, 1), yes = node_unsqueeze(c, p, 1);
  sdx_ref no = sdx_graph_add_node(g, "Sub", NULL, SDX_REFS(one, yes));
  return node_concat(c, "probabilities", 1, SDX_REFS(no, yes));
}

// ---- constants --------------------------------------------------------------------------------------

typedef struct constant {
  node_data data;
  size_t element, rank;
  int64_t shape[NODE_RANK], stride[NODE_RANK];  // as they are wanted
} constant;

static void turn(const constant *k, const char *from, char *to, size_t size) {
  int64_t index[NODE_RANK] = {0}, at = 0;
  for (size_t n = 0; n < size; n += k->element) {
    memcpy(to + n, from + (size_t)at * k->element, k->element);
    for (size_t i = k->rank; i--;) {
      at += k->stride[i];
      if (++index[i] < k->shape[i]) break;
      at -= k->stride[i] * k->shape[i];
      index[i] = 0;
    }
  }
}

bool node_data_read(const node_data *data, uint64_t at, void *to, size_t size) {
  if (data->bytes) return memcpy(to, (const char *)data->bytes + at, size), true;
  for (size_t done = 0; done < size;) {
    ssize_t n = pread(data->file, (char *)to + done, size - done, (off_t)(data->offset + at + done));
    if (n == 0 || (n < 0 && errno != EINTR)) return false;
    if (n > 0) done += (size_t)n;
  }
  return true;
}

static bool in_order(const constant *k) {
  int64_t step = 1;
  for (size_t i = k->rank; i--; step *= k->shape[i])
    if (k->shape[i] != 1 && k->stride[i] != step) return false;
  return true;
}

static sdx_status fill(void *context, void *to, size_t size) {
  const constant *k = context;
  if (in_order(k)) return node_data_read(&k->data, 0, to, size) ? SDX_OK : SDX_IO_ERROR;
  char *read = k->data.bytes ? NULL : mem_alloc(NULL, size);
  if (!k->data.bytes && !read) return SDX_NO_MEMORY;
  bool good = !read || node_data_read(&k->data, 0, read, size);
  if (good) turn(k, read ? read : k->data.bytes, to, size);
  mem_free(read);
  return good ? SDX_OK : SDX_IO_ERROR;
}

sdx_ref node_constant(conversion *c, const char *name, sdx_dtype dtype, size_t rank, const int64_t *shape,
                      const int64_t *order, const node_data *data, size_t size) {
  size_t count;
  constant *k = arena_array(c->memory, 1, sizeof *k);
  if (!k || !name) return convert_no_memory(c), 0;
  bool fits = rank <= NODE_RANK && size_product(shape, rank, &count) && (count ? size % count == 0 : !size);
  if (!fits)
    return convert_fail(c, SDX_INVALID_MODEL, name, NULL, "a constant of %zu bytes is not of the shape it has", size),
           0;
  *k = (constant){.data = *data, .element = count ? size / count : 1, .rank = rank};
  int64_t step = 1, stride[NODE_RANK];
  for (size_t i = rank; i--; step = wrap_mul(step, shape[i])) stride[i] = step;
  for (size_t i = 0; i < rank; i++)
    k->shape[i] = shape[order ? order[i] : (int64_t)i], k->stride[i] = stride[order ? order[i] : (int64_t)i];
  return sdx_graph_add_filled(sdx_builder_graph(c->builder), name, dtype, rank, k->shape, fill, k);
}

// ---- windows ----------------------------------------------------------------------------------------

void node_set_window(conversion *c, const node_window *w, const int64_t *sizes, const int64_t *pads, bool dilations) {
  int64_t same[6] = {0};
  bool known = true;
  for (size_t i = 0; i < w->n; i++) {
    int64_t reach = (w->kernel[i] - 1) * w->dilation[i] + 1, rest = sizes[i] < 0 ? 0 : sizes[i] % w->stride[i];
    int64_t all = w->same ? reach - (rest ? rest : w->stride[i]) : 0;
    known = known && (sizes[i] >= 0 || w->stride[i] == 1);
    if (all < 0) all = 0;
    same[i] = all / 2, same[w->n + i] = all - all / 2;
  }
  sdx_graph_set_ints(c->graph, "kernel_shape", w->n, w->kernel);
  sdx_graph_set_ints(c->graph, "strides", w->n, w->stride);
  if (dilations) sdx_graph_set_ints(c->graph, "dilations", w->n, w->dilation);
  if (!pads && w->same && !known) sdx_graph_set_string(c->graph, "auto_pad", "SAME_UPPER");
  else sdx_graph_set_ints(c->graph, "pads", 2 * w->n, pads ? pads : same);
}

int64_t node_windows(const node_window *w, size_t i, int64_t size) {
  int64_t reach = wrap_add(wrap_mul(w->kernel[i] - 1, w->dilation[i]), 1);
  if (size < 0) return -1;
  int64_t n = wrap_add(w->same ? size : wrap_sub(size, reach - 1), w->stride[i] - 1) / w->stride[i];
  return n < 0 ? 0 : n;
}

void node_set_transposed(conversion *c, const node_window *w, const int64_t *sizes, const int64_t *to) {
  int64_t pads[6], more[3] = {0};
  for (size_t i = 0; i < w->n; i++) {
    int64_t reach = wrap_add(wrap_mul(w->kernel[i] - 1, w->dilation[i]), 1), all;
    if (to[i] >= 0 && sizes[i] >= 0) all = wrap_sub(wrap_add(wrap_mul(sizes[i] - 1, w->stride[i]), reach), to[i]);
    else all = w->same || reach < w->stride[i] ? reach - w->stride[i] : 0;
    if (all < 0) more[i] = wrap_neg(all), all = 0;
    pads[i] = all / 2, pads[w->n + i] = all - all / 2;
  }
  sdx_graph_set_ints(c->graph, "strides", w->n, w->stride);
  sdx_graph_set_ints(c->graph, "dilations", w->n, w->dilation);
  sdx_graph_set_ints(c->graph, "pads", 2 * w->n, pads);
  sdx_graph_set_ints(c->graph, "output_padding", w->n, more);
}

void node_set_resize(conversion *c, bool nearest, bool align_corners, bool half_pixel_centers) {
  sdx_graph *g = c->graph;
  sdx_graph_set_string(g, "mode", nearest ? "nearest" : "linear");
  sdx_graph_set_string(g, "coordinate_transformation_mode",
                       align_corners        ? "align_corners"
                       : half_pixel_centers ? "half_pixel"
                                            : "asymmetric");
  if (nearest)
    sdx_graph_set_string(g, "nearest_mode", align_corners || half_pixel_centers ? "round_prefer_ceil" : "floor");
}

// ---- dimensions -------------------------------------------------------------------------------------

void node_order_to_first(size_t rank, int64_t *order) {
  for (size_t i = 0; i < rank; i++) order[i] = i == 0 ? 0 : i == 1 ? (int64_t)rank - 1 : (int64_t)i - 1;
}

void node_order_to_last(size_t rank, int64_t *order) {
  for (size_t i = 0; i < rank; i++) order[i] = i == 0 ? 0 : i + 1 == rank ? 1 : (int64_t)i + 1;
}

static int64_t clamp(int64_t n, int64_t least, int64_t most) { return n < least ? least : n > most ? most : n; }

int64_t node_slice_length(int64_t size, int64_t from, int64_t to, int64_t step) {
  int64_t least = step < 0 ? -1 : 0;
  from = clamp(from < 0 ? wrap_add(from, size) : from, least, step < 0 ? size - 1 : size);
  to = clamp(to < 0 && to >= -size ? to + size : to, least, size);
  step = clamp(step, -i64_max(size, 1), i64_max(size, 1));
  int64_t length = step > 0 ? (to - from + step - 1) / step : (to - from + step + 1) / step;
  return length < 0 ? 0 : length;
}

// ---- inputs and outputs -----------------------------------------------------------------------------

static sdx_io rows(const char *name, sdx_dtype dtype, size_t columns, int64_t shape[2], const char *symbols[2]) {
  shape[0] = -1, shape[1] = (int64_t)columns;
  symbols[0] = "N", symbols[1] = NULL;
  return (sdx_io){
      .name = name, .dtype = dtype, .has_shape = true, .rank = columns ? 2 : 1, .shape = shape, .symbols = symbols};
}

sdx_ref node_rows_input(conversion *c, const char *name, sdx_dtype dtype, size_t columns) {
  int64_t shape[2];
  const char *symbols[2];
  sdx_io io = rows(name, dtype, columns, shape, symbols);
  return sdx_graph_add_input(c->graph, &io);
}

void node_rows_output(conversion *c, const char *name, sdx_ref value, sdx_dtype dtype, size_t columns) {
  int64_t shape[2];
  const char *symbols[2];
  sdx_io io = rows(name, dtype, columns, shape, symbols);
  sdx_graph_add_output(c->graph, value, &io);
}
