// SPDX-License-Identifier: Apache-2.0
// Shape: the dimensions [start, end) of the input as int64. Size: the number of its elements.
// Shape-15 added start and end; the other versions added types.
#include "base/size.h"
#include "ops/infer.h"

typedef struct params {
  int64_t start, end;
} params;

static sdx_status shape_read(op_params_context *c, void *p) {
  *(params *)p = (params){params_int(c, "start"), params_has(c, "end") ? params_int(c, "end") : INT64_MAX};
  return SDX_OK;
}

// Clamps as the specification says: negative numbers count from the back.
static void range_of(const params *p, int64_t rank, int64_t *start, int64_t *end) {
  int64_t s = p->start < 0 ? wrap_add(p->start, rank) : p->start, e = p->end < 0 ? wrap_add(p->end, rank) : p->end;
  *start = i64_min(i64_max(s, 0), rank);
  *end = i64_max(*start, i64_min(i64_max(e, 0), rank));
}

static sdx_status shape_infer(op_step *c) {
  SDX_TRY(infer_need(c, 0));
  int64_t start, end, n = DIM_UNKNOWN;
  int rank = infer_rank_of(c, 0);
  if (rank >= 0) {
    range_of(c->params, rank, &start, &end);
    n = end - start;
  }
  return infer_output(c, 0, SDX_INT64, 1, &n);
}

static sdx_status shape_compute(op_step *c) {
  const tensor *x = step_in(c, 0);
  int64_t start, end;
  range_of(c->params, x->rank, &start, &end);
  if (end > start) memcpy(step_out(c, 0)->data, x->dims + start, (size_t)(end - start) * sizeof *x->dims);
  return SDX_OK;
}

static const char *const shape_cases[] = {"data=float[2,3,4]",         "data=float[]",
                                          "data=float[2,3,4] start=1", "data=float[2,3,4] start=-2 end=-1",
                                          "data=float[0,3]",           NULL};

SDX_OP(Shape) = {
    .since = 25,
    .versions = "25 24 23 21 19 15 13 1",
    .inputs = "data:T",
    .outputs = "shape:int64",
    .types = "T=any",
    .attrs = "start:int=0 end:int",
    .flags = OP_READS_SHAPE,
    .params_size = sizeof(params),
    .params = shape_read,
    .infer = shape_infer,
    .compute = shape_compute,
    .cases = shape_cases,
};

static sdx_status size_infer(op_step *c) { return infer_output(c, 0, SDX_INT64, 0, NULL); }

static sdx_status size_compute(op_step *c) {
  *(int64_t *)step_out(c, 0)->data = (int64_t)step_in(c, 0)->count;
  return SDX_OK;
}

static const char *const size_cases[] = {"data=float[2,3,4]", "data=float[]", "data=float[0,3]", NULL};

SDX_OP(Size) = {
    .since = 25,
    .versions = "25 24 23 21 19 13 1",
    .inputs = "data:T",
    .outputs = "size:int64",
    .types = "T=any",
    .flags = OP_READS_SHAPE,
    .infer = size_infer,
    .compute = size_compute,
    .cases = size_cases,
};
