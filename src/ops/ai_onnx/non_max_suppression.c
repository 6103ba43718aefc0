// SPDX-License-Identifier: Apache-2.0
// NonMaxSuppression: per batch and class, boxes in order of score (lower index first among equals),
// each kept unless it overlaps a kept one by more than iou_threshold. Boxes without area overlap
// nothing; NaN scores never pass. Rows of the result: batch, class, box.
#include <math.h>

#include "base/size.h"
#include "base/sort.h"
#include "ops/call.h"
#include "ops/infer.h"

typedef struct params {
  bool center;
} params;

static sdx_status non_max_suppression_read(op_params_context *c, void *p) {
  int64_t center = params_int(c, "center_point_box");
  if (center != 0 && center != 1)
    return params_fail(c, "center_point_box", "is %lld, expected 0 or 1", (long long)center);
  ((params *)p)->center = center == 1;
  return SDX_OK;
}

static sdx_status disagree(op_step *c) {
  return step_fail_at(c, at_input(1), SDX_INVALID_SHAPE, "has other batches or boxes than input 0 ('boxes')");
}

static sdx_status non_max_suppression_infer(op_step *c) {
  SDX_TRY(infer_rank(c, 0, 3, 3));
  SDX_TRY(infer_rank(c, 1, 3, 3));
  if (infer_rank_of(c, 0) == 3 && infer_rank_of(c, 1) == 3) {
    const int64_t *b = c->in_types[0]->dims, *s = c->in_types[1]->dims;
    if (b[2] >= 0 && b[2] != 4)
      return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld numbers a box, expected 4", (long long)b[2]);
    if ((b[0] >= 0 && s[0] >= 0 && b[0] != s[0]) || (b[1] >= 0 && s[2] >= 0 && b[1] != s[2])) return disagree(c);
  }
  return infer_output(c, 0, SDX_INT64, 2, (int64_t[]){DIM_UNKNOWN, 3});
}

typedef struct box {
  float y1, x1, y2, x2, area;
} box;

static box read_box(const float *b, bool center) {
  box r;
  if (center) {
    r = (box){b[1] - b[3] / 2, b[0] - b[2] / 2, b[1] + b[3] / 2, b[0] + b[2] / 2, 0};
  } else {
    r = (box){fminf(b[0], b[2]), fminf(b[1], b[3]), fmaxf(b[0], b[2]), fmaxf(b[1], b[3]), 0};
  }
  r.area = (r.y2 - r.y1) * (r.x2 - r.x1);
  return r;
}

// Most pairs are apart, which four comparisons and one branch that is foreseen tell.
static bool meet(const box *a, const box *b) {
  return (a->y2 > b->y1) & (b->y2 > a->y1) & (a->x2 > b->x1) & (b->x2 > a->x1);
}

static bool overlaps(const box *a, const box *b, float threshold) {
  if (!meet(a, b)) return false;
  float h = fminf(a->y2, b->y2) - fmaxf(a->y1, b->y1), w = fminf(a->x2, b->x2) - fmaxf(a->x1, b->x1);
  if (!(h > 0 && w > 0 && a->area > 0 && b->area > 0)) return false;
  float both = h * w;
  return both / (a->area + b->area - both) > threshold;
}

typedef struct candidate {
  float score;
  int32_t index;
} candidate;

static int by_score(const void *x, const void *y, void *unused) {
  const candidate *a = x, *b = y;
  if (a->score != b->score) return a->score > b->score ? -1 : 1;
  return (a->index > b->index) - (a->index < b->index);
}

// Results grow in one array of the run's account.
typedef struct selection {
  int64_t (*at)[3];
  size_t count, capacity;
} selection;

static bool add(op_step *c, selection *s, int64_t batch, int64_t class, int64_t index) {
  if (s->count == s->capacity) {
    size_t capacity = s->capacity ? s->capacity * 2 : 64, bytes;
    if (!size_mul(capacity, sizeof *s->at, &bytes)) return false;
    int64_t(*at)[3] = mem_alloc(call_account(c), bytes);
    if (!at) return false;
    if (s->count) memcpy(at, s->at, s->count * sizeof *at);
    mem_free(s->at);
    s->at = at;
    s->capacity = capacity;
  }
  int64_t *row = s->at[s->count++];
  row[0] = batch;
  row[1] = class;
  row[2] = index;
  return true;
}

static float number(const tensor *t, float otherwise) { return t && t->count ? *(const float *)t->data : otherwise; }

static sdx_status suppress(op_step *c, selection *s, candidate *order, box *kept) {
  const tensor *boxes = step_in(c, 0), *scores = step_in(c, 1), *most = step_in(c, 2), *score_input = step_in(c, 4);
  int64_t limit = most && most->count ? tensor_index_at(most, 0) : 0, n = boxes->dims[1], classes = scores->dims[1];
  float iou = number(step_in(c, 3), 0), low = number(score_input, 0);
  bool center = ((const params *)c->params)->center;
  if (!(iou >= 0 && iou <= 1))
    return step_fail_at(c, at_input(3), SDX_OUT_OF_RANGE, "is %g, expected 0 to 1", (double)iou);
  for (int64_t line = 0; limit > 0 && n > 0 && line < boxes->dims[0] * classes; line++) {
    const float *score = (const float *)scores->data + line * n,
                *at = (const float *)boxes->data + line / classes * n * 4;
    size_t count = 0, kept_count = 0;
    for (int64_t i = 0; i < n; i++)
      if (score_input && score_input->count ? score[i] > low : score[i] == score[i])
        order[count++] = (candidate){score[i], (int32_t)i};
    merge_sort(order, order + n, count, sizeof *order, by_score, NULL);
    SDX_TRY(call_check(c));
    for (size_t i = 0; i < count && (int64_t)kept_count < limit; i++) {
      box b = read_box(at + 4 * (size_t)order[i].index, center);
      size_t k = 0;
      if ((i & 255) == 255) SDX_TRY(call_check(c));
      while (k < kept_count && !overlaps(&kept[k], &b, iou)) k++;
      if (k < kept_count) continue;
      kept[kept_count++] = b;
      if (!add(c, s, line / classes, line % classes, order[i].index)) return call_no_memory(c, s->capacity * 48);
    }
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

static sdx_status non_max_suppression_compute(op_step *c) {
  const tensor *boxes = step_in(c, 0), *scores = step_in(c, 1);
  size_t bytes, n = (size_t)boxes->dims[1];
  if (boxes->dims[2] != 4 || boxes->dims[0] != scores->dims[0] || boxes->dims[1] != scores->dims[2]) return disagree(c);
  if (n > INT32_MAX || !size_mul(n + 1, sizeof(box) + 2 * sizeof(candidate), &bytes))
    return call_no_memory(c, SIZE_MAX);
  box *kept = call_alloc(c, bytes);
  if (!kept) return call_no_memory(c, bytes);
  selection s = {0};
  sdx_status status = suppress(c, &s, (candidate *)(kept + n), kept);
  if (status == SDX_OK) status = call_set_shape(c, 0, SDX_INT64, 2, (int64_t[]){(int64_t)s.count, 3});
  if (status == SDX_OK && s.count) memcpy(step_out(c, 0)->data, s.at, s.count * sizeof *s.at);
  mem_free(s.at);
  return status;
}

static const char *const non_max_suppression_cases[] = {
    "boxes=float[2,6,4]@0..2 scores=float[2,3,6]@0..1 max_output_boxes_per_class=int64(3) iou_threshold=float(0.4) "
    "score_threshold=float(0.2)",
    "boxes=float[1,9,4]@0.5..2 scores=float[1,1,9]@0..1 max_output_boxes_per_class=int64(9) iou_threshold=float(0.3) "
    "center_point_box=1",
    "boxes=float[1,4,4]@0..2 scores=float[1,2,4]@0..1", NULL};

SDX_OP(NonMaxSuppression) = {
    .since = 11,
    .versions = "11 10",
    .inputs = "boxes:float scores:float max_output_boxes_per_class:int64? iou_threshold:float? score_threshold:float?",
    .outputs = "selected_indices:int64",
    .attrs = "center_point_box:int=0",
    .params_size = sizeof(params),
    .params = non_max_suppression_read,
    .infer = non_max_suppression_infer,
    .compute = non_max_suppression_compute,
    .cases = non_max_suppression_cases,
};
