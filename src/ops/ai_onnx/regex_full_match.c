// SPDX-License-Identifier: Apache-2.0
// RegexFullMatch: whether each whole string matches `pattern`; syntax and bounds are those of regex.h.
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/regex.h"

static sdx_status regex_full_match_read(op_params_context *c, void *params) {
  const char *problem;
  size_t at;
  const regex *r = *(const regex **)params = regex_compile(c->memory, params_string(c, "pattern"), &problem, &at);
  if (r) return SDX_OK;
  if (!problem) return error_no_memory(c->err, REGEX_MAX_PROGRAM);
  return params_fail(c, "pattern", "%s, near byte %zu", problem, at);
}

static sdx_status regex_full_match_infer(op_step *c) { return infer_same_as(c, 0, 0, SDX_BOOL); }

static sdx_status regex_full_match_compute(op_step *c) {
  const regex *r = *(const regex *const *)c->params;
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  void *scratch = call_alloc(c, regex_scratch_bytes(r));
  if (!scratch) return call_no_memory(c, regex_scratch_bytes(r));
  for (size_t i = 0; y && i < x->count; i++) {
    ((uint8_t *)y->data)[i] = regex_matches(r, ((const str *)x->data)[i], scratch);
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

static const char *const regex_full_match_cases[] = {"X=string(www.example.com,abc,,a.b@c.de) pattern=[a-z.]+",
                                                     "X=string[2,3] pattern=(abc|[0-9])*", NULL};

SDX_OP(RegexFullMatch) = {
    .since = 20,
    .versions = "20",
    .inputs = "X:T1",
    .outputs = "Y:T2",
    .types = "T1=string;T2=bool",
    .attrs = "pattern:string",
    .params_size = sizeof(const regex *),
    .params = regex_full_match_read,
    .infer = regex_full_match_infer,
    .compute = regex_full_match_compute,
    .cases = regex_full_match_cases,
};
