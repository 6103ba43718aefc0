// SPDX-License-Identifier: Apache-2.0
// The weighted passes of Resize for one working type. Before including: REAL and NAME(x).

// Rows are pairs (outer, output index); each is a weighted sum of `inner` contiguous elements.
static void NAME(pass_rows)(void *context, size_t begin, size_t end, size_t worker) {
  const pass *s = context;
  size_t taps = s->table->taps, inner = s->inner;
  for (size_t row = begin; row < end; row++) {
    size_t outer = row / s->out, o = row % s->out;
    const REAL *from = (const REAL *)s->from + outer * s->in * inner;
    REAL *to = (REAL *)s->to + row * inner;
    const int64_t *index = s->table->index + o * taps;
    const double *weight = s->table->weight + o * taps;
    if (index[0] < 0) {
      for (size_t i = 0; i < inner; i++) to[i] = (REAL)s->fill;
      continue;
    }
    if (taps == 2) {
      const REAL *a = from + (size_t)index[0] * inner, *b = from + (size_t)index[1] * inner;
      REAL u = (REAL)weight[0], v = (REAL)weight[1];
      for (size_t i = 0; i < inner; i++) to[i] = a[i] * u + b[i] * v;
      continue;
    }
    for (size_t i = 0; i < inner; i++) to[i] = 0;
    for (size_t t = 0; t < taps; t++) {
      const REAL *a = from + (size_t)index[t] * inner;
      REAL w = (REAL)weight[t];
      // A tap without weight must not let a NaN or infinity of a far pixel in.
      if (w != 0)
        for (size_t i = 0; i < inner; i++) to[i] += a[i] * w;
    }
  }
}

// The innermost axis with two taps: `count` lines at once, which share index and weights.
INLINE void NAME(few_lines)(const pass *s, size_t line, size_t count) {
  const REAL *from = (const REAL *)s->from + line * s->in;
  REAL *to = (REAL *)s->to + line * s->out;
  const int64_t *index = s->table->index;
  const double *weight = s->table->weight;
  for (size_t o = 0; o < s->out && !pool_stopped_in(o); o++, index += 2, weight += 2) {
    REAL u = (REAL)weight[0], v = (REAL)weight[1];
    for (size_t i = 0; i < count; i++)
      to[i * s->out + o] = index[0] < 0
                               ? (REAL)s->fill
                               : from[i * s->in + (size_t)index[0]] * u + from[i * s->in + (size_t)index[1]] * v;
  }
}

static void NAME(pass_lines)(void *context, size_t begin, size_t end, size_t worker) {
  const pass *s = context;
  size_t line = begin;
  for (; line + LINES <= end && !pool_stopped(); line += LINES) NAME(few_lines)(s, line, LINES);
  for (; line < end && !pool_stopped(); line++) NAME(few_lines)(s, line, 1);
}

static sdx_status NAME(sample)(op_step *c, const grid *g, const tensor *x, tensor *y, const table *tables,
                               char *buffers, size_t buffer) {
  const resize_params *p = c->params;
  sdx_dtype kind = parts_of(x->dtype) == 2 ? (sizeof(REAL) == 4 ? SDX_FLOAT : SDX_DOUBLE) : (sdx_dtype)x->dtype;
  size_t parts = parts_of(x->dtype);
  bool direct = kind == (sizeof(REAL) == 4 ? SDX_FLOAT : SDX_DOUBLE);
  const void *now = x->data;
  char *spare[2] = {buffers, buffers + buffer};
  int64_t dims[TENSOR_MAX_RANK];
  size_t last = 0;
  for (size_t d = 0; d < x->rank; d++) {
    dims[d] = x->dims[d];
    if (!unchanged(p, g, d, x->dims[d])) last = d + 1;
  }
  if (!direct) {
    NAME(convert_to)(kind, x->data, 0, x->count * parts, (REAL *)spare[0]);
    now = spare[0];
  }
  for (size_t d = 0; d < last; d++) {
    if (unchanged(p, g, d, x->dims[d])) continue;
    size_t outer = 1, inner = parts;
    for (size_t i = 0; i < d; i++) outer *= (size_t)dims[i];
    for (size_t i = d + 1; i < x->rank; i++) inner *= (size_t)dims[i];
    bool final = direct && d + 1 == last;
    pass s = {.table = &tables[d],
              .from = now,
              .to = final             ? y->data
                    : now == spare[0] ? spare[1]
                                      : spare[0],
              .in = (size_t)dims[d],
              .out = (size_t)y->dims[d],
              .inner = inner,
              .fill = (double)p->extrapolation};
    if (inner == 1 && s.table->taps == 2) call_parallel(c, outer, 1 + 8192 / s.out, NAME(pass_lines), &s);
    else call_parallel(c, outer * s.out, 1 + 16384 / (inner * s.table->taps), NAME(pass_rows), &s);
    SDX_TRY(call_check(c));
    dims[d] = y->dims[d];
    now = s.to;
  }
  if (!direct) NAME(convert_from)(kind, y->data, 0, y->count * parts, (const REAL *)now);
  else if (now != y->data) memcpy(y->data, now, y->bytes);
  return SDX_OK;
}
#undef REAL
#undef NAME
