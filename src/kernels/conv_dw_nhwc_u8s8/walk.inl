// SPDX-License-Identifier: Apache-2.0
// The walk over blocks of channels and pixels. A group of rows of a column is interleaved once and multiplied into all
// pixels whose windows have it. For a variant that has
//   UNIT, GROUP, PIXELS: channels of a block, rows of a group, pixels done at once
//   bytes_load(p, n), bytes_load(p, UNIT): n channels, the rest 0
//   interleave(rows, x): GROUP vectors of bytes become NARROW_MOST vectors of groups, in the order of lanes
//   unpack(bytes, x): bytes, unsigned, become NARROW_MOST vectors of int32 in the order of lanes
//   MULTIPLY(sum, x, w): products of groups added up
//   bytes_xor, bytes_of(byte)

enum { VECTOR = (int)sizeof(ints) };

// Rows r, r + 1, ... of a column, from channel c on.
INLINE void load_group(const conv_dw_nhwc_u8s8_line *l, const void *const *column, size_t r, size_t c, size_t n,
                       ints x[NARROW_MOST]) {
  packed_bytes row[GROUP];
  UNROLL for (size_t i = 0; i < GROUP; i++) {
    // Behind the last row weights are 0.
    const void *from = column[r + i < l->rows ? r + i : r];
    row[i] = bytes_xor(bytes_load((const uint8_t *)from + c, n), bytes_of(l->flip));
  }
  interleave(row, x);
}

INLINE void finish(const conv_dw_nhwc_u8s8_line *l, bool plain, const ints *sum, size_t i, size_t c, size_t n) {
  const igemm_u8s8_output *o = &l->output;
  const int flip = o->is_signed ? 0x80 : 0;
  floats q[NARROW_MOST];
  ints other[NARROW_MOST] = {0};
  if (!plain && o->adds)
    unpack(bytes_xor(bytes_load(l->other + i * l->y_stride + c, n), bytes_of((uint8_t)flip)), other);
  UNROLL for (size_t v = 0; v < NARROW_MOST; v++) q[v] =
      narrow_sum(o, plain, sum[v], floats_load(l->scale + c + v * NARROW_UNIT),
                 TIER(sub_epi32)(other[v], TIER(set1_epi32)(o->other_zero + flip)));
  ints bytes = narrow_pack(o, plain, q, NARROW_MOST);
  if (!plain && o->table) bytes = narrow_look_up(bytes, o->table);
  narrow_store(bytes, l->y + i * l->y_stride + c, n);
}

// Pixels first .. first + count - 1 of channels c .. c + n - 1; count <= PIXELS, n <= UNIT.
INLINE void pixels(const conv_dw_nhwc_u8s8_line *l, size_t first, size_t count, size_t c, size_t n) {
  const size_t groups = (l->rows + GROUP - 1) / GROUP, columns = (count - 1) * l->stride + l->taps;
  const char *w = (const char *)l->w + c * l->taps * groups * (VECTOR / NARROW_UNIT);
  const void *const *x = l->x + first * l->stride * l->rows;
  ints sum[PIXELS][NARROW_MOST];
  UNROLL for (size_t v = 0; v < NARROW_MOST; v++) {
    const ints bias = ints_load(l->bias + c + v * NARROW_UNIT);
    UNROLL for (size_t i = 0; i < count; i++) sum[i][v] = bias;
  }
  for (size_t g = 0; g < groups; g++)
    for (size_t k = 0; k < columns; k++) {
      ints column[NARROW_MOST];
      load_group(l, x + k * l->rows, g * GROUP, c, n, column);
      UNROLL for (size_t i = 0; i < count; i++) {
        const size_t t = k - i * l->stride;
        if (t >= l->taps) continue;
        const char *of = w + (t * groups + g) * NARROW_MOST * VECTOR;
        UNROLL for (size_t v = 0; v < NARROW_MOST; v++) sum[i][v] =
            MULTIPLY(sum[i][v], column[v], ints_load(of + v * VECTOR));
      }
    }
  UNROLL for (size_t i = 0; i < count; i++) if (narrow_is_plain(&l->output)) finish(l, true, sum[i], first + i, c, n);
  else finish(l, false, sum[i], first + i, c, n); }

INLINE void block(const conv_dw_nhwc_u8s8_line *l, size_t c, size_t n) {
  size_t i = 0;
  for (; i + PIXELS <= l->count; i += PIXELS) pixels(l, i, PIXELS, c, n);
  for (; i < l->count; i++) pixels(l, i, 1, c, n);
}

// On a copy of the line, as stores of bytes might change the one that the caller has.
static void run(const conv_dw_nhwc_u8s8_line *given) {
  const conv_dw_nhwc_u8s8_line l = *given;
  size_t c = 0;
  for (; c + UNIT <= l.channels; c += UNIT) block(&l, c, UNIT);
  if (c < l.channels) block(&l, c, l.channels - c);
}
