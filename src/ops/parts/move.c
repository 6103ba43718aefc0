// SPDX-License-Identifier: Apache-2.0
// Moving elements; see move.h. The strided copy drops dimensions of 1, joins what is contiguous on
// both sides, and then runs one of three inner loops: memcpy runs, a row with steps, or square tiles
// where the two sides run fastest along different dimensions (a transposition).
#include "ops/parts/move.h"

#include <stdlib.h>

#include "base/half.h"
#include "base/size.h"
#include "ops/call.h"
#include "tensor/convert.h"

void move_strides(const int64_t *dims, size_t rank, int64_t *strides) {
  int64_t step = 1;
  for (size_t i = rank; i-- > 0;) {
    strides[i] = step;
    step = wrap_mul(step, dims[i]);
  }
}

// ---- strided copy -----------------------------------------------------------------------------------

enum { TILE = 16, GRAIN_BYTES = 32 << 10, SMALL_RUN = 64 };

typedef struct copy_job {
  strided box;  // outer dimensions; steps in bytes from here on
  size_t width;
  const char *from;
  char *to;
  int64_t row, row_from, row_to;     // innermost dimension: elements of `width`
  int64_t tile, tile_from, tile_to;  // second one of a transposition, 0 if none
} copy_job;

#define ROW(T) \
  for (int64_t i = 0; i < n; i++, from += from_step, to += to_step) *(T *)to = *(const T *)from

// One element n times: what is there already is copied behind itself, up to a piece that stays in L1.
static void repeat(char *to, const char *from, size_t n, size_t width) {
  enum { PIECE_BYTES = 8192 };
  memcpy(to, from, width);
  for (size_t done = width, all = n * width; done < all;) {
    size_t bytes = done < PIECE_BYTES ? done : PIECE_BYTES / width * width;
    if (bytes > all - done) bytes = all - done;
    memcpy(to + done, to, bytes);
    done += bytes;
  }
}

typedef struct wide16 {
  uint64_t low, high;
} wide16;

static inline void copy_row(char *to, const char *from, int64_t n, int64_t to_step, int64_t from_step, size_t width) {
  if (from_step == 0 && to_step == (int64_t)width && width <= 16 && n > 0) {
    repeat(to, from, (size_t)n, width);
    return;
  }
  switch (width) {
    case 1:
      ROW(uint8_t);
      break;
    case 2:
      ROW(uint16_t);
      break;
    case 4:
      ROW(uint32_t);
      break;
    case 8:
      ROW(uint64_t);
      break;
    case 16:
      ROW(wide16);
      break;
    default:
      for (int64_t i = 0; i < n; i++, from += from_step, to += to_step) memcpy(to, from, width);
  }
}

static void copy_tile(const copy_job *j, char *to, const char *from) {
  for (int64_t b = 0; b < j->row; b += TILE) {
    int64_t rows = i64_min(TILE, j->row - b);
    for (int64_t a = 0; a < j->tile; a += TILE) {
      int64_t columns = i64_min(TILE, j->tile - a);
      for (int64_t k = 0; k < columns; k++)
        copy_row(to + b * j->row_to + (a + k) * j->tile_to, from + b * j->row_from + (a + k) * j->tile_from, rows,
                 j->row_to, j->row_from, j->width);
    }
  }
}

enum { PIECE = 1 << 20 };  // elements or bytes between two looks at the clock
// One row, or one run of bytes, with looks at the clock where it is long.
static void copy_one(const copy_job *j, char *to, const char *from) {
  if (j->row == 1)
    for (size_t done = 0; done < j->width && !(done && pool_stopped()); done += PIECE)
      memcpy(to + done, from + done, j->width - done < PIECE ? j->width - done : PIECE);
  else
    for (int64_t done = 0; done < j->row && !(done && pool_stopped()); done += PIECE)
      copy_row(to + done * j->row_to, from + done * j->row_from, i64_min(PIECE, j->row - done), j->row_to, j->row_from,
               j->width);
}

static void copy_range(void *context, size_t begin, size_t end, size_t worker) {
  const copy_job *j = context;
  int64_t at[TENSOR_MAX_RANK + 2];
  const char *from = j->from;
  char *to = j->to;
  size_t rest = begin;
  for (size_t i = j->box.rank; i-- > 0;) {
    at[i] = (int64_t)(rest % (size_t)j->box.dims[i]);
    rest /= (size_t)j->box.dims[i];
    from += at[i] * j->box.from[i];
    to += at[i] * j->box.to[i];
  }
  for (size_t index = begin; index < end; index++) {
    if (j->tile) copy_tile(j, to, from);
    else if (j->row == 1 && j->width <= PIECE) memcpy(to, from, j->width);
    else copy_one(j, to, from);
    for (size_t i = j->box.rank; i-- > 0;) {  // odometer
      from += j->box.from[i];
      to += j->box.to[i];
      if (++at[i] < j->box.dims[i]) break;
      from -= j->box.from[i] * at[i];
      to -= j->box.to[i] * at[i];
      at[i] = 0;
    }
  }
}

// Takes dimension `index` out of the box.
static void take(strided *b, size_t index, int64_t *n, int64_t *from, int64_t *to) {
  *n = b->dims[index];
  *from = b->from[index];
  *to = b->to[index];
  b->rank--;
  for (size_t i = index; i < b->rank; i++) {
    b->dims[i] = b->dims[i + 1];
    b->from[i] = b->from[i + 1];
    b->to[i] = b->to[i + 1];
  }
}

// False if nothing is to be copied.
static bool simplify(const strided *in, size_t width, strided *out) {
  out->rank = 0;
  for (size_t i = 0; i < in->rank; i++)
    if (in->dims[i] <= 0) return false;  // beside a zero, the product of the others need not fit
  for (size_t i = 0; i < in->rank; i++) {
    if (in->dims[i] == 1) continue;
    int64_t from = in->from[i] * (int64_t)width, to = in->to[i] * (int64_t)width;
    size_t last = out->rank - 1;
    if (out->rank && out->from[last] == from * in->dims[i] && out->to[last] == to * in->dims[i]) {
      out->dims[last] *= in->dims[i];  // continues the dimension before
      out->from[last] = from;
      out->to[last] = to;
      continue;
    }
    out->dims[out->rank] = in->dims[i];
    out->from[out->rank] = from;
    out->to[out->rank++] = to;
  }
  return true;
}

void move_bytes(op_step *c, void *to, const void *from, size_t bytes) {
  if (bytes == 0 || to == from) return;
  move_strided(c, &(strided){.rank = 1, .dims = {(int64_t)bytes}, .from = {1}, .to = {1}}, 1, from, to);
}

void move_strided(op_step *c, const strided *box, size_t width, const void *from, void *to) {
  copy_job j = {.width = width, .from = from, .to = to, .row = 1};
  if (!simplify(box, width, &j.box)) return;
  strided *b = &j.box;
  int64_t w = (int64_t)width;
  if (b->rank && b->from[b->rank - 1] == w && b->to[b->rank - 1] == w) {  // contiguous runs
    int64_t n, unused;
    if (b->rank == 1 && b->dims[0] * w > 4 * GRAIN_BYTES) {  // one long run: let threads share it
      int64_t bytes = b->dims[0] * w, pieces = bytes / GRAIN_BYTES, whole = pieces * GRAIN_BYTES;
      memcpy(j.to + whole, j.from + whole, (size_t)(bytes - whole));
      *b = (strided){.rank = 1, .dims = {pieces}, .from = {GRAIN_BYTES}, .to = {GRAIN_BYTES}};
      j.width = GRAIN_BYTES;
    } else if (b->dims[b->rank - 1] * w >= SMALL_RUN || b->rank == 1 || width > 16) {
      take(b, b->rank - 1, &n, &unused, &unused);
      j.width = (size_t)(n * w);
    } else {
      take(b, b->rank - 1, &j.row, &j.row_from, &j.row_to);
    }
  } else if (b->rank) {
    size_t near_from = b->rank - 1, near_to = b->rank - 1;  // dimension with the smallest step on each side
    for (size_t i = 0; i < b->rank; i++) {
      if (llabs(b->to[i]) < llabs(b->to[near_to])) near_to = i;
      if (b->from[i] && llabs(b->from[i]) < llabs(b->from[near_from])) near_from = i;
    }
    if (near_from != near_to && b->from[near_from] == w &&
        b->from[near_to] != 0) {  // tiles: rows run along the source's near dimension
      take(b, near_from, &j.row, &j.row_from, &j.row_to);
      if (near_to > near_from) near_to--;
      take(b, near_to, &j.tile, &j.tile_from, &j.tile_to);
      // Rows are written with long steps but stay inside a tile; split the tile dimension for the threads.
      int64_t blocks = j.tile / TILE;
      if (blocks > 1) {
        int64_t tail = j.tile - blocks * TILE;
        copy_job rest = j;
        rest.tile = tail;
        rest.from += blocks * TILE * j.tile_from;
        rest.to += blocks * TILE * j.tile_to;
        size_t outer = 1;
        for (size_t i = 0; i < b->rank; i++) outer *= (size_t)b->dims[i];
        if (tail) copy_range(&rest, 0, outer, 0);
        b->dims[b->rank] = blocks;
        b->from[b->rank] = TILE * j.tile_from;
        b->to[b->rank++] = TILE * j.tile_to;
        j.tile = TILE;
      }
    } else {
      take(b, near_to, &j.row, &j.row_from, &j.row_to);
    }
  }
  size_t outer = 1, each = (size_t)j.row * j.width * (j.tile ? (size_t)j.tile : 1);
  for (size_t i = 0; i < b->rank; i++) outer *= (size_t)b->dims[i];
  call_parallel(c, outer, each >= GRAIN_BYTES ? 1 : GRAIN_BYTES / each + 1, copy_range, &j);
}

sdx_status move_view(op_step *c) {
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  if (x && y) move_bytes(c, y->data, x->data, i64_min((int64_t)x->bytes, (int64_t)y->bytes));
  return SDX_OK;
}

sdx_status move_keep_strings(op_step *c, tensor *t) {
  if (t->dtype != SDX_STRING) return SDX_OK;
  str *at = t->data;
  for (size_t i = 0; i < t->count; i++) {
    if (at[i].size == 0) continue;
    char *copy = call_alloc(c, at[i].size);
    if (!copy) return call_no_memory(c, at[i].size);
    at[i].at = memcpy(copy, at[i].at, at[i].size);
  }
  return SDX_OK;
}

sdx_status move_value(op_step *c, size_t output, const value *from) {
  sdx_value *made = NULL;
  if (from->kind == VALUE_SEQUENCE)  // items are counted: the new sequence shares them
    SDX_TRY(step_located(
        c, value_create_sequence(call_account(c), from->item_count, (sdx_value *const *)from->items, &made, c->err)));
  else SDX_TRY(step_located(c, value_copy(call_account(c), from, &made, c->err)));
  return call_set_value(c, output, made);
}

void move_fill(op_step *c, void *to, const void *element, size_t width, size_t count) {
  move_strided(c, &(strided){.rank = 1, .dims = {(int64_t)count}, .from = {0}, .to = {1}}, width, element, to);
}

// ---- packed types -----------------------------------------------------------------------------------

static sdx_status make_wide(op_step *c, const tensor *t, tensor *wide) {
  *wide = *t;
  wide->bytes = t->count;
  wide->data = call_alloc(c, t->count ? t->count : 1);
  return wide->data ? SDX_OK : call_no_memory(c, t->count);
}

sdx_status move_input(op_step *c, size_t input, tensor *wide) {
  const tensor *t = step_in(c, input);
  *wide = *t;
  if (!dtype_is_packed((sdx_dtype)t->dtype)) return SDX_OK;
  SDX_TRY(make_wide(c, t, wide));
  int bits = dtype_bits((sdx_dtype)t->dtype);
  size_t per_byte = 8 / (size_t)bits;
  for (size_t i = 0; i < t->count; i++)
    ((uint8_t *)wide->data)[i] =
        (uint8_t)(((const uint8_t *)t->data)[i / per_byte] >> (i % per_byte * (size_t)bits) & ((1 << bits) - 1));
  return SDX_OK;
}

sdx_status move_output(op_step *c, size_t output, tensor *wide) {
  const tensor *t = step_out(c, output);
  *wide = *t;
  return dtype_is_packed((sdx_dtype)t->dtype) ? make_wide(c, t, wide) : SDX_OK;
}

void move_finish(op_step *c, size_t output, const tensor *wide) {
  tensor *t = step_out(c, output);
  if (!dtype_is_packed((sdx_dtype)t->dtype)) return;
  int bits = dtype_bits((sdx_dtype)t->dtype);
  size_t per_byte = 8 / (size_t)bits;
  memset(t->data, 0, t->bytes);
  for (size_t i = 0; i < t->count; i++)
    ((uint8_t *)t->data)[i / per_byte] |=
        (uint8_t)((((const uint8_t *)wide->data)[i] & ((1 << bits) - 1)) << (i % per_byte * (size_t)bits));
}

// ---- order ------------------------------------------------------------------------------------------

bool order_has_keys(sdx_dtype d) { return dtype_bits(d) && dtype_bits(d) <= 64 && d != SDX_COMPLEX64; }

static uint64_t key_of_double(double f) {
  uint64_t u;
  if (f != f) return UINT64_MAX;
  if (f == 0) f = 0;  // -0 is +0
  memcpy(&u, &f, 8);
  return u >> 63 ? ~u : u | 1ull << 63;
}

static uint64_t key_of_float(float f) {
  uint32_t u = float_bits(f + 0.0f);  // -0 is +0
  u ^= (uint32_t)((int32_t)u >> 31) | 0x80000000u;
  return f != f ? UINT32_MAX : u;
}

void order_keys(sdx_dtype dtype, const void *data, size_t first, size_t step, size_t count, uint64_t *keys) {
  const uint64_t sign = 1ull << 63;
  switch (dtype) {
#define CASE(name, T, expression)                \
  case SDX_##name:                               \
    for (size_t i = 0; i < count; i++) {         \
      T v = ((const T *)data)[first + i * step]; \
      keys[i] = (expression);                    \
    }                                            \
    break;
    CASE(FLOAT, float, key_of_float(v))
    CASE(DOUBLE, double, key_of_double(v))
    CASE(FLOAT16, uint16_t, key_of_float(fp16_to_float(v)))
    CASE(BFLOAT16, uint16_t, key_of_float(bf16_to_float(v)))
    CASE(UINT64, uint64_t, v)
    CASE(INT64, int64_t, (uint64_t)v ^ sign)
    CASE(INT32, int32_t, (uint64_t)(int64_t)v ^ sign)
    CASE(UINT8, uint8_t, v)
#undef CASE
    default:
      for (size_t i = 0; i < count; i++) {
        double f = 0;
        if (dtype_is_float(dtype)) {
          convert_to_doubles(dtype, data, first + i * step, 1, &f);
          keys[i] = key_of_double(f);
        } else {
          keys[i] = (uint64_t)convert_get_int(dtype, data, first + i * step) ^ sign;
        }
      }
  }
}

int order_strings(str a, str b) {
  size_t n = a.size < b.size ? a.size : b.size;
  int c = n ? memcmp(a.at, b.at, n) : 0;
  return c ? c : (a.size > b.size) - (a.size < b.size);
}

bool element_is_true(const tensor *t, size_t i) {
  switch ((sdx_dtype)t->dtype) {
    case SDX_BOOL:
    case SDX_UINT8:
    case SDX_INT8:
      return ((const uint8_t *)t->data)[i] != 0;
    case SDX_UINT16:
    case SDX_INT16:
      return ((const uint16_t *)t->data)[i] != 0;
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
      return (((const uint16_t *)t->data)[i] & 0x7fff) != 0;
    case SDX_UINT32:
    case SDX_INT32:
      return ((const uint32_t *)t->data)[i] != 0;
    case SDX_FLOAT:
      return ((const float *)t->data)[i] != 0;
    case SDX_UINT64:
    case SDX_INT64:
      return ((const uint64_t *)t->data)[i] != 0;
    case SDX_DOUBLE:
      return ((const double *)t->data)[i] != 0;
    case SDX_COMPLEX64:
      return ((const float *)t->data)[2 * i] != 0 || ((const float *)t->data)[2 * i + 1] != 0;
    case SDX_COMPLEX128:
      return ((const double *)t->data)[2 * i] != 0 || ((const double *)t->data)[2 * i + 1] != 0;
    case SDX_STRING:
      return ((const str *)t->data)[i].size != 0;
    default:
      return dtype_is_float((sdx_dtype)t->dtype) ? tensor_number_at(t, i) != 0
                                                 : convert_get_int((sdx_dtype)t->dtype, t->data, i) != 0;
  }
}
