// SPDX-License-Identifier: Apache-2.0
// Finding out whether a model's rows are independent, and what batches of them cost (batching.h).
#include "server/batching.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/half.h"
#include "base/host.h"

enum {
  TRIAL_ROWS = 97,  // a prime: no other dimension is a multiple of it by chance
  KINDS = 4,        // different rows in the trial
  TRIALS = 2,       // runs a size, the fastest counts
  FREE_SIZES = 3,
  MEMORY_SHARE = 16,  // a run may take that part of the memory
  DECAY = 64
};
static const int64_t free_sizes[FREE_SIZES] = {64, 8, 1};  // tried for other free dimensions

// ---- what the plan says --------------------------------------------------------------------------

static bool says(char *why, size_t size, const char *format, const char *name) {
  snprintf(why, size, format, name);
  return false;
}

static bool io_allows(const sdx_session *s, char *why, size_t size) {
  const char *batch = NULL;
  for (size_t i = 0; i < sdx_session_input_count(s); i++) {
    const sdx_io *io = sdx_session_input(s, i);
    bool free = io->has_shape && io->rank && io->shape[0] < 0 && io->symbols[0];
    if (!free) return says(why, size, "the first dimension of input '%.100s' is not free, or has no name", io->name);
    if (!batch) batch = io->symbols[0];
    if (strcmp(batch, io->symbols[0]) != 0)
      return says(why, size, "the first dimension of input '%.100s' has a name of its own", io->name);
    if (io->dtype == SDX_UNDEFINED || io->dtype == SDX_STRING || io->may_be_left_out)
      return says(why, size, "input '%.100s' is no tensor of numbers, or may be left out", io->name);
  }
  for (size_t i = 0; i < sdx_session_output_count(s); i++) {
    const sdx_io *io = sdx_session_output(s, i);
    if (io->dtype == SDX_UNDEFINED || io->dtype == SDX_STRING)
      return says(why, size, "output '%.100s' is no tensor of numbers", io->name);
  }
  return batch || says(why, size, "the model has no inputs%s", "");
}

// A value that is computed keeps its rows apart if its first dimension counts them.
static bool output_allows(const json_t *output, char *why, size_t size) {
  const char *storage = json_string_value(json_object_get(output, "storage"));
  json_int_t rows = json_integer_value(json_array_get(json_object_get(output, "shape"), 0));
  bool result = storage && !strcmp(storage, "output");
  if (storage && !strcmp(storage, "constant")) return true;
  if (rows && rows % TRIAL_ROWS == 0 && (!result || rows == TRIAL_ROWS)) return true;
  const char *name = json_string_value(json_object_get(output, "name"));
  return says(why, size, "value '%.100s' mixes rows", name ? name : "");
}

static bool steps_allow(const json_t *steps, char *why, size_t size) {
  size_t i, k;
  json_t *step, *output;
  json_array_foreach(steps, i, step) {
    const char *node = json_string_value(json_object_get(step, "node"));
    if (json_is_true(json_object_get(step, "dynamic")))
      return says(why, size, "what node '%.100s' gives depends on data", node ? node : "");
    json_array_foreach(json_object_get(step, "outputs"), k, output) if (!output_allows(output, why, size)) return false;
  }
  return json_array_size(steps) > 0 || says(why, size, "there is no plan for a batch%s", "");
}

// The trial session has the batch fixed, so that its plan has numbers.
static bool plan_allows(const char *path, const sdx_session *s, char *why, size_t size) {
  sdx_session *trial = NULL;
  sdx_options *options = sdx_options_create();
  bool good = options && sdx_options_set_dim(options, sdx_session_input(s, 0)->symbols[0], TRIAL_ROWS) == SDX_OK;
  if (good) good = sdx_session_load_file(path, options, &trial) == SDX_OK;
  char *text = good ? sdx_session_describe(trial, "plan") : NULL;
  json_t *plan = text ? json_loads(text, 0, NULL) : NULL;
  good = steps_allow(json_object_get(plan, "steps"), why, size);
  json_decref(plan);
  sdx_string_free(text);
  sdx_session_destroy(trial);
  sdx_options_destroy(options);
  return good;
}

// ---- what runs say -------------------------------------------------------------------------------

typedef struct trial {
  sdx_session *session;
  sdx_run *run;
  size_t inputs, outputs;
  int64_t free_size;
  void **expected;  // the results of each kind of row alone, output by output
  size_t *row_bytes;
} trial;

static void put_number(sdx_dtype dtype, void *data, size_t at, uint32_t bits, float scale) {
  float real = ((float)(bits >> 8 & 0xFFFF) / 32768.0f - 1.0f) * scale;
  int64_t whole = bits >> 16 & 1;  // as an index it is nearly always one that is there
  switch (dtype) {
    case SDX_FLOAT:
      ((float *)data)[at] = real;
      break;
    case SDX_DOUBLE:
      ((double *)data)[at] = (double)real;
      break;
    case SDX_FLOAT16:
      ((uint16_t *)data)[at] = fp16_from_float(real);
      break;
    case SDX_INT32:
    case SDX_UINT32:
      ((int32_t *)data)[at] = (int32_t)whole;
      break;
    case SDX_INT64:
    case SDX_UINT64:
      ((int64_t *)data)[at] = whole;
      break;
    case SDX_BOOL:
      ((uint8_t *)data)[at] = (uint8_t)whole;
      break;
    default:
      break;  // zeros
  }
}

// Rows of one kind are equal; kinds differ in their numbers and in how large they are.
static void fill_row(sdx_value *tensor, size_t row, size_t rows, size_t kind) {
  static const float scales[KINDS] = {1, 100, 0.01f, 10000};
  size_t count = sdx_tensor_count(tensor) / rows;
  uint32_t bits = (uint32_t)kind * 2654435761u + 12345;
  for (size_t i = 0; i < count; i++) {
    bits = bits * 1664525 + 1013904223;
    put_number(sdx_tensor_dtype(tensor), sdx_tensor_data(tensor), row * count + i, bits, scales[kind]);
  }
}

static size_t kind_of(size_t row, size_t rows) { return rows == 1 ? 0 : (row + row / KINDS) % KINDS; }

// A run of so many rows; `first` is the kind of a single one. False: it failed.
static bool compute(trial *t, size_t rows, size_t first, uint64_t *ns) {
  bool good = true;
  for (size_t i = 0; i < t->inputs && good; i++) {
    const sdx_io *io = sdx_session_input(t->session, i);
    int64_t shape[64];
    for (size_t d = 0; d < io->rank && d < 64; d++) shape[d] = io->shape[d] < 0 ? t->free_size : io->shape[d];
    shape[0] = (int64_t)rows;
    sdx_value *x = sdx_tensor_create(io->dtype, io->rank, shape);
    if (x && sdx_tensor_bytes(x)) memset(sdx_tensor_data(x), 0, sdx_tensor_bytes(x));
    for (size_t row = 0; x && row < rows; row++) fill_row(x, row, rows, rows == 1 ? first : kind_of(row, rows));
    good = x && sdx_run_set_input(t->run, i, x) == SDX_OK;
    sdx_value_release(x);
  }
  for (int i = 0; i < (ns ? TRIALS + 1 : 1) && good; i++) {  // the first one makes the plan
    uint64_t start = clock_ns();
    good = sdx_run_execute(t->run) == SDX_OK;
    uint64_t took = clock_ns() - start;
    if (ns && i && (i == 1 || took < *ns)) *ns = took;
  }
  return good;
}

static bool keep_expected(trial *t) {
  for (size_t kind = 0; kind < KINDS; kind++) {
    if (!compute(t, 1, kind, NULL)) return false;
    for (size_t i = 0; i < t->outputs; i++) {
      const sdx_value *y = sdx_run_output(t->run, i);
      size_t bytes = y ? sdx_tensor_bytes(y) : 0;
      void **at = &t->expected[kind * t->outputs + i];
      free(*at);
      if (!y || !sdx_tensor_rank(y) || sdx_tensor_shape(y)[0] != 1 || !(*at = malloc(bytes + 1))) return false;
      memcpy(*at, sdx_tensor_data(y), bytes);
      t->row_bytes[i] = bytes;
    }
  }
  return true;
}

static bool same_bits(const trial *t, size_t rows) {
  for (size_t i = 0; i < t->outputs; i++) {
    const sdx_value *y = sdx_run_output(t->run, i);
    size_t bytes = t->row_bytes[i];
    if (!y || sdx_tensor_bytes(y) != bytes * rows) return false;
    for (size_t row = 0; row < rows; row++)
      if (memcmp((const char *)sdx_tensor_data(y) + row * bytes, t->expected[kind_of(row, rows) * t->outputs + i],
                 bytes))
        return false;
  }
  return true;
}

// Sizes grow as long as they keep the limit and give more rows a second. NULL: `why`.
static batching *climb(trial *t, uint64_t limit_ns, size_t most_rows, char *why, size_t why_size) {
  batching *b = calloc(1, sizeof *b);
  uint64_t memory = host_memory_bytes() / MEMORY_SHARE, ns = 0;
  snprintf(why, why_size, "memory is exhausted");
  for (size_t rows = 1; b && rows <= most_rows && b->sizes < BATCH_SIZES; rows *= 2) {
    if (!compute(t, rows, 0, &ns)) {
      snprintf(why, why_size, "a run of %zu rows fails: %.200s", rows, sdx_run_error(t->run));
      break;
    }
    if (rows > 1 && !same_bits(t, rows)) {
      snprintf(why, why_size, "rows of a batch of %zu differ from single ones", rows);
      b->sizes = 0;
      break;
    }
    if (ns > limit_ns || sdx_run_peak_bytes(t->run) > memory) break;
    atomic_init(&b->cost_ns[b->sizes++], ns);
  }
  if (b && b->sizes > 1) {
    b->limit_ns = limit_ns;
    return b;
  }
  if (b && b->sizes == 1) snprintf(why, why_size, "two rows would take too much time or memory");
  else if (b && ns > limit_ns) snprintf(why, why_size, "one row takes %.1f ms already", (double)ns / 1e6);
  free(b);
  return NULL;
}

static void end_trial(trial *t) {
  for (size_t i = 0; t->expected && i < KINDS * t->outputs; i++) free(t->expected[i]);
  free(t->expected);
  free(t->row_bytes);
  sdx_run_destroy(t->run);
}

batching *batching_learn(const char *path, sdx_session *session, uint64_t limit_ns, size_t most_rows, char *why,
                         size_t why_size) {
  if (!io_allows(session, why, why_size) || !plan_allows(path, session, why, why_size)) return NULL;
  trial t = {
      .session = session, .inputs = sdx_session_input_count(session), .outputs = sdx_session_output_count(session)};
  batching *b = NULL;
  bool good = false;
  t.expected = calloc(KINDS * t.outputs, sizeof *t.expected);
  t.row_bytes = calloc(t.outputs, sizeof *t.row_bytes);
  snprintf(why, why_size, "memory is exhausted");
  if (t.expected && t.row_bytes && sdx_run_create(session, &t.run) == SDX_OK) {
    for (size_t i = 0; i < FREE_SIZES && !good; i++) {
      t.free_size = free_sizes[i];
      good = keep_expected(&t);
    }
    if (good) b = climb(&t, limit_ns, most_rows, why, why_size);
    else snprintf(why, why_size, "a run with random numbers fails: %.200s", sdx_run_error(t.run));
  }
  end_trial(&t);
  return b;
}

// ---- use -----------------------------------------------------------------------------------------

size_t batching_most(const batching *b) { return (size_t)1 << (b->sizes - 1); }

static uint64_t cost(const batching *b, size_t i) { return atomic_load_explicit(&b->cost_ns[i], memory_order_relaxed); }

static void note(batching *b, size_t i, uint64_t ns) {
  uint64_t old = cost(b, i);
  atomic_store_explicit(&b->cost_ns[i], (old * 7 + ns) / 8, memory_order_relaxed);
}

size_t batching_rows(batching *b, size_t waiting) {
  size_t best = 0;
  for (size_t i = 1; i < b->sizes && (size_t)1 << i <= waiting; i++) {
    if (cost(b, i) > b->limit_ns) note(b, i, cost(b, i) - cost(b, i) / DECAY);  // it is tried again after a while
    else if (cost(b, i) >> i <= cost(b, best) >> best) best = i;
  }
  return (size_t)1 << best;
}

void batching_note(batching *b, size_t rows, uint64_t ns) { note(b, (size_t)__builtin_ctzll(rows), ns); }

uint64_t batching_cost(const batching *b) {
  uint64_t most = 0;
  for (size_t i = 0; b && i < b->sizes; i++)
    if (cost(b, i) <= b->limit_ns && cost(b, i) > most) most = cost(b, i);
  return most;
}
