// SPDX-License-Identifier: Apache-2.0
// The recurrence for one working type. Before including: REAL and NAME(x).

static void NAME(bound)(float clip, REAL *v, size_t n) {
  REAL most = (REAL)clip;
  for (size_t i = 0; clip > 0 && i < n; i++) v[i] = v[i] > most ? most : v[i] < -most ? -most : v[i];
}

static void NAME(formula)(const gate_function *f, REAL *v, size_t n) {
  REAL a = (REAL)f->alpha, b = (REAL)f->beta;
  for (size_t i = 0; i < n; i++) {
    REAL x = v[i];
    switch (f->kind) {
      case F_SIGMOID:
        x = 1 / (1 + (REAL)exp((double)-x));
        break;
      case F_TANH:
        x = (REAL)tanh((double)x);
        break;
      case F_RELU:
        x = x < 0 ? 0 : x;
        break;
      case F_AFFINE:
        x = a * x + b;
        break;
      case F_LEAKY:
        x = x < 0 ? a * x : x;
        break;
      case F_THRESHOLDED:
        x = x >= a ? x : 0;
        break;
      case F_SCALED_TANH:
        x = a * (REAL)tanh((double)(b * x));
        break;
      case F_HARD_SIGMOID:
        x = a * x + b, x = x < 0 ? 0 : x > 1 ? 1 : x;
        break;
      case F_ELU:
        x = x < 0 ? a * (REAL)expm1((double)x) : x;
        break;
      case F_SOFTSIGN:
        x = x / (1 + (x < 0 ? -x : x));
        break;
      case F_SOFTPLUS:
        x = x > 0 ? x + (REAL)log1p(exp((double)-x)) : (REAL)log1p(exp((double)x));
        break;
    }
    v[i] = x;
  }
}

typedef struct NAME(lane) {  // one direction
  const recurrent_params *p;
  const recurrent_state *s;
  const gate_function *functions;
  size_t d;
  bool backwards;
  const REAL *r, *reset_bias, *peepholes;
  REAL *h, *c, *spare;  // [batch][hidden]
  void *gemm;
  const attention_operands *attention;  // NULL: none
  const REAL *in_weights;               // of what it gives, [gates][columns of W], from its first column on
  size_t in_stride;
  REAL *given, *keys, *scores, *context;  // [batch][out], [batch][steps][width], [steps], [depth]
} NAME(lane);

// ---- AttnLSTM -------------------------------------------------------------------------------------

static void NAME(make_keys)(const NAME(lane) * l) {
  const attention_operands *a = l->attention;
  const REAL *m = a->memory, *w = (const REAL *)a->memory_weights + l->d * a->depth * a->width;
  for (size_t i = 0; i < l->s->batch * a->out; i++) l->given[i] = 0;
  for (size_t i = 0; i < l->s->batch * a->steps; i++, m += a->depth) {
    REAL *key = l->keys + i * a->width;
    for (size_t k = 0; k < a->width; k++) key[k] = 0;
    for (size_t n = 0; n < a->depth; n++)
      for (size_t k = 0; k < a->width; k++) key[k] += m[n] * w[n * a->width + k];
  }
}

// What sequence b gives to its next step, from its H.
static void NAME(look)(const NAME(lane) * l, size_t b) {
  const attention_operands *a = l->attention;
  size_t n = l->s->hidden, steps = a->lengths ? (size_t)a->lengths[b] : a->steps;
  const REAL *h = l->h + b * n, *query = (const REAL *)a->query + l->d * n * a->width,
             *align = (const REAL *)a->align + l->d * a->width,
             *memory = (const REAL *)a->memory + b * a->steps * a->depth;
  REAL top = -(REAL)INFINITY, sum = 0, *given = l->given + b * a->out;
  for (size_t t = 0; t < steps; t++) l->scores[t] = 0;
  for (size_t k = 0; k < a->width; k++) {
    REAL q = 0;
    for (size_t i = 0; i < n; i++) q += h[i] * query[i * a->width + k];
    for (size_t t = 0; t < steps; t++)
      l->scores[t] += align[k] * (REAL)tanh((double)(l->keys[(b * a->steps + t) * a->width + k] + q));
  }
  for (size_t t = 0; t < steps; t++) top = l->scores[t] > top ? l->scores[t] : top;
  for (size_t t = 0; t < steps; t++) sum += l->scores[t] = (REAL)exp((double)(l->scores[t] - top));
  for (size_t k = 0; k < a->depth; k++) l->context[k] = 0;
  for (size_t t = 0; t < steps; t++)
    for (size_t k = 0; k < a->depth; k++) l->context[k] += l->scores[t] / sum * memory[t * a->depth + k];
  const REAL *layer = a->layer ? (const REAL *)a->layer + l->d * (n + a->depth) * a->out : NULL;
  for (size_t k = 0; k < a->out; k++) given[k] = layer ? 0 : l->context[k];
  for (size_t i = 0; layer && i < n + a->depth; i++)
    for (size_t k = 0; k < a->out; k++) given[k] += (i < n ? h[i] : l->context[i - n]) * layer[i * a->out + k];
}

static void NAME(add_given)(const NAME(lane) * l, size_t b, REAL *gates) {
  size_t out = l->attention->out;
  for (size_t i = 0; i < l->s->gates * l->s->hidden; i++) {
    REAL sum = 0;
    for (size_t k = 0; k < out; k++) sum += l->in_weights[i * l->in_stride + k] * l->given[b * out + k];
    gates[i] += sum;
  }
}

// Memory for it, and the columns of W that belong to X as a matrix of their own.
static sdx_status NAME(open_attention)(op_step *c, NAME(lane) * l, const operands *o, const REAL **w) {
  const attention_operands *a = l->attention = o->attention;
  const recurrent_state *s = l->s;
  size_t rows = l->p->directions * s->gates * s->hidden, keys = SIZE_MAX, bytes = SIZE_MAX;
  l->in_weights = o->w, l->in_stride = s->input + a->out;
  const int64_t parts[4] = {(int64_t)s->batch, (int64_t)a->steps, (int64_t)a->width, sizeof(REAL)};
  bool fits = size_product(parts, 4, &keys) && size_mul(s->batch, a->out, &bytes) &&
              size_add(bytes, a->steps, &bytes) && size_add(bytes, a->depth, &bytes) &&
              size_add(bytes, rows * s->input, &bytes) && size_mul(bytes, sizeof(REAL), &bytes);
  REAL *own = fits ? call_alloc(c, bytes) : NULL;
  l->keys = own ? call_alloc(c, keys) : NULL;
  if (!l->keys) return call_no_memory(c, keys);
  l->given = own, l->scores = l->given + s->batch * a->out, l->context = l->scores + a->steps;
  REAL *of_x = l->context + a->depth;
  for (size_t i = 0; i < rows && s->input; i++)
    memcpy(of_x + i * s->input, l->in_weights + i * l->in_stride, s->input * sizeof *of_x);
  *w = of_x;
  return SDX_OK;
}

// ---- the cells ------------------------------------------------------------------------------------

// Rows of X in the order of processing, steps [first, first + count); zeros behind a sequence's end.
static void NAME(gather)(const op_step *c, const NAME(lane) * l, size_t first, size_t count, REAL *to) {
  const recurrent_state *s = l->s;
  const tensor *x = step_in(c, X);
  for (size_t t = first; t < first + count; t++) {
    for (size_t b = 0; b < s->batch; b++, to += s->input) {
      if (t >= length_of(c, s, b)) {
        memset(to, 0, s->input * sizeof *to);
        continue;
      }
      size_t time = time_of(c, s, b, t, l->backwards);
      size_t row = l->p->batch_first ? b * s->steps + time : time * s->batch + b;
      NAME(convert_to)((sdx_dtype)x->dtype, x->data, row * s->input, s->input, to);
    }
  }
}

static void NAME(lstm_row)(const NAME(lane) * l, REAL *gates, REAL *h, REAL *state) {
  size_t n = l->s->hidden;
  const gate_function *f = l->functions;
  const REAL *p = l->peepholes;  // i, o, f
  REAL *in = gates, *out = gates + n, *forget = gates + 2 * n, *cell = gates + 3 * n;
  float clip = l->p->clip;
  for (size_t k = 0; p && k < n; k++) in[k] += p[k] * state[k], forget[k] += p[2 * n + k] * state[k];
  NAME(apply)(&f[0], clip, in, n);
  if (l->p->couple)
    for (size_t k = 0; k < n; k++) forget[k] = 1 - in[k];
  else NAME(apply)(&f[0], clip, forget, n);
  NAME(apply)(&f[1], clip, cell, n);
  for (size_t k = 0; k < n; k++) state[k] = forget[k] * state[k] + in[k] * cell[k];
  for (size_t k = 0; p && k < n; k++) out[k] += p[n + k] * state[k];
  NAME(apply)(&f[0], clip, out, n);
  for (size_t k = 0; k < n; k++) h[k] = state[k];
  NAME(apply)(&f[2], 0, h, n);
  for (size_t k = 0; k < n; k++) h[k] *= out[k];
}

// One step of the whole batch; rows behind their sequence's end keep their state.
static void NAME(step)(const op_step *c, const NAME(lane) * l, size_t t, REAL *gates) {
  const recurrent_state *s = l->s;
  size_t n = s->hidden, wide = s->gates * n;
  float clip = l->p->clip;
  const gate_function *f = l->functions;
  NAME(multiply)(&s->states[0], l->d, l->h, l->r, NULL, true, gates, wide, l->gemm);
  if (l->p->cell == GRU) {
    for (size_t b = 0; b < s->batch; b++) {
      NAME(apply)(&f[0], clip, gates + b * wide, 2 * n);
      for (size_t k = 0; k < n; k++) l->spare[b * n + k] = gates[b * wide + n + k] * l->h[b * n + k];
    }
    const REAL *r = l->r ? l->r + 2 * n * n : NULL;
    if (l->p->linear_before_reset)
      NAME(multiply)(&s->states[1], l->d, l->h, r, l->reset_bias, false, l->spare, n, l->gemm);
    else NAME(multiply)(&s->states[1], l->d, l->spare, r, NULL, true, gates + 2 * n, wide, l->gemm);
  }
  for (size_t b = 0; b < s->batch; b++) {
    REAL *g = gates + b * wide, *h = l->h + b * n;
    if (t >= length_of(c, s, b)) continue;
    if (l->attention) NAME(add_given)(l, b, g);
    if (l->p->cell == RNN) {
      NAME(apply)(&f[0], clip, g, n);
      memcpy(h, g, n * sizeof *h);
    } else if (l->p->cell == GRU) {
      REAL *z = g, *reset = g + n, *fresh = g + 2 * n;
      if (l->p->linear_before_reset)
        for (size_t k = 0; k < n; k++) fresh[k] += reset[k] * l->spare[b * n + k];
      NAME(apply)(&f[1], clip, fresh, n);
      for (size_t k = 0; k < n; k++) h[k] = (1 - z[k]) * fresh[k] + z[k] * h[k];
    } else {
      NAME(lstm_row)(l, g, h, l->c + b * n);
    }
    if (l->attention) NAME(look)(l, b);
  }
}

// The bias of the input product: Wb + Rb, but Rb of GRU's last gate apart where it is applied before the
// reset.
static void NAME(join_bias)(const NAME(lane) * l, const REAL *bias, REAL *joined, REAL *reset) {
  size_t n = l->s->hidden, wide = l->s->gates * n;
  const REAL *recurrent = bias + wide;
  bool apart = l->p->cell == GRU && l->p->linear_before_reset;
  for (size_t k = 0; k < wide; k++) joined[k] = bias[k] + (apart && k >= 2 * n ? 0 : recurrent[k]);
  for (size_t k = 0; k < n && apart; k++) reset[k] = recurrent[2 * n + k];
}

static sdx_status NAME(run)(op_step *c, const recurrent_params *p, const recurrent_state *s, const operands *o) {
  size_t n = s->hidden, wide = s->gates * n, rows = s->chunk * s->batch;
  REAL *gathered = o->work, *gates = gathered + rows * s->input, *joined = gates + rows * wide;
  REAL *reset = joined + wide;
  NAME(lane) l = {.p = p, .s = s, .gemm = o->gemm};
  l.h = reset + wide, l.c = l.h + s->batch * n, l.spare = l.c + s->batch * n;
  REAL *y = o->y, *y_h = o->y_h, *y_c = o->y_c;
  const REAL *weights = o->w;
  if (o->attention) SDX_TRY(NAME(open_attention)(c, &l, o, &weights));
  for (l.d = 0; l.d < p->directions; l.d++) {
    const REAL *w = weights ? weights + l.d * wide * s->input : NULL,
               *bias = o->bias ? (const REAL *)o->bias + l.d * 2 * wide : NULL;
    l.functions = p->functions[l.d];
    l.backwards = p->reverse || l.d == 1;
    l.r = o->r ? (const REAL *)o->r + l.d * wide * n : NULL;
    l.peepholes = o->peepholes ? (const REAL *)o->peepholes + l.d * 3 * n : NULL;
    l.reset_bias = bias ? reset : NULL;
    if (bias) NAME(join_bias)(&l, bias, joined, reset);
    if (l.attention) {
      l.in_weights = (const REAL *)o->w + l.d * wide * l.in_stride + s->input;
      NAME(make_keys)(&l);
    }
    for (size_t b = 0; b < s->batch; b++) {
      size_t from = state_row(p, s, l.d, b);
      for (size_t k = 0; k < n; k++) {
        l.h[b * n + k] = o->initial_h ? ((const REAL *)o->initial_h)[from + k] : 0;
        l.c[b * n + k] = o->initial_c ? ((const REAL *)o->initial_c)[from + k] : 0;
      }
    }
    for (size_t first = 0; first < s->steps; first += s->chunk) {
      size_t count = s->steps - first < s->chunk ? s->steps - first : s->chunk;
      matrix product = count == s->chunk ? s->inputs : s->last_inputs;
      product.m = count * s->batch, product.n = wide, product.k = s->input;
      NAME(gather)(c, &l, first, count, gathered);
      NAME(multiply)(&product, l.d, gathered, w, bias ? joined : NULL, false, gates, wide, o->gemm);
      for (size_t t = first; t < first + count; t++) {
        NAME(step)(c, &l, t, gates + (t - first) * s->batch * wide);
        for (size_t b = 0; y && b < s->batch; b++) {
          bool inside = t < length_of(c, s, b);
          REAL *to = y + y_row(p, s, inside ? time_of(c, s, b, t, l.backwards) : t, l.d, b);
          if (inside) memcpy(to, l.h + b * n, n * sizeof *to);
          else memset(to, 0, n * sizeof *to);
        }
        SDX_TRY(call_check(c));
      }
    }
    for (size_t b = 0; b < s->batch; b++) {
      size_t to = state_row(p, s, l.d, b);
      bool empty = length_of(c, s, b) == 0;
      for (size_t k = 0; k < n; k++) {
        if (y_h) y_h[to + k] = empty ? 0 : l.h[b * n + k];
        if (y_c) y_c[to + k] = empty ? 0 : l.c[b * n + k];
      }
    }
  }
  return SDX_OK;
}
#undef REAL
#undef NAME
