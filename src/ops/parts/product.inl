// SPDX-License-Identifier: Apache-2.0
// Rows of a batched matrix product for one element type. Before including: T (unsigned for integers,
// so that sums wrap), DTYPE (how scaling reads the bits) and NAME(x). Each element is one chain over k.

static void NAME(rows)(void *context, size_t begin, size_t end, size_t worker) {
  const loop *l = context;
  const product *p = l->p;
  size_t every = 1 + LOOK / (p->b.column == 1 ? p->n + 1 : p->k + 1);  // turns between two looks at the clock
  for (size_t row = begin; row < end; row++) {
    size_t i = row / p->m, r = row % p->m;
    const T *a = (const T *)l->a + matrix(&p->a, i) + r * p->a.row;
    const T *b = (const T *)l->b + matrix(&p->b, i);
    T *y = (T *)l->y + row * p->n;
    for (size_t n = 0; n < p->n; n++) y[n] = 0;
    if (pool_stopped_in(row)) return;
    if (p->b.column == 1) {
      for (size_t k = 0; k < p->k; k++) {
        if (k % every == every - 1 && pool_stopped()) return;
        T left = a[k * p->a.column];
        const T *right = b + k * p->b.row;
        for (size_t n = 0; n < p->n; n++) y[n] += left * right[n];
      }
    } else {
      for (size_t n = 0; n < p->n; n++) {
        const T *right = b + n * p->b.column;
        if (n % every == every - 1 && pool_stopped()) return;
        T sum = 0;
        for (size_t k = 0; k < p->k; k++) sum += a[k * p->a.column] * right[k * p->b.row];
        y[n] = sum;
      }
    }
    const T *bias = (const T *)l->bias;
    if (p->alpha == 1 && (!bias || p->beta == 1)) {
      for (size_t n = 0; bias && n < p->n; n++) y[n] += bias[r * p->bias_row + n * p->bias_column];
      continue;
    }
    for (size_t n = 0; n < p->n; n++) {
      double sum = 0, add = 0;
      convert_to_doubles(DTYPE, y, n, 1, &sum);
      if (bias) convert_to_doubles(DTYPE, bias, r * p->bias_row + n * p->bias_column, 1, &add);
      sum = (double)p->alpha * sum + (double)p->beta * add;
      convert_from_doubles(DTYPE, y, n, 1, &sum);
    }
  }
}
#undef T
#undef DTYPE
#undef NAME
