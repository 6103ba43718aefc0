// SPDX-License-Identifier: Apache-2.0
// Rows of a batched product of dense matrices for one working type. Before including: T and NAME.

static void NAME(void *context, size_t begin, size_t end, size_t worker) {
  const multiply *w = context;
  size_t m = w->pair->m, n = w->pair->n, k = w->pair->k, done = 0;
  for (size_t row = begin; row < end; row++) {
    const T *a = (const T *)w->a + row * k, *b = (const T *)w->b + row / m * k * n;
    T *y = (T *)w->y + row * n;
    for (size_t j = 0; j < n; j++) y[j] = 0;
    for (size_t i = 0; i < k && !pool_stopped_after(&done, n); i++)
      for (size_t j = 0; j < n; j++) y[j] += a[i] * b[i * n + j];
  }
}
#undef T
#undef NAME
