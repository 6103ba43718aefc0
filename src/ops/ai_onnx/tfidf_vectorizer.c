// SPDX-License-Identifier: Apache-2.0
// TfIdfVectorizer: how often each n-gram of a pool occurs in a row of strings or integers, with up to max_skip_count
// items left out between its members. Output [size] or [rows, size]; size is the largest of ngram_indexes + 1.
//
//   Tokens become numbers, n-grams paths of a tree: an edge is (node, token) -> node, kept in one map.
//
// N-gram i counts at coordinate ngram_indexes[i] and is scaled by weights[i]. IDF: counts are 0 or 1, also where
// n-grams share a coordinate, which then has the weight of the first of the pool that was found.
#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"

typedef enum tfidf_mode { MODE_TF, MODE_IDF, MODE_TFIDF } tfidf_mode;

typedef struct tfidf_params {
  tfidf_mode mode;
  int64_t shortest, longest, skips;
  bool strings;
  const float *weights;    // NULL: 1
  const int64_t *indexes;  // coordinate of each n-gram
  size_t grams;
  int64_t size;  // of the output
  str_map tokens, edges;
  const uint32_t *ends;  // [node]: n-gram that ends here + 1, 0: none
} tfidf_params;

typedef struct edge {
  uint32_t node, token;
} edge;

static str edge_key(const edge *e) { return (str){(const char *)e, sizeof *e}; }

// ---- params ---------------------------------------------------------------------------------------

static sdx_status read_mode(op_params_context *c, tfidf_params *p) {
  str mode = params_string(c, "mode");
  if (str_is(mode, "TF")) p->mode = MODE_TF;
  else if (str_is(mode, "IDF")) p->mode = MODE_IDF;
  else if (str_is(mode, "TFIDF")) p->mode = MODE_TFIDF;
  else return params_fail(c, "mode", "is '%.*s', expected one of TF, IDF, TFIDF", STR_ARG(mode));
  p->shortest = params_int(c, "min_gram_length"), p->longest = params_int(c, "max_gram_length");
  p->skips = params_int(c, "max_skip_count");
  if (p->shortest < 1) return params_fail(c, "min_gram_length", "is %lld, expected at least 1", (long long)p->shortest);
  if (p->longest < p->shortest)
    return params_fail(c, "max_gram_length", "is %lld, expected at least min_gram_length %lld", (long long)p->longest,
                       (long long)p->shortest);
  if (p->skips < 0) return params_fail(c, "max_skip_count", "is %lld, expected at least 0", (long long)p->skips);
  return SDX_OK;
}

static sdx_status read_coordinates(op_params_context *c, tfidf_params *p, size_t *count) {
  size_t weights;
  p->indexes = params_ints(c, "ngram_indexes", count);
  for (size_t i = 0; i < *count; i++) {
    if (p->indexes[i] < 0 || p->indexes[i] == INT64_MAX)
      return params_fail(c, "ngram_indexes", "is %lld at %zu, expected a coordinate", (long long)p->indexes[i], i);
    if (p->indexes[i] >= p->size) p->size = p->indexes[i] + 1;
  }
  p->grams = *count;
  p->weights = params_floats(c, "weights", &weights);
  if (weights == 0) p->weights = NULL;
  else if (weights != *count) return params_fail(c, "weights", "has %zu entries for %zu n-grams", weights, *count);
  return SDX_OK;
}

// The pool as strings: integers by their bytes.
static sdx_status read_pool(op_params_context *c, tfidf_params *p, const str **pool, size_t *count) {
  size_t strings, ints;
  const str *words = params_strings(c, "pool_strings", &strings);
  const int64_t *numbers = params_ints(c, "pool_int64s", &ints);
  if ((strings != 0) == (ints != 0))
    return params_fail(c, "pool_strings", "exactly one of pool_strings and pool_int64s must have entries");
  p->strings = strings != 0;
  *pool = words, *count = strings;
  if (p->strings) return SDX_OK;
  str *keys = arena_array(c->memory, ints, sizeof *keys);
  if (!keys) return error_no_memory(c->err, ints * sizeof *keys);
  for (size_t i = 0; i < ints; i++) keys[i] = (str){(const char *)&numbers[i], sizeof numbers[i]};
  *pool = keys, *count = ints;
  return SDX_OK;
}

// One n-gram as a path of the tree; `nodes` counts nodes, ends has room for one more per token.
static bool add_gram(arena *memory, tfidf_params *p, const str *gram, size_t length, uint32_t id, uint32_t *ends,
                     uint32_t *nodes) {
  edge at = {0, 0};
  for (size_t i = 0; i < length; i++) {
    uint32_t next;
    if (!str_map_find(&p->tokens, gram[i], &at.token)) {
      at.token = (uint32_t)p->tokens.count;
      if (!str_map_put(&p->tokens, gram[i], at.token)) return false;
    }
    if (!str_map_find(&p->edges, edge_key(&at), &next)) {
      next = (*nodes)++;
      edge *kept = arena_copy(memory, &at, sizeof at);
      if (!kept || !str_map_put(&p->edges, edge_key(kept), next)) return false;
    }
    at.node = next;
  }
  ends[at.node] = id + 1;
  return true;
}

static sdx_status tfidf_vectorizer_read(op_params_context *c, void *params) {
  tfidf_params *p = params;
  size_t indexes, items = 0, lengths;
  const str *pool = NULL;
  SDX_TRY(read_mode(c, p));
  SDX_TRY(read_coordinates(c, p, &indexes));
  SDX_TRY(read_pool(c, p, &pool, &items));
  const int64_t *starts = params_ints(c, "ngram_counts", &lengths);
  uint32_t *ends = items < UINT32_MAX ? arena_array(c->memory, items + 1, sizeof *ends) : NULL, nodes = 1;
  if (!ends) return error_no_memory(c->err, items);
  p->ends = ends;
  str_map_init(&p->tokens, c->memory);
  str_map_init(&p->edges, c->memory);
  size_t id = 0;
  for (size_t n = 0; n < lengths; n++) {
    int64_t end = n + 1 < lengths ? starts[n + 1] : (int64_t)items, length = (int64_t)n + 1;
    if (starts[n] < 0 || end < starts[n] || end > (int64_t)items || (end - starts[n]) % length)
      return params_fail(c, "ngram_counts", "entries %lld to %lld of a pool of %zu are no n-grams of %lld",
                         (long long)starts[n], (long long)end, items, (long long)length);
    for (int64_t at = starts[n]; at < end; at += length, id++) {
      if (id >= indexes)
        return params_fail(c, "ngram_indexes", "has %zu entries, fewer than the pool has n-grams", indexes);
      if (length < p->shortest || length > p->longest) continue;
      if (!add_gram(c->memory, p, pool + at, (size_t)length, (uint32_t)id, ends, &nodes))
        return error_no_memory(c->err, items);
    }
  }
  return SDX_OK;
}

// ---- infer and compute ----------------------------------------------------------------------------

static sdx_status tfidf_vectorizer_infer(op_step *c) {
  const tfidf_params *p = c->params;
  sdx_dtype dtype = infer_dtype_of(c, 0);
  int rank = infer_rank_of(c, 0);
  SDX_TRY(infer_rank(c, 0, 0, 2));
  if (dtype && (dtype == SDX_STRING) != p->strings)
    return step_fail_at(c, at_input(0), SDX_INVALID_SHAPE, "is of type %s, but the pool holds %s", dtype_name(dtype),
                        p->strings ? "strings" : "integers");
  int64_t dims[2] = {infer_dim(c, 0, 0), p->size};
  return infer_output(c, 0, SDX_FLOAT, rank < 0 ? -1 : rank == 2 ? 2 : 1, rank == 2 ? dims : dims + 1);
}

enum { NO_TOKEN = UINT32_MAX };

static uint32_t token_at(const tfidf_params *p, const tensor *x, size_t i) {
  int64_t number;
  uint32_t token;
  str key = {(const char *)&number, sizeof number};
  if (x->dtype == SDX_STRING) key = ((const str *)x->data)[i];
  else number = tensor_index_at(x, i);
  return str_map_find(&p->tokens, key, &token) ? token : NO_TOKEN;
}

// Counts the n-grams that start at `start` and have `step` items from one member to the next.
static void count_from(const tfidf_params *p, const uint32_t *tokens, size_t n, size_t start, size_t step,
                       int64_t shortest, uint32_t *counts) {
  edge at = {0, 0};
  int64_t length = 1;
  for (size_t i = start; i < n && length <= p->longest; i += step, length++) {
    at.token = tokens[i];
    if (at.token == NO_TOKEN || !str_map_find(&p->edges, edge_key(&at), &at.node)) return;
    if (length >= shortest && p->ends[at.node]) counts[p->ends[at.node] - 1]++;
    if (step >= n - i) return;
  }
}

static sdx_status count_row(op_step *c, const uint32_t *tokens, size_t n, uint32_t *counts) {
  const tfidf_params *p = c->params;
  int64_t shortest = p->shortest;
  for (size_t step = 1; step - 1 <= (uint64_t)p->skips && step <= n; step++) {
    for (size_t start = 0; start < n; start++) {
      count_from(p, tokens, n, start, step, shortest, counts);
      SDX_TRY(call_check_in(c, start));
    }
    SDX_TRY(call_check(c));
    if (shortest == 1 && ++shortest > p->longest) break;  // single items do not depend on skips: once is enough
  }
  return SDX_OK;
}

static sdx_status tfidf_vectorizer_compute(op_step *c) {
  const tfidf_params *p = c->params;
  const tensor *x = step_in(c, 0);
  tensor *y = step_out(c, 0);
  if (!y || y->count == 0) return SDX_OK;
  size_t rows = x->rank == 2 ? (size_t)x->dims[0] : 1, n = x->count / rows, size = (size_t)p->size;
  float *out = y->data;
  uint32_t *tokens = call_alloc(c, x->count * sizeof *tokens), *counts = call_alloc(c, p->grams * sizeof *counts);
  if (!tokens || !counts) return call_no_memory(c, (x->count + p->grams) * sizeof *tokens);
  for (size_t i = 0; i < x->count; i++) {
    tokens[i] = token_at(p, x, i);
    SDX_TRY(call_check_in(c, i));
  }
  SDX_TRY(call_zero(c, out, y->bytes));
  for (size_t r = 0; r < rows; r++, out += size) {
    memset(counts, 0, p->grams * sizeof *counts);
    SDX_TRY(count_row(c, tokens + r * n, n, counts));
    for (size_t i = 0; i < p->grams; i++) {
      float weight = p->mode != MODE_TF && p->weights ? p->weights[i] : 1;
      float *to = &out[p->indexes[i]];
      if (p->mode != MODE_IDF) *to += weight * (float)counts[i];
      else if (counts[i] && *to == 0) *to = weight;
    }
  }
  return SDX_OK;
}

// clang-format off
static const char *const tf_idf_vectorizer_cases[] = {
    "X=int32[12]@1..8 max_gram_length=2 max_skip_count=0 min_gram_length=2 mode=TF ngram_counts=0,4 "
    "ngram_indexes=0,1,2,3,4,5,6 pool_int64s=2,3,5,4,5,6,7,8,6,7",
    "X=int64[2,6]@1..8 max_gram_length=2 max_skip_count=5 min_gram_length=1 mode=TFIDF weights=0.5,1,2,3,1,1,0.25 "
    "ngram_counts=0,4 ngram_indexes=0,1,2,3,4,5,6 pool_int64s=2,3,5,4,5,6,7,8,6,7",
    "X=string(a,b,a,c,b) max_gram_length=2 max_skip_count=1 min_gram_length=1 mode=IDF ngram_counts=0,2 "
    "ngram_indexes=1,0,2 pool_strings=a,b,a,c", NULL};

SDX_OP(TfIdfVectorizer) = {
    .since = 9, .versions = "9", .inputs = "X:T", .outputs = "Y:T1", .types = "T=string,int32,int64;T1=float",
    .attrs = "max_gram_length:int! max_skip_count:int! min_gram_length:int! mode:string! ngram_counts:ints! "
             "ngram_indexes:ints! pool_int64s:ints pool_strings:strings weights:floats",
    .params_size = sizeof(tfidf_params), .params = tfidf_vectorizer_read, .infer = tfidf_vectorizer_infer,
    .compute = tfidf_vectorizer_compute,
    .cases = tf_idf_vectorizer_cases,
};
// clang-format on
