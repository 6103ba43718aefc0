// SPDX-License-Identifier: Apache-2.0
// StringConcat: x followed by y, element by element, with broadcasting. Lengths are added up first, so that all
// bytes come from one block that counts against the run's budget.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/row.h"

static sdx_status string_concat_infer(op_step *c) { return infer_broadcast(c, 0, 0, 2, SDX_STRING); }

// In pieces: one string may be as long as the budget.
static char *append(char *to, str from) {
  enum { PIECE = 1 << 20 };
  for (size_t at = 0; at < from.size && (at == 0 || !pool_stopped()); at += PIECE)
    memcpy(to + at, from.at + at, from.size - at < PIECE ? from.size - at : PIECE);
  return to + from.size;
}

// First walk (context NULL): lengths. Second: bytes, which go where *context points.
static void concat_row(const void *context, void *out_, const void *a_, const void *b_, size_t n, unsigned scalar) {
  str *out = out_;
  const str *a = a_, *b = b_;
  char **next = *(char **const *)context;
  for (size_t i = 0; i < n; i++) {
    str x = a[scalar & ROW_A_SCALAR ? 0 : i], y = b[scalar & ROW_B_SCALAR ? 0 : i];
    if (!next) {
      if (!size_add(x.size, y.size, &out[i].size)) out[i].size = SIZE_MAX;
      continue;
    }
    out[i] = (str){*next, x.size + y.size};
    *next = append(append(*next, x), y);
  }
}

static sdx_status string_concat_compute(op_step *c) {
  tensor *out = step_out(c, 0);
  if (!out) return SDX_OK;
  op_step alone = *c;  // bytes are laid down one after the other
  alone.threads = 1;
  char **target = NULL;
  size_t total = 0;
  SDX_TRY(binary_run_row(&alone, out, step_in(c, 0), step_in(c, 1), concat_row, &target, GRAIN_CHEAP));
  for (size_t i = 0; i < out->count; i++)
    if (!size_add(total, ((const str *)out->data)[i].size, &total)) return call_no_memory(c, SIZE_MAX);
  char *at = call_alloc(c, total);
  if (!at) return call_no_memory(c, total);
  target = &at;
  return binary_run_row(&alone, out, step_in(c, 0), step_in(c, 1), concat_row, &target, GRAIN_CHEAP);
}

static const char *const string_concat_cases[] = {"X=string[2,3] Y=string[3]", "X=string[] Y=string[4]",
                                                  "X=string[0] Y=string[1]", NULL};

SDX_OP(StringConcat) = {
    .since = 20,
    .versions = "20",
    .inputs = "X:T Y:T",
    .outputs = "Z:T",
    .types = "T=string",
    .infer = string_concat_infer,
    .compute = string_concat_compute,
    .cases = string_concat_cases,
};
