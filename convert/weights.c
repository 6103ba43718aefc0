// SPDX-License-Identifier: Apache-2.0
// Weights as constants, products and lookups (weights.h).
//
//   Packed numbers are w = scale * (q - zero) - shift. MatMulNBits says (q - z) * scale with numbers of 4 or 8 bits:
//   without shifts z is the default, half of the range, to which q is moved. With shifts z = shift / scale for 4 bits;
//   for 8 bits, where engines have no such z, the shifts are a product of their own with the sums of x over the groups.
#include "convert/weights.h"

#include <string.h>

#include "base/half.h"
#include "base/size.h"

bool weights_init(weights *w, conversion *c, size_t count) {
  *w = (weights){.c = c, .all = arena_array(c->memory, count + 1, sizeof *w->all)};
  str_map_init(&w->by_name, c->memory);
  return (w->all && str_map_reserve(&w->by_name, count)) || !convert_no_memory(c);
}

bool weights_add(weights *w, weight one, str key, uint64_t left) {
  size_t count, bytes;
  const weight_type *t = one.type;
  const char *place = arena_format(w->c->memory, "weight '%.*s'", STR_ARG(one.name));
  if (!place) return !convert_no_memory(w->c);
  if (!size_product(one.shape, one.rank, &count) || count % t->count ||
      (one.rank && one.shape[one.rank - 1] % (int64_t)t->count) || !size_mul(count / t->count, t->bytes, &bytes))
    return !convert_fail(w->c, SDX_INVALID_MODEL, place, NULL, "its shape does not go with blocks of %zu numbers of %s",
                         t->count, t->name);
  if (bytes > left)
    return !convert_fail(w->c, SDX_INVALID_MODEL, place, "is the file cut short?",
                         "has %zu bytes, but the file ends after %llu of them", bytes, (unsigned long long)left);
  one.bytes = bytes;
  if (str_map_find(&w->by_name, key, &(uint32_t){0}))
    return !convert_fail(w->c, SDX_INVALID_MODEL, place, NULL, "is in the file twice");
  w->all[w->count] = one;
  return str_map_put(&w->by_name, key, (uint32_t)w->count++) || !convert_no_memory(w->c);
}

weight *weights_find(const weights *w, str name) {
  uint32_t index;
  return str_map_find(&w->by_name, name, &index) ? &w->all[index] : NULL;
}

void weights_list(const weights *w, text *json) {
  text_put(json, "\"weights\":[");
  for (size_t i = 0; i < w->count; i++) {
    const weight *one = &w->all[i];
    text_put(json, i ? ",{\"name\":" : "{\"name\":");
    text_json_string(json, one->name);
    text_format(json, ",\"type\":\"%s\",\"shape\":[", one->type->name);
    for (size_t k = 0; k < one->rank; k++) text_format(json, k ? ",%lld" : "%lld", (long long)one->shape[k]);
    text_format(json, "],\"bytes\":%zu}", one->bytes);
  }
  text_put(json, "]");
}

// ---- constants that are made when they are written ----------------------------------------------------

typedef enum part { PART_FLOATS, PART_Q, PART_SCALES, PART_SHIFTS, PART_ZEROS } part;

typedef struct filling {
  const weight *w;
  part what;
  unsigned bits;  // of q as it is written
  double more;
} filling;

static unsigned written_bits(const weight_type *t) { return t->bits <= 4 ? 4 : 8; }
// What is written for q = 0.
static unsigned written_zero(const weight_type *t) {
  unsigned bits = written_bits(t), middle = 1u << (bits - 1);
  return t->shifts && bits == 4 ? 0 : t->shifts ? middle : middle - t->zero;
}

static char *put_numbers(const filling *f, const block *b, char *to) {
  const weight_type *t = f->w->type;
  for (size_t i = 0; i < t->count; i++) {
    size_t g = i / t->group;
    float w = b->scale[g] * (float)((int)b->q[i] - (int)t->zero);
    if (t->shifts) w -= b->shift[g];
    w += (float)f->more;
    memcpy(to + i * sizeof w, &w, sizeof w);
  }
  return to + t->count * sizeof(float);
}

static char *put_q(const filling *f, const block *b, char *to) {
  const weight_type *t = f->w->type;
  unsigned zero = written_zero(t);
  if (f->bits == 8)
    for (size_t i = 0; i < t->count; i++) *to++ = (char)(b->q[i] + zero);
  else
    for (size_t i = 0; i < t->count; i += 2) *to++ = (char)((b->q[i] + zero) | (b->q[i + 1] + zero) << 4);
  return to;
}

static char *put_block(const filling *f, const block *b, char *to) {
  if (f->what == PART_FLOATS) return put_numbers(f, b, to);
  if (f->what == PART_Q) return put_q(f, b, to);
  for (size_t g = 0; g < f->w->type->count / f->w->type->group; g++, to += sizeof(float)) {
    float value = f->what == PART_SCALES ? b->scale[g] : b->shift[g];
    if (f->what == PART_ZEROS) value /= b->scale[g];
    memcpy(to, &value, sizeof value);
  }
  return to;
}

// Groups without a scale are their shift alone, which scale 1 and q = 0 say, too.
static void give_scales(const weight_type *t, block *b) {
  for (size_t g = 0; g < t->count / t->group; g++)
    if (b->scale[g] == 0) {
      b->scale[g] = 1;
      memset(b->q + g * t->group, 0, t->group);
    }
}

static char *put_plain(const filling *f, const unsigned char *from, char *to) {
  float value;
  uint16_t half = 0;
  sdx_dtype dtype = f->w->type->dtype;
  if (dtype == SDX_FLOAT) memcpy(&value, from, sizeof value);
  else memcpy(&half, from, sizeof half), value = dtype == SDX_BFLOAT16 ? bf16_to_float(half) : fp16_to_float(half);
  value += (float)f->more;
  memcpy(to, &value, sizeof value);
  return to + sizeof value;
}

static sdx_status fill(void *context, void *to, size_t size) {
  enum { PIECE = 4096 };
  const filling *f = context;
  const weight *w = f->w;
  const weight_type *t = w->type;
  unsigned char *piece = mem_alloc(NULL, PIECE * t->bytes);
  char *at = to;
  block b;
  bool good = piece != NULL;
  memset(&b, 0, sizeof b);
  for (size_t done = 0; good && done < w->bytes; done += PIECE * t->bytes) {
    size_t bytes = w->bytes - done < PIECE * t->bytes ? w->bytes - done : PIECE * t->bytes;
    good = node_data_read(&w->data, done, piece, bytes);
    for (size_t i = 0; good && i < bytes; i += t->bytes) {
      if (t->dtype) {
        at = put_plain(f, piece + i, at);
        continue;
      }
      t->open(piece + i, &b);
      if (t->shifts && f->bits == 4) give_scales(t, &b);
      at = put_block(f, &b, at);
    }
  }
  mem_free(piece);
  return !piece ? SDX_NO_MEMORY : good ? SDX_OK : SDX_IO_ERROR;
}

// One part of a weight, which has its name and `ending`.
static sdx_ref part_of(conversion *c, const weight *w, part what, const char *ending, size_t rank, const int64_t *shape,
                       double more) {
  filling *f = arena_array(c->memory, 1, sizeof *f);
  const char *name = arena_format(c->memory, "%.*s%s", (int)w->name.size, w->name.at, ending);
  if (!f || !name) return convert_no_memory(c), 0;
  sdx_ref same = sdx_graph_find(c->graph, name);
  if (same) return same;
  *f = (filling){w, what, written_bits(w->type), more};
  return sdx_graph_add_filled(c->graph, name, what == PART_Q ? SDX_UINT8 : SDX_FLOAT, rank, shape, fill, f);
}

static bool is_float(const weight *w) {
  sdx_dtype dtype = w->type->dtype;
  return dtype == SDX_FLOAT || dtype == SDX_FLOAT16 || dtype == SDX_BFLOAT16;
}

bool weight_convertible(conversion *c, const weight *w) {
  if (is_float(w) || w->type->open) return true;
  const char *place = arena_format(c->memory, "weight '%.*s'", STR_ARG(w->name));
  return !convert_fail(c, SDX_NOT_SUPPORTED, place, "llama-quantize makes files with Q4_K, Q6_K or Q8_0",
                       "is of type %s, which is not converted", w->type->name);
}

sdx_ref weight_constant(conversion *c, const weight *w, double more) {
  return part_of(c, w, PART_FLOATS, "", w->rank, w->shape, more);
}

float *weight_numbers(conversion *c, const weight *w, size_t *count) {
  filling f = {w, PART_FLOATS, written_bits(w->type), 0};
  *count = w->bytes / w->type->bytes * w->type->count;
  float *to = arena_array(c->memory, *count + 1, sizeof *to);
  sdx_status status = to ? fill(&f, to, *count * sizeof *to) : SDX_NO_MEMORY;
  if (!status) return to;
  convert_fail(c, status, w->name.at, NULL, "a weight could not be read");
  return NULL;
}

// ---- matrices ---------------------------------------------------------------------------------------

static sdx_ref plain_matrix(conversion *c, const weight *w) {
  const char *name = str_to_c(c->memory, w->name);
  sdx_ref same = name ? sdx_graph_find(c->graph, name) : 0;
  return same ? same : node_constant(c, name, w->type->dtype, w->rank, w->shape, NULL, &w->data, w->bytes);
}

static sdx_ref times_transposed(conversion *c, const char *name, sdx_ref x, sdx_ref w) {
  sdx_ref y = sdx_graph_add_node(c->graph, "com.microsoft::FusedMatMul", name, SDX_REFS(x, w));
  sdx_graph_set_int(c->graph, "transB", 1);
  return y;
}

static sdx_ref plain_product(conversion *c, const char *name, sdx_ref x, const weight *w, sdx_ref bias) {
  sdx_ref matrix = plain_matrix(c, w);
  if (w->type->dtype != SDX_FLOAT) matrix = node_cast(c, matrix, SDX_FLOAT);
  sdx_ref y = times_transposed(c, name, x, matrix);
  return bias ? sdx_graph_add_node(c->graph, "Add", NULL, SDX_REFS(y, bias)) : y;
}

typedef struct groups {
  unsigned bits;
  int64_t rows, columns, group, count;  // count: of groups in a row
} groups;

static groups groups_of(const weight *w) {
  unsigned bits = written_bits(w->type);
  int64_t group = (int64_t)w->type->group;
  return (groups){bits, w->shape[0], w->shape[1], group, w->shape[1] / group};
}

static sdx_ref numbers_of(conversion *c, const weight *w, const groups *g) {
  const int64_t shape[] = {g->rows, g->count, g->group * g->bits / 8};
  return part_of(c, w, PART_Q, "", 3, shape, 0);
}

static sdx_ref of_groups(conversion *c, const weight *w, const groups *g, part what, const char *ending) {
  return part_of(c, w, what, ending, 2, (int64_t[]){g->rows, g->count}, 0);
}

// x [batch, rows, columns] in groups.
static sdx_ref group_columns(conversion *c, sdx_ref x, const groups *g) {
  sdx_ref shape = sdx_graph_add_ints(c->graph, 4, (int64_t[]){0, 0, g->count, g->group});
  return sdx_graph_add_node(c->graph, "Reshape", NULL, SDX_REFS(x, shape));
}

static sdx_ref subtract_shifts(conversion *c, sdx_ref x, sdx_ref y, const weight *w, const groups *g) {
  sdx_ref sums = node_reduce(c, "ReduceSum", group_columns(c, x, g), 3);
  sdx_graph_set_int(c->graph, "keepdims", 0);
  sdx_ref shifts = times_transposed(c, NULL, sums, of_groups(c, w, g, PART_SHIFTS, ".shifts"));
  return sdx_graph_add_node(c->graph, "Sub", NULL, SDX_REFS(y, shifts));
}

sdx_ref weight_product(conversion *c, const char *name, sdx_ref x, const weight *w, sdx_ref bias) {
  sdx_graph *graph = c->graph;
  if (is_float(w)) return plain_product(c, name, x, w, bias);
  groups g = groups_of(w);
  sdx_ref q = numbers_of(c, w, &g), scales = of_groups(c, w, &g, PART_SCALES, ".scales"), zeros = 0;
  if (w->type->shifts && g.bits == 4) zeros = of_groups(c, w, &g, PART_ZEROS, ".zero_points");
  sdx_ref inputs[] = {x, q, scales, zeros, 0, bias};
  sdx_ref y = sdx_graph_add_node(graph, "com.microsoft::MatMulNBits", name, bias ? 6 : zeros ? 4 : 3, inputs);
  sdx_graph_set_int(graph, "K", g.columns);
  sdx_graph_set_int(graph, "N", g.rows);
  sdx_graph_set_int(graph, "bits", g.bits);
  sdx_graph_set_int(graph, "block_size", g.group);
  return w->type->shifts && !zeros ? subtract_shifts(c, x, y, w, &g) : y;
}

static sdx_ref plain_lookup(conversion *c, const char *name, sdx_ref ids, const weight *w) {
  sdx_ref rows = sdx_graph_add_node(c->graph, "Gather", name, SDX_REFS(plain_matrix(c, w), ids));
  return w->type->dtype == SDX_FLOAT ? rows : node_cast(c, rows, SDX_FLOAT);
}

static sdx_status fill_zeros(void *context, void *to, size_t size) {
  memset(to, 0, size);
  return SDX_OK;
}

static sdx_ref lookup_shifts(conversion *c, sdx_ref ids, sdx_ref rows, const weight *w, const groups *g) {
  sdx_graph *graph = c->graph;
  sdx_ref shifts = of_groups(c, w, g, PART_SHIFTS, ".shifts"),
          all = sdx_graph_add_ints(graph, 3, (int64_t[]){0, 0, -1});
  shifts = node_unsqueeze(c, sdx_graph_add_node(graph, "Gather", NULL, SDX_REFS(shifts, ids)), 3);
  rows = sdx_graph_add_node(graph, "Sub", NULL, SDX_REFS(group_columns(c, rows, g), shifts));
  return sdx_graph_add_node(graph, "Reshape", NULL, SDX_REFS(rows, all));
}

sdx_ref weight_lookup(conversion *c, const char *name, sdx_ref ids, const weight *w) {
  sdx_graph *graph = c->graph;
  if (is_float(w)) return plain_lookup(c, name, ids, w);
  groups g = groups_of(w);
  sdx_ref shape = sdx_graph_add_ints(graph, 2, (int64_t[]){g.rows, g.columns * g.bits / 8}), zeros = 0;
  sdx_ref q = sdx_graph_add_node(graph, "Reshape", NULL, SDX_REFS(numbers_of(c, w, &g), shape));
  if (w->type->shifts && g.bits == 4)
    zeros = sdx_graph_add_filled(graph, "lookup.zero_points", SDX_UINT8, 2,
                                 (int64_t[]){g.rows, (g.count * g.bits + 7) / 8}, fill_zeros, NULL);
  sdx_ref rows = sdx_graph_add_node(graph, "com.microsoft::GatherBlockQuantized", name, zeros ? 4 : 3,
                                    (sdx_ref[]){q, ids, of_groups(c, w, &g, PART_SCALES, ".scales"), zeros});
  sdx_graph_set_int(graph, "bits", g.bits);
  sdx_graph_set_int(graph, "block_size", g.group);
  sdx_graph_set_int(graph, "gather_axis", 0);
  sdx_graph_set_int(graph, "quantize_axis", 1);
  return w->type->shifts ? lookup_shifts(c, ids, rows, w, &g) : rows;
}
