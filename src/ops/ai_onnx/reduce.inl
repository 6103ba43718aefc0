// SPDX-License-Identifier: Apache-2.0
// The loop of reduce.c for one type. The includer defines T, SUFFIX, LOW and HIGH (what the maximum and the
// minimum of nothing are) and, for floats, FLOATING. Sums run in double for floats and wrap for integers;
// logarithms and square roots are taken in double.
#ifdef FLOATING
#define ACC double
#else
#define ACC uint64_t
#endif
#define EACH(statement)              \
  do {                               \
    for (size_t i = 0; i < n; i++) { \
      T v = x[i * step];             \
      statement;                     \
    }                                \
  } while (0)

// The result of one output element; `number` has what the operators with square roots and logarithms add up.
#ifdef FLOATING
static T ROW_JOIN(reduce_finish, SUFFIX)(const reduce_job *j, ACC sum, double number, T best) {
  switch (j->op) {
    case REDUCE_MAX:
    case REDUCE_MIN:
      return best;
    case REDUCE_MEAN:
      return (T)(sum / (double)j->walk->terms);
    case REDUCE_L2:
      return (T)sqrt(number);
    case REDUCE_LOG_SUM:
      return (T)log(number);
    case REDUCE_LOG_SUM_EXP:
      return isinf(best) || best != best ? best : (T)((double)best + log(number));
    default:
      return (T)sum;
  }
}
#else
static T ROW_JOIN(reduce_finish, SUFFIX)(const reduce_job *j, ACC sum, double number, T best) {
  size_t terms = j->walk->terms;
  switch (j->op) {
    case REDUCE_MAX:
    case REDUCE_MIN:
      return best;
    case REDUCE_MEAN:  // truncates; (T)-1 < 0 asks whether T has a sign
      return terms == 0 ? 0 : (T)-1 < (T)1 ? (T)((int64_t)sum / (int64_t)terms) : (T)(sum / terms);
    case REDUCE_L2:
      number = sqrt(number);
      break;
    case REDUCE_LOG_SUM:
      number = log(number);
      break;
    case REDUCE_LOG_SUM_EXP:
      number = (double)best + log(number);
      break;
    default:
      return (T)sum;
  }
  T whole;
  convert_from_doubles(j->dtype, &whole, 0, 1, &number);
  return whole;
}
#endif

static void ROW_JOIN(reduce_range, SUFFIX)(void *context, size_t begin, size_t end, size_t worker) {
  const reduce_job *j = context;
  const reduce_walk *w = j->walk;
  size_t length = w->reduced[w->reduced_rank - 1], step = w->reduced_step[w->reduced_rank - 1], done = 0;
  for (size_t index = begin; index < end; index++) {
    size_t offset = reduce_walk_offset(w, index);
    ACC sum = j->op == REDUCE_PROD;
    double number = 0;
    T best = j->op == REDUCE_MIN ? HIGH : LOW;
    for (int pass = j->op == REDUCE_LOG_SUM_EXP ? 0 : 1; w->terms && pass < 2; pass++) {
      reduce_run run;
      reduce_run_start(&run, w, offset);
      do {
        for (size_t first = 0, n; first < length; first += n) {
          n = length - first < PIECE ? length - first : PIECE;
          if (pool_stopped_after(&done, n)) return;
          const T *x = (const T *)j->in + run.offset + first * step;
          switch (pass == 0 ? REDUCE_MAX : j->op) {
            case REDUCE_SUM:
            case REDUCE_MEAN:
              EACH(sum += (ACC)v);
              break;
            case REDUCE_SUM_SQUARE:
              EACH(sum += (ACC)v * (ACC)v);
              break;
            case REDUCE_L1:
              EACH(sum += v > 0 ? (ACC)v : 0 - (ACC)v);
              break;
            case REDUCE_PROD:
              EACH(sum *= (ACC)v);
              break;
            case REDUCE_MAX:
              EACH(best = v > best || v != v ? v : best);
              break;
            case REDUCE_MIN:
              EACH(best = v < best || v != v ? v : best);
              break;
            case REDUCE_L2:
              EACH(number += (double)v * (double)v);
              break;
            case REDUCE_LOG_SUM:
              EACH(number += (double)v);
              break;
            case REDUCE_LOG_SUM_EXP:
              EACH(number += exp((double)v - (double)best));
              break;
          }
        }
      } while (reduce_run_next(&run, w));
    }
    ((T *)j->out)[index] = ROW_JOIN(reduce_finish, SUFFIX)(j, sum, number, best);
  }
}
#undef EACH
#undef ACC
#undef T
#undef SUFFIX
#undef LOW
#undef HIGH
#undef FLOATING
