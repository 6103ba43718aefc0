// SPDX-License-Identifier: Apache-2.0
// im2col of floats in vectors, for one and two dimensions. For VECTOR neighbouring columns, what a tap reads is a few
// loads, each of chosen lanes: one for each output row that the columns lie in, or one for all of them where the input
// is as wide as the output and the stride 1. Found once, they serve all channels. Other geometry and bytes go to
// fill.inl.
#include <string.h>

#include "kernels/im2col/im2col.h"
#include "kernels/vec.h"

#define TYPE float
#define NAME(x) x##_any
#include "kernels/im2col/fill.inl"
#undef TYPE
#undef NAME

#define TYPE uint8_t
#define NAME(x) x##_u8
#include "kernels/im2col/fill.inl"

enum { LOADS = 512, TAPS = 256 };  // of all taps
enum { AHEAD = 2 * VECTOR };       // panels of gemm_f32 have two vectors

// Lane l is read from offset + l * stride.
typedef struct load {
  int64_t offset;
  lanes chosen;
} load;

typedef struct loads {
  size_t taps, each;  // how many a tap has
  load at[LOADS];     // [each][taps]; taps that need fewer have some without lanes
} loads;

// Loads for `count` columns from column n on. false: too many.
static bool find_loads(loads *f, const window *w, size_t n, int64_t count) {
  uint8_t used[TAPS] = {0};
  f->taps = (size_t)(w->kernel[0] * w->kernel[1]), f->each = 1;
  for (size_t t = 0; t < f->taps; t++) f->at[t] = (load){0, lanes_below(0)};
  int64_t step = w->stride[1], r = (int64_t)n / w->out[1], c = (int64_t)n % w->out[1], width;
  for (int64_t lane = 0; lane < count; lane += width, r++, c = 0) {  // pieces of output rows
    width = window_min(w->out[1] - c, count - lane);
    for (int64_t j = 0; j < w->kernel[1]; j++) {
      int64_t begin, end, row = r * w->stride[0] - w->pad[0];
      window_valid(w, 1, j, &begin, &end);
      begin = begin > c ? begin - c : 0, end = window_min(end - c, width);
      if (begin >= end) continue;
      lanes chosen = lanes_but(lanes_below((int)(lane + end)), lanes_below((int)(lane + begin)));
      for (int64_t i = 0; i < w->kernel[0]; i++, row += w->dilation[0]) {
        if (row < 0 || row >= w->in[0]) continue;
        size_t t = (size_t)(i * w->kernel[1] + j);
        int64_t offset = row * w->in[1] + (c - lane) * step + j * w->dilation[1] - w->pad[1];
        load *last = &f->at[used[t] ? (used[t] - 1u) * f->taps + t : t];
        if (used[t] && last->offset == offset) {
          last->chosen = lanes_either(last->chosen, chosen);
          continue;
        }
        if (used[t] == f->each) {
          if ((f->each + 1) * f->taps > LOADS) return false;
          for (size_t k = 0; k < f->taps; k++) f->at[f->each * f->taps + k] = (load){0, lanes_below(0)};
          f->each++;
        }
        f->at[used[t]++ * f->taps + t] = (load){offset, chosen};
      }
    }
  }
  return true;
}

static inline __attribute__((always_inline)) vec load_lanes(const float *x, int64_t step, lanes chosen, vec other) {
  if (step == 1) return vec_load_lanes(x, chosen, other);
  return step == 2 ? vec_even_lanes(x, chosen, other) : vec_step_lanes(x, (int)step, chosen, other);
}

// What is to be written: rows [k0, k0 + ks) of `count` columns from column n on.
typedef struct part {
  const window *w;
  const float *x;
  float pad, *to;
  size_t stride, k0, ks, n;
  int64_t count;
} part;

static inline void store(float *to, int64_t count, vec v) {
  if (count == VECTOR) vec_store(to, v);
  else vec_store_lanes(to, lanes_below((int)count), v);
}

// Constant where inlined: loads of a tap, step.
static inline __attribute__((always_inline)) void fill_loads(const part *p, const loads *f, size_t each, int64_t step) {
  vec pad = vec_splat(p->pad);
  size_t plane = window_in(p->w);
  const float *x = p->x + p->k0 / f->taps * plane;
  float *to = p->to;
  for (size_t k = 0, t = p->k0 % f->taps; k < p->ks; t = 0, x += plane)
    for (; t < f->taps && k < p->ks; t++, k++, to += p->stride) {
      vec v = pad;
      for (size_t e = 0; e < each; e++) {
        const load *l = &f->at[e * f->taps + t];
        v = load_lanes(x + l->offset, step, l->chosen, v);
      }
      store(to, p->count, v);
    }
}

// Columns of one output row: a tap is one load, whose lanes depend on its column alone.
static inline __attribute__((always_inline)) void fill_row(const part *p, int64_t step) {
  const window *w = p->w;
  vec pad = vec_splat(p->pad);
  lanes chosen[TAPS];
  int64_t r = (int64_t)p->n / w->out[1], c = (int64_t)p->n % w->out[1], begin, end, columns = w->kernel[1];
  for (int64_t j = 0; j < columns; j++) {
    window_valid(w, 1, j, &begin, &end);
    begin = window_min(begin > c ? begin - c : 0, p->count), end = window_min(end > c ? end - c : 0, p->count);
    chosen[j] = lanes_but(lanes_below((int)end), lanes_below((int)begin));
  }
  size_t plane = window_in(w), taps = window_taps(w);
  int64_t top = r * w->stride[0] - w->pad[0], left = c * step - w->pad[1];
  int64_t i = (int64_t)(p->k0 % taps) / columns, j = (int64_t)(p->k0 % taps) % columns;
  const float *x = p->x + p->k0 / taps * plane;
  float *to = p->to;
  for (size_t k = 0; k < p->ks; i = 0, x += plane)
    for (; i < w->kernel[0] && k < p->ks; i++, j = 0) {
      int64_t row = top + i * w->dilation[0], at = row * w->in[1] + left + j * w->dilation[1];
      bool there = row >= 0 && row < w->in[0];
      // What the next panel reads: planes are too far apart for the processor to foresee it.
      __builtin_prefetch(x + at + AHEAD * step), __builtin_prefetch(x + at + AHEAD * step + VECTOR);
      for (; j < columns && k < p->ks; j++, k++, at += w->dilation[1], to += p->stride)
        store(to, p->count, there ? load_lanes(x + at, step, chosen[j], pad) : pad);
    }
}

static void fill_f32(const window *general, const float *x, float pad, float *panel, size_t stride, size_t k0,
                     size_t ks, size_t n0, size_t ns) {
  window w = {0};
  loads f;
  bool fits = window_as_2d(general, &w) && w.kernel[0] * w.kernel[1] <= TAPS && w.stride[1] <= INT32_MAX / VECTOR;
  for (size_t n = 0; n < ns; n += VECTOR, panel += VECTOR) {
    part p = {&w, x, pad, panel, stride, k0, ks, n0 + n, window_min(VECTOR, (int64_t)(ns - n))};
    int64_t step = w.stride[1];
    if (fits && (int64_t)p.n % w.out[1] + p.count <= w.out[1])
      step == 1 ? fill_row(&p, 1) : step == 2 ? fill_row(&p, 2) : fill_row(&p, step);
    else if (!fits || !find_loads(&f, &w, p.n, p.count))
      fill_any(general, x, pad, panel, stride, k0, ks, p.n, (size_t)p.count);
    else if (step == 1)
      f.each == 1 ? fill_loads(&p, &f, 1, 1) : f.each == 2 ? fill_loads(&p, &f, 2, 1) : fill_loads(&p, &f, f.each, 1);
    else step == 2 ? fill_loads(&p, &f, f.each, 2) : fill_loads(&p, &f, f.each, step);
  }
}

KERNEL(im2col) = {.fill_f32 = fill_f32, .fill_u8 = fill_u8};
