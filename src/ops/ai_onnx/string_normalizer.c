// SPDX-License-Identifier: Apache-2.0
// StringNormalizer: drops the strings that are stop words, then changes case. Input [n] or [1, n]; when nothing is
// left the output is one empty string. Case is mapped by Unicode's simple rules, whatever `locale` says: results do
// not depend on the machine.
#include "base/size.h"
#include "base/unicode.h"
#include "ops/call.h"
#include "ops/infer.h"

typedef enum case_action { CASE_NONE, CASE_LOWER, CASE_UPPER } case_action;

typedef struct normalizer_params {
  case_action action;
  bool sensitive;
  str_map stops;  // lower case unless sensitive
} normalizer_params;

// Needs room for 2 * s.size bytes: two become three at most. false: not UTF-8. `done` counts characters of all strings.
static bool change_case(str s, case_action action, char *to, size_t *size, size_t *done) {
  char *start = to;
  for (size_t i = 0; i < s.size && !pool_stopped_after(done, 1);) {
    int32_t code = utf8_next(s, &i);
    if (code < 0) return false;
    to += utf8_put(to, action == CASE_LOWER ? unicode_lower(code) : action == CASE_UPPER ? unicode_upper(code) : code);
  }
  *size = (size_t)(to - start);
  return true;
}

static sdx_status add_stop(op_params_context *c, normalizer_params *p, str word, size_t index) {
  size_t room, done = 0;
  if (!p->sensitive) {
    char *to = size_mul(word.size, 2, &room) ? arena_alloc(c->memory, room + 1) : NULL;
    if (!to) return error_no_memory(c->err, word.size);
    if (!change_case(word, CASE_LOWER, to, &word.size, &done))
      return params_fail(c, "stopwords", "entry %zu is not valid UTF-8", index);
    word.at = to;
  }
  return str_map_put(&p->stops, word, 1) ? SDX_OK : error_no_memory(c->err, word.size);
}

static sdx_status string_normalizer_read(op_params_context *c, void *params) {
  normalizer_params *p = params;
  str action = params_string(c, "case_change_action");
  if (str_is(action, "LOWER")) p->action = CASE_LOWER;
  else if (str_is(action, "UPPER")) p->action = CASE_UPPER;
  else if (!str_is(action, "NONE"))
    return params_fail(c, "case_change_action", "is '%.*s', expected one of NONE, LOWER, UPPER", STR_ARG(action));
  p->sensitive = params_int(c, "is_case_sensitive") != 0;
  str_map_init(&p->stops, c->memory);
  size_t count;
  const str *words = params_strings(c, "stopwords", &count);
  for (size_t i = 0; i < count; i++) SDX_TRY(add_stop(c, p, words[i], i));
  return SDX_OK;
}

static sdx_status string_normalizer_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  int64_t one = 1;
  SDX_TRY(infer_rank(c, 0, 1, 2));
  if (rank == 2) SDX_TRY(infer_agree(c, 0, 0, "rows", &one));
  return infer_output(c, 0, SDX_STRING, rank, rank == 2 ? (int64_t[]){1, DIM_UNKNOWN} : (int64_t[]){DIM_UNKNOWN});
}

static sdx_status fail_utf8(op_step *c, size_t index) {
  return step_fail_at(c, at_input(0), SDX_INVALID_ARGUMENT, "string %zu is not valid UTF-8", index);
}

// Which strings stay: keep[i].
static sdx_status filter(op_step *c, const normalizer_params *p, const tensor *x, char *room, bool *keep,
                         size_t *kept) {
  const str *in = x->data;
  size_t done = 0;
  *kept = 0;
  for (size_t i = 0; i < x->count; i++) {
    uint32_t found;
    str word = in[i];
    SDX_TRY(call_check_in(c, i));
    if (p->stops.count && !p->sensitive) {
      if (!change_case(in[i], CASE_LOWER, room, &word.size, &done)) return fail_utf8(c, i);
      word.at = room;
    }
    keep[i] = !str_map_find(&p->stops, word, &found);
    *kept += keep[i];
  }
  return SDX_OK;
}

static sdx_status string_normalizer_compute(op_step *c) {
  const normalizer_params *p = c->params;
  const tensor *x = step_in(c, 0);
  const str *in = x->data;
  size_t total = 0, longest = 0, done = 0, kept, bytes;
  if (x->rank == 2 && x->dims[0] != 1)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "has %lld rows, expected 1", (long long)x->dims[0]);
  for (size_t i = 0; i < x->count; i++) {
    if (!size_add(total, in[i].size, &total)) return call_no_memory(c, SIZE_MAX);
    if (in[i].size > longest) longest = in[i].size;
    SDX_TRY(call_check_in(c, i));
  }
  if (!size_mul(p->action == CASE_NONE ? longest : total, 2, &bytes)) return call_no_memory(c, SIZE_MAX);
  char *room = call_alloc(c, bytes);
  bool *keep = call_alloc(c, x->count);
  if (!room || !keep) return call_no_memory(c, bytes);
  SDX_TRY(filter(c, p, x, room, keep, &kept));
  SDX_TRY(call_check(c));
  int64_t dims[2] = {1, kept ? (int64_t)kept : 1};
  SDX_TRY(call_set_shape(c, 0, SDX_STRING, x->rank, x->rank == 2 ? dims : dims + 1));
  str *out = step_out(c, 0)->data;
  if (kept == 0) out[0] = (str){"", 0};
  for (size_t i = 0; i < x->count; i++) {
    SDX_TRY(call_check_in(c, i));
    if (!keep[i]) continue;
    *out = in[i];
    if (p->action != CASE_NONE) {
      if (!change_case(in[i], p->action, room, &out->size, &done)) return fail_utf8(c, i);
      out->at = room;
      room += out->size;
    }
    out++;
  }
  return SDX_OK;
}

static const char *const string_normalizer_cases[] = {
    "X=string(monday,Tuesday,abc) case_change_action=UPPER stopwords=monday",
    "X=string(monday,Tuesday,abc) case_change_action=LOWER is_case_sensitive=1 stopwords=Abc,abc", "X=string[1,4]",
    NULL};

SDX_OP(StringNormalizer) = {
    .since = 10,
    .versions = "10",
    .inputs = "X:string",
    .outputs = "Y:string",
    .attrs = "case_change_action:string=NONE is_case_sensitive:int=0 locale:string stopwords:strings",
    .params_size = sizeof(normalizer_params),
    .params = string_normalizer_read,
    .infer = string_normalizer_infer,
    .compute = string_normalizer_compute,
    .cases = string_normalizer_cases,
};
