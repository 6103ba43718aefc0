// SPDX-License-Identifier: Apache-2.0
// StringSplit: each string cut at a delimiter into a row of substrings, rows filled up with empty strings to the
// longest, and how many there were. Without a delimiter runs of white space (of any script) separate, and none is left
// at the ends. `maxsplit` bounds the cuts; the rest stays in one piece. Substrings point into the input's bytes.
#include "base/size.h"
#include "base/unicode.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/move.h"

typedef struct split_params {
  str delimiter;
  uint64_t most;  // substrings
} split_params;

static sdx_status string_split_read(op_params_context *c, void *params) {
  split_params *p = params;
  p->delimiter = params_string(c, "delimiter");
  int64_t cuts = params_has(c, "maxsplit") ? params_int(c, "maxsplit") : -1;
  p->most = cuts < 0 ? UINT64_MAX : (uint64_t)cuts + 1;
  return SDX_OK;
}

static sdx_status string_split_infer(op_step *c) {
  int64_t dims[TENSOR_MAX_RANK + 1];
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_same_as(c, 1, 0, SDX_INT64));
  for (int d = 0; d < rank; d++) dims[d] = infer_dim(c, 0, d);
  if (rank >= 0) dims[rank] = DIM_UNKNOWN;
  return infer_output(c, 0, SDX_STRING, rank < 0 ? -1 : rank + 1, dims);
}

// Where the run of white space (or of anything else) that begins at i ends. Invalid UTF-8 is no space. `done` counts
// characters: of all strings, as all counts here.
static size_t run_end(str s, size_t i, bool space, size_t *done) {
  for (size_t next = i; next < s.size && !pool_stopped_after(done, 1); i = next)
    if (unicode_is_space(utf8_next(s, &next)) != space) return i;
  return s.size;
}

// Substrings of s, `stop` of them at most, into out (NULL: only counted).
static size_t split_spaces(str s, uint64_t most, str *out, size_t *done) {
  size_t n = 0, i = 0;
  for (;; n++) {
    i = run_end(s, i, true, done);
    if (i == s.size || pool_stopped_after(done, 1)) return n;
    size_t first = i;
    i = n + 1 == most ? s.size : run_end(s, i, false, done);
    if (out) out[n] = (str){s.at + first, i - first};
  }
}

static size_t split_at(str s, str delimiter, uint64_t most, str *out, size_t *done) {
  size_t n = 0, first = 0;
  for (;; n++) {
    const char *from = s.size ? s.at + first : "", *hit = NULL;
    if (n + 1 != most && s.size - first >= delimiter.size)
      hit = memmem(from, s.size - first, delimiter.at, delimiter.size);
    size_t size = hit ? (size_t)(hit - from) : s.size - first;
    if (out) out[n] = (str){from, size};
    if (!hit || pool_stopped_after(done, size + 1)) return n + 1;
    first += size + delimiter.size;
  }
}

static size_t split(const split_params *p, str s, str *out, size_t *done) {
  return p->delimiter.size ? split_at(s, p->delimiter, p->most, out, done) : split_spaces(s, p->most, out, done);
}

static sdx_status string_split_compute(op_step *c) {
  const split_params *p = c->params;
  const tensor *x = step_in(c, 0);
  const str *in = x->data;
  tensor *counts = step_out(c, 1);
  size_t longest = 0, done = 0;
  for (size_t i = 0; i < x->count; i++) {
    size_t n = split(p, in[i], NULL, &done);
    if (counts) ((int64_t *)counts->data)[i] = (int64_t)n;
    if (n > longest) longest = n;
    if ((i & 0xfff) == 0xfff) SDX_TRY(call_check(c));
  }
  SDX_TRY(call_check(c));  // what was stopped counted too little
  if (c->output_count < 1 || !c->out[0]) return SDX_OK;
  int64_t dims[TENSOR_MAX_RANK + 1];
  for (size_t d = 0; d < x->rank; d++) dims[d] = x->dims[d];
  dims[x->rank] = (int64_t)longest;
  SDX_TRY(call_set_shape(c, 0, SDX_STRING, x->rank + 1u, dims));
  str *out = step_out(c, 0)->data;
  for (size_t i = 0; i < x->count && !pool_stopped_after(&done, longest); i++, out += longest)
    for (size_t n = split(p, in[i], out, &done); n < longest; n++) out[n] = (str){"", 0};
  return call_check(c);
}

static const char *const string_split_cases[] = {
    "X=string(a.b.c,x,,..,q.) delimiter=.", "X=string(a.b.c,x.y) delimiter=. maxsplit=1", "X=string(abc,de)", NULL};

SDX_OP(StringSplit) = {
    .since = 20,
    .versions = "20",
    .inputs = "X:T1",
    .outputs = "Y:T2 Z:T3",
    .types = "T1=string;T2=string;T3=int64",
    .attrs = "delimiter:string maxsplit:int",
    .params_size = sizeof(split_params),
    .params = string_split_read,
    .infer = string_split_infer,
    .compute = string_split_compute,
    .cases = string_split_cases,
};
