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
  const REAL *w, *r, *bias, *reset_bias, *peepholes;
  REAL *h, *c, *spare;     // [batch][hidden]
  REAL *gathered, *gates;  // of a chunk: rows of X, [steps][batch][gates]
  products *products;
  const attention_operands *attention;  // NULL: none
  const REAL *in_weights;               // of what it gives, [gates][columns of W], from its first column on
  size_t in_stride;
  REAL *given, *keys, *scores, *context;  // [batch][out], [batch][steps][width], [steps], [depth]
} NAME(lane);

// Each type's own: matrix i of the state's (c += a R', or a R' + bias), X W' + bias of a chunk, the row of a sequence
// (false: the formulas are to be used).
static void NAME(multiply_state)(const NAME(lane) * l, size_t i, const REAL *a, const REAL *bias, bool add, REAL *c,
                                 size_t stride);
static REAL *NAME(open_chunk)(const op_step *c, const NAME(lane) * l, size_t first, size_t count);
static bool NAME(usual_row)(const NAME(lane) * l, REAL *gates, REAL *h, REAL *c, const REAL *spare);

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

// X W' + bias of a chunk.
static REAL *NAME(inputs)(const op_step *c, const NAME(lane) * l, size_t first, size_t count) {
  const recurrent_state *s = l->s;
  matrix product = count == s->chunk ? s->inputs : s->last_inputs;
  product.m = count * s->batch, product.n = s->gates * s->hidden, product.k = s->input;
  NAME(gather)(c, l, first, count, l->gathered);
  NAME(multiply)(&product, l->d, l->gathered, l->w, l->bias, false, l->gates, product.n, l->products->gemm);
  return l->gates;
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

// spare: H Rh' + bias, where the reset comes after the product.
static void NAME(gru_row)(const NAME(lane) * l, REAL *gates, REAL *h, const REAL *spare) {
  size_t n = l->s->hidden;
  bool after = l->p->linear_before_reset;
  REAL *z = gates, *reset = gates + n, *fresh = gates + 2 * n;
  NAME(apply)(&l->functions[0], l->p->clip, gates, after ? 2 * n : n);
  for (size_t k = 0; after && k < n; k++) fresh[k] += reset[k] * spare[k];
  NAME(apply)(&l->functions[1], l->p->clip, fresh, n);
  for (size_t k = 0; k < n; k++) h[k] = (1 - z[k]) * fresh[k] + z[k] * h[k];
}

// Sequence b, whose products are all added.
static void NAME(row)(const NAME(lane) * l, size_t b, REAL *gates) {
  size_t n = l->s->hidden;
  REAL *h = l->h + b * n, *c = l->c + b * n, *spare = l->spare + b * n;
  if (NAME(usual_row)(l, gates, h, c, spare)) return;
  if (l->p->cell == LSTM) {
    NAME(lstm_row)(l, gates, h, c);
  } else if (l->p->cell == GRU) {
    NAME(gru_row)(l, gates, h, spare);
  } else {
    NAME(apply)(&l->functions[0], l->p->clip, gates, n);
    memcpy(h, gates, n * sizeof *h);
  }
}

// r (.) H, which goes into a product of its own.
static void NAME(reset)(const NAME(lane) * l, const REAL *gates, const REAL *h, REAL *out) {
  size_t n = l->s->hidden;
  memcpy(out, gates + n, n * sizeof *out);
  NAME(apply)(&l->functions[0], l->p->clip, out, n);
  for (size_t k = 0; k < n; k++) out[k] *= h[k];
}

// One step of the whole batch; rows behind their sequence's end keep their state.
static void NAME(step)(const op_step *c, const NAME(lane) * l, size_t t, REAL *gates) {
  const recurrent_state *s = l->s;
  size_t n = s->hidden, wide = s->gates * n;
  NAME(multiply_state)(l, 0, l->h, NULL, true, gates, wide);
  if (l->p->cell == GRU && l->p->linear_before_reset) {
    NAME(multiply_state)(l, 1, l->h, l->reset_bias, false, l->spare, n);
  } else if (l->p->cell == GRU) {
    for (size_t b = 0; b < s->batch; b++) NAME(reset)(l, gates + b * wide, l->h + b * n, l->spare + b * n);
    NAME(multiply_state)(l, 1, l->spare, NULL, true, gates + 2 * n, wide);
  }
  for (size_t b = 0; b < s->batch; b++) {
    if (t >= length_of(c, s, b)) continue;
    if (l->attention) NAME(add_given)(l, b, gates + b * wide);
    NAME(row)(l, b, gates + b * wide);
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

static void NAME(load_states)(const NAME(lane) * l, const operands *o) {
  size_t n = l->s->hidden;
  for (size_t b = 0; b < l->s->batch; b++) {
    size_t from = state_row(l->p, l->s, l->d, b);
    for (size_t k = 0; k < n; k++) {
      l->h[b * n + k] = o->initial_h ? ((const REAL *)o->initial_h)[from + k] : 0;
      l->c[b * n + k] = o->initial_c ? ((const REAL *)o->initial_c)[from + k] : 0;
    }
  }
}

static void NAME(store_states)(const op_step *c, const NAME(lane) * l, const operands *o) {
  size_t n = l->s->hidden;
  REAL *y_h = o->y_h, *y_c = o->y_c;
  for (size_t b = 0; b < l->s->batch; b++) {
    size_t to = state_row(l->p, l->s, l->d, b);
    bool empty = length_of(c, l->s, b) == 0;
    for (size_t k = 0; k < n; k++) {
      if (y_h) y_h[to + k] = empty ? 0 : l->h[b * n + k];
      if (y_c) y_c[to + k] = empty ? 0 : l->c[b * n + k];
    }
  }
}

static void NAME(store_step)(const op_step *c, const NAME(lane) * l, size_t t, REAL *y) {
  size_t n = l->s->hidden;
  for (size_t b = 0; y && b < l->s->batch; b++) {
    bool inside = t < length_of(c, l->s, b);
    REAL *to = y + y_row(l->p, l->s, inside ? time_of(c, l->s, b, t, l->backwards) : t, l->d, b);
    if (inside) memcpy(to, l->h + b * n, n * sizeof *to);
    else memset(to, 0, n * sizeof *to);
  }
}

typedef struct NAME(job) {
  const op_step *c;
  const operands *o;
  NAME(lane) lane;  // what both directions have
} NAME(job);

// The lane of direction d, in work memory of its own.
static NAME(lane) NAME(lane_of)(const NAME(job) * j, size_t d, products *x) {
  NAME(lane) l = j->lane;
  const operands *o = j->o;
  size_t n = l.s->hidden, wide = l.s->gates * n, batch = l.s->batch;
  *x = (products){.gemm = o->gemm ? (char *)o->gemm + d * l.s->gemm_bytes : NULL};
  l.d = d, l.functions = l.p->functions[d], l.backwards = l.p->reverse || d == 1, l.products = x;
  if (l.w) l.w += d * wide * l.s->input;
  if (o->r) l.r = (const REAL *)o->r + d * wide * n;
  if (o->peepholes) l.peepholes = (const REAL *)o->peepholes + d * 3 * n;
  REAL *joined = (REAL *)o->work + d * l.s->work, *reset = joined + wide;
  l.h = reset + wide, l.c = l.h + batch * n, l.spare = l.c + batch * n, l.gates = l.spare + batch * n;
  l.gathered = l.gates + (l.s->carries ? 2 : 1) * l.s->chunk * batch * wide;
  if (o->bias) {
    NAME(join_bias)(&l, (const REAL *)o->bias + d * 2 * wide, joined, reset);
    l.bias = joined, l.reset_bias = reset;
  }
  if (l.attention) l.in_weights = (const REAL *)o->w + d * wide * l.in_stride + l.s->input;
  return l;
}

static void NAME(direction)(void *context, size_t d, size_t worker) {
  const NAME(job) *j = context;
  products x;
  NAME(lane) l = NAME(lane_of)(j, d, &x);
  const recurrent_state *s = l.s;
  if (l.attention) NAME(make_keys)(&l);
  NAME(load_states)(&l, j->o);
  for (size_t first = 0; first < s->steps && !pool_stopped(); first += s->chunk) {
    size_t count = s->steps - first < s->chunk ? s->steps - first : s->chunk;
    REAL *gates = NAME(open_chunk)(j->c, &l, first, count);
    for (size_t t = first; t < first + count && !pool_stopped(); t++) {
      NAME(step)(j->c, &l, t, gates + (t - first) * s->batch * s->gates * s->hidden);
      NAME(store_step)(j->c, &l, t, j->o->y);
    }
  }
  NAME(store_states)(j->c, &l, j->o);
}

static sdx_status NAME(run)(op_step *c, const recurrent_params *p, const recurrent_state *s, const operands *o) {
  NAME(job) job = {.c = c, .o = o, .lane = {.p = p, .s = s, .w = o->w}};
  if (o->attention) SDX_TRY(NAME(open_attention)(c, &job.lane, o, &job.lane.w));
  // Both directions of an attention have the same memory for what they look at.
  pool_run(o->attention || s->small ? 1 : c->threads, p->directions, NAME(direction), &job);
  return call_check(c);
}
#undef REAL
#undef NAME
