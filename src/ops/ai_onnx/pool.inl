// SPDX-License-Identifier: Apache-2.0
// Pooling of planes for one element type. Before including: T, LOWEST and NAME(x). The average and Lp of
// integers are not asked for by any schema; they are compiled and never reached.

static void NAME(planes)(void *context, size_t begin, size_t end, size_t worker) {
  const pool_work *p = context;
  const window *w = &p->state->window;
  size_t in = window_in(w), out = window_out(w);
  pool_kind kind = p->params->kind;
  size_t done = 0;
  for (size_t i = begin; i < end; i++) {
    const T *x = (const T *)p->x + i * in;
    T *y = (T *)p->y + i * out;
    int64_t at[WINDOW_MAX_RANK] = {0};
    size_t o = 0;
    do {
      T most = LOWEST;
      double sum = 0;
      int64_t best = -1, places = 1, low[WINDOW_MAX_RANK], high[WINDOW_MAX_RANK], tap[WINDOW_MAX_RANK];
      bool any = true;
      for (size_t d = 0; d < w->rank; d++) {
        int64_t begin, end;
        window_taps_in(w, d, at[d], -w->pad[d], w->in[d] + w->pad_end[d], &begin, &end);
        window_taps_in(w, d, at[d], 0, w->in[d], &low[d], &high[d]);
        places *= p->params->include_pad ? end - begin : high[d] - low[d];
        any &= low[d] < high[d];
        tap[d] = low[d];
      }
      if (any) do {
          int64_t flat = 0;
          window_place(w, w->rank, at, tap, &flat);
          T v = x[flat];
          if (kind == POOL_AVERAGE) sum += (double)v;
          else if (kind == POOL_LP) sum += power(fabs((double)v), p->params->p);
          else if (!isnan((double)most) && (best < 0 || v > most || isnan((double)v)))
            most = v, best = flat;  // first NaN
          if (pool_stopped_after(&done, 1)) return;
        } while (window_next_in(tap, low, high, w->rank));
      y[o] = kind == POOL_MAX ? most : kind == POOL_AVERAGE ? (T)(sum / (double)places) : (T)root(sum, p->params->p);
      if (p->index) p->index[i * out + o] = best;
      o++;
    } while (window_next(at, w->out, w->rank));
  }
}
#undef T
#undef LOWEST
#undef NAME
