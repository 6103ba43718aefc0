// SPDX-License-Identifier: Apache-2.0
// Scaled dot-product attention, what every attention operator comes down to once its inputs are heads:
//
//   s = softcap(scale q k') + bias, closed outside of the window;  p = softmax(s);  y = p v
//
// Work is cut into blocks of query rows of one head, so the scores never exist as a whole and one thread does a
// block from start to end. Many rows go through gemm_f32, few (decoding) and double through plain loops.
// A row that may look at no key gives zeros, not NaN. Read next: attend.inl.
#pragma once

#include "base/pool.h"
#include "kernels/gemm_f32/gemm_f32.h"
#include "kernels/softmax_f32/softmax_f32.h"
#include "ops/parts/widen.h"
#include "ops/record.h"

// [batch, heads, rows, width], the last dense; steps in elements.
typedef struct attend_view {
  void *at;
  size_t batch, head, row;
} attend_view;
// Rows of `columns` numbers that are added to the scores; -inf closes a key, and so does the end of a short row.
typedef struct attend_bias {
  const void *at;  // NULL: none
  size_t batch, head, row;
  size_t columns;
  size_t heads;  // head h has the rows of head h % heads; 0: its own
} attend_bias;

// What a plan is made from. Query head h reads key and value head h / (heads / kv_heads).
typedef struct attend_shape {
  sdx_dtype dtype;  // SDX_FLOAT or SDX_DOUBLE, of everything
  size_t batch, heads, kv_heads, rows, columns, width, v_width;
} attend_shape;

typedef struct attend_plan {
  attend_shape shape;
  size_t block, blocks;             // query rows of a block, blocks of a head
  gemm_f32_plan scores[2], mix[2];  // of a whole block and of the last one of a head
  const softmax_f32_kernel *softmax;
  bool gemm;
  // Heads of several blocks: their keys and values are packed once, behind the workers.
  bool packed;
  size_t k_bytes, v_bytes, worker_bytes, workers_bytes, scratch_bytes;
} attend_plan;

typedef enum attend_stage { ATTEND_RAW, ATTEND_CAPPED, ATTEND_BIASED, ATTEND_PROBABILITIES } attend_stage;

// Steps of the work, for callers that change the scores or probabilities in between.
typedef enum attend_parts { ATTEND_SCORES = 1, ATTEND_SOFTEN = 2, ATTEND_MIX = 4 } attend_parts;

typedef struct attend_call {
  attend_view q, k, v, y;
  double scale, softcap;  // softcap 0: none
  attend_bias bias[2];
  // Row r of sample b stands at key p = r + offset (+ offsets[b]); it sees keys [p - left, p + right] below
  // lengths[b]. left or right < 0: no bound on that side. offsets, lengths NULL: none.
  const int64_t *offsets, *lengths;
  int64_t offset, left, right;
  const void *sinks;  // [heads]: a further score whose probability goes nowhere; NULL: none
  bool precise;       // softmax in double
  bool plain;         // a row that may look at no key gives NaN, as Softmax has it
  void *stages;       // [batch, heads, rows, columns]: the scores as they are at `stage`; NULL: not wanted
  attend_stage stage;
  unsigned parts;  // attend_parts; 0: all
  void *between;   // [batch, heads, rows, columns]: where a call without the first or last part reads or writes
} attend_call;

// false: a size overflows.
bool attend_plan_init(attend_plan *plan, const attend_shape *shape, size_t threads, int precision);
// scratch: plan->scratch_bytes, 64-byte aligned.
void attend_run(op_step *c, const attend_plan *plan, const attend_call *call, void *scratch);

// Elements as the type that is computed in (float or double), and back; ended early by the run's limits.
enum { ATTEND_PIECE = 1 << 18 };
static inline void attend_load(sdx_dtype dtype, const tensor *from, size_t first, size_t count, void *to) {
  for (size_t done = 0, n; done < count && !pool_stopped(); done += n) {
    n = count - done < ATTEND_PIECE ? count - done : ATTEND_PIECE;
    if (dtype == SDX_DOUBLE)
      convert_to_doubles((sdx_dtype)from->dtype, from->data, first + done, n, (double *)to + done);
    else widen_read((sdx_dtype)from->dtype, from->data, first + done, n, (float *)to + done);
  }
}
static inline void attend_store(sdx_dtype dtype, tensor *to, const void *from) {
  for (size_t done = 0, n; done < to->count && !pool_stopped(); done += n) {
    n = to->count - done < ATTEND_PIECE ? to->count - done : ATTEND_PIECE;
    if (dtype == SDX_DOUBLE) convert_from_doubles((sdx_dtype)to->dtype, to->data, done, n, (const double *)from + done);
    else widen_write((sdx_dtype)to->dtype, to->data, done, n, (const float *)from + done);
  }
}
