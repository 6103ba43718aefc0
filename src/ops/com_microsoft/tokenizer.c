// SPDX-License-Identifier: Apache-2.0
// Tokenizer: every string cut into tokens, as a row filled up with pad_value to the longest; with `mark` between
// the characters 2 and 3. Tokens are what `separators` (regular expressions, one after the other on all pieces) leave,
// or what `tokenexp` matches, or single characters ("" or "."). Matches are the longest of the first. Tokens of fewer
// than mincharnum characters are left out; they point into the input's bytes.
#include "base/size.h"
#include "base/unicode.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/regex.h"

typedef struct tokenizer_params {
  const regex *token, **separators;  // neither: characters
  size_t separator_count, least, scratch_bytes;
  str pad;
  bool mark;
} tokenizer_params;

static sdx_status compile(op_params_context *c, tokenizer_params *p, const char *name, str pattern, const regex **out) {
  const char *problem;
  size_t at;
  const regex *r = *out = regex_compile(c->memory, pattern, &problem, &at);
  if (!r && !problem) return error_no_memory(c->err, REGEX_MAX_PROGRAM);
  if (!r) return params_fail(c, name, "'%.*s': %s, near byte %zu", STR_ARG(pattern), problem, at);
  if (regex_scratch_bytes(r) > p->scratch_bytes) p->scratch_bytes = regex_scratch_bytes(r);
  return SDX_OK;
}

static sdx_status tokenizer_read(op_params_context *c, void *params) {
  tokenizer_params *p = params;
  size_t count = 0;
  const str *separators = params_strings(c, "separators", &count);
  str token = params_string(c, "tokenexp");
  int64_t least = params_int(c, "mincharnum");
  *p = (tokenizer_params){
      .least = (size_t)least, .pad = params_string(c, "pad_value"), .mark = params_int(c, "mark") != 0};
  if (least < 1) return params_fail(c, "mincharnum", "is %lld, expected at least 1", (long long)least);
  if ((count > 0) == params_has(c, "tokenexp"))
    return params_fail(c, "tokenexp", "and 'separators': one of both is needed");
  if (str_is(token, ".") || (count == 1 && separators[0].size == 0))
    return least == 1 ? SDX_OK : params_fail(c, "mincharnum", "is %lld, but tokens are characters", (long long)least);
  if (count == 0) return compile(c, p, "tokenexp", token, &p->token);
  p->separators = arena_array(c->memory, count, sizeof *p->separators);
  if (!p->separators) return error_no_memory(c->err, count * sizeof *p->separators);
  for (; p->separator_count < count; p->separator_count++)
    SDX_TRY(compile(c, p, "separators", separators[p->separator_count], &p->separators[p->separator_count]));
  return SDX_OK;
}

static sdx_status tokenizer_infer(op_step *c) {
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 1, 2));
  if (rank < 0) return infer_output(c, 0, SDX_STRING, -1, NULL);
  bool empty = infer_dim(c, 0, rank - 1) == 0;  // then there is no dimension of tokens
  int64_t dims[3] = {infer_dim(c, 0, 0), rank == 2 ? infer_dim(c, 0, 1) : DIM_UNKNOWN, DIM_UNKNOWN};
  bool sure = infer_dim(c, 0, rank - 1) >= 0 && infer_dim(c, 0, 0) != 0;
  for (int d = 0; d < rank; d++) empty |= infer_dim(c, 0, d) == 0;
  if (!sure && !empty) return infer_output(c, 0, SDX_STRING, -1, NULL);
  return infer_output(c, 0, SDX_STRING, empty ? rank : rank + 1, dims);
}

// ---- one string -----------------------------------------------------------------------------------

typedef struct token_list {
  const tokenizer_params *p;
  void *scratch;
  str *at;  // NULL: only counted
  size_t count;
  str *pieces;  // for each separator what is still to be cut
} token_list;

static void add_token(token_list *t, str text) {
  size_t letters = 0;
  for (size_t i = 0; i < text.size && letters < t->p->least; letters++) utf8_next(text, &i);
  if (letters < t->p->least) return;
  if (t->at) t->at[t->count] = text;
  t->count++;
}

static str part(str s, size_t begin, size_t end) { return (str){s.at + begin, end - begin}; }

// Takes the piece before the next match off *rest; what matches nothing is dropped character by character.
static str next_piece(token_list *t, const regex *separator, str *rest) {
  size_t begin = rest->size, end = rest->size;
  if (!regex_find(separator, *rest, 0, t->scratch, &begin, &end)) begin = end = rest->size;
  str piece = part(*rest, 0, begin);
  if (begin == end && end < rest->size) utf8_next(*rest, &end);
  *rest = part(*rest, end, rest->size);
  return piece;
}

static void cut(token_list *t, str text) {
  size_t level = 0, last = t->p->separator_count - 1;
  t->pieces[0] = text;
  for (;;) {
    if (t->pieces[level].size == 0) {
      if (level == 0) return;
      level--;
      continue;
    }
    str piece = next_piece(t, t->p->separators[level], &t->pieces[level]);
    if (level == last) add_token(t, piece);
    else t->pieces[++level] = piece;
  }
}

static void collect(token_list *t, str text) {
  size_t at = 0, begin, end;
  t->count = 0;
  if (t->p->separators) {
    cut(t, text);
  } else if (t->p->token) {
    while (at < text.size && regex_find(t->p->token, text, at, t->scratch, &begin, &end)) {
      if (end > begin) add_token(t, part(text, begin, end));
      else if (end < text.size) utf8_next(text, &end);
      else break;
      at = end;
    }
  } else {
    while (at < text.size) {
      begin = at;
      utf8_next(text, &at);
      add_token(t, part(text, begin, at));
    }
  }
}

static sdx_status tokenizer_compute(op_step *c) {
  const tokenizer_params *p = c->params;
  const tensor *x = step_in(c, 0);
  const str *in = x->data;
  size_t most = 0, bytes = p->separator_count * sizeof(str) + p->scratch_bytes + 16;
  int64_t dims[3] = {0};
  for (size_t d = 0; d < x->rank; d++) dims[d] = x->dims[d];
  if (x->count == 0) return call_set_shape(c, 0, SDX_STRING, x->rank, dims);
  char *room = call_alloc(c, bytes);
  if (!room) return call_no_memory(c, bytes);
  token_list t = {.p = p, .scratch = room, .pieces = (str *)(void *)(room + (p->scratch_bytes + 15) / 16 * 16)};
  for (size_t i = 0; i < x->count; i++) {
    collect(&t, in[i]);
    if (t.count > most) most = t.count;
    SDX_TRY(call_check(c));
  }
  size_t columns = most + (p->mark && most ? 2 : 0);
  dims[x->rank] = (int64_t)columns;
  SDX_TRY(call_set_shape(c, 0, SDX_STRING, x->rank + 1u, dims));
  str *out = step_out(c, 0)->data;
  for (size_t i = 0; columns && i < x->count; i++, out += columns) {
    size_t n = 0;
    if (p->mark) out[n++] = STR("\x02");
    t.at = out + n;
    collect(&t, in[i]);
    n += t.count;
    if (p->mark) out[n++] = STR("\x03");
    while (n < columns) out[n++] = p->pad;
    SDX_TRY(call_check(c));
  }
  return SDX_OK;
}

SDX_CASES = {"X=string(a-b,c,de--f-g) separators=- mincharnum=1 pad_value=# mark=1",
             "X=string[2,2](ab,cd,e,f1) tokenexp=[a-z]+ mincharnum=1 pad_value=# mark=0",
             "X=string(abc,d) tokenexp=. mincharnum=1 pad_value=# mark=1", NULL};

// clang-format off
SDX_OP_MS(Tokenizer) = {
    .since = 1, .versions = "1", .inputs = "X:T", .outputs = "Y:T", .types = "T=string",
    .attrs = "mark:int! mincharnum:int! pad_value:string! separators:strings tokenexp:string",
    .params_size = sizeof(tokenizer_params), .params = tokenizer_read, .infer = tokenizer_infer,
    .compute = tokenizer_compute, .cases = cases,
};
// clang-format on
