// SPDX-License-Identifier: Apache-2.0
// config.pbtxt (model_config.h): the tables of its messages, and what is read of them.
#include "server/model_config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/wire_text.h"

static const char type_words[] =
    "TYPE_INVALID TYPE_BOOL TYPE_UINT8 TYPE_UINT16 TYPE_UINT32 TYPE_UINT64 TYPE_INT8 TYPE_INT16 TYPE_INT32 TYPE_INT64 "
    "TYPE_FP16 TYPE_FP32 TYPE_FP64 TYPE_STRING TYPE_BF16";
static const sdx_dtype type_of[] = {SDX_UNDEFINED, SDX_BOOL,  SDX_UINT8,  SDX_UINT16, SDX_UINT32,
                                    SDX_UINT64,    SDX_INT8,  SDX_INT16,  SDX_INT32,  SDX_INT64,
                                    SDX_FLOAT16,   SDX_FLOAT, SDX_DOUBLE, SDX_STRING, SDX_BFLOAT16};
enum { TYPES = sizeof type_of / sizeof *type_of };

// ---- messages ------------------------------------------------------------------------------------

static const wire_schema nothing = {"", 0, 0, NULL, NULL};

#define RESHAPE(F) F(RESHAPE_SHAPE, 1, INTS, "shape")
#define TENSOR(F)                                          \
  F(TENSOR_NAME, 1, BYTES, "name")                         \
  F(TENSOR_TYPE, 2, INT, "data_type", .words = type_words) \
  F(TENSOR_DIMS, 4, INTS, "dims")                          \
  F(TENSOR_RESHAPE, 5, MESSAGE, "reshape", .message = &reshape)
#define OUTPUT(F)                                          \
  F(OUTPUT_NAME, 1, BYTES, "name")                         \
  F(OUTPUT_TYPE, 2, INT, "data_type", .words = type_words) \
  F(OUTPUT_DIMS, 3, INTS, "dims")                          \
  F(OUTPUT_RESHAPE, 5, MESSAGE, "reshape", .message = &reshape)
#define LATEST(F) F(LATEST_COUNT, 1, INT, "num_versions")
#define SPECIFIC(F) F(SPECIFIC_LIST, 1, INTS, "versions")
#define POLICY(F)                                            \
  F(POLICY_LATEST, 1, MESSAGE, "latest", .message = &latest) \
  F(POLICY_ALL, 2, MESSAGE, "all", .message = &nothing)      \
  F(POLICY_SPECIFIC, 3, MESSAGE, "specific", .message = &specific)
#define SAMPLE(F)                                          \
  F(SAMPLE_TYPE, 1, INT, "data_type", .words = type_words) \
  F(SAMPLE_DIMS, 2, INTS, "dims")                          \
  F(SAMPLE_ZERO, 3, INT, "zero_data")                      \
  F(SAMPLE_RANDOM, 4, INT, "random_data") F(SAMPLE_FILE, 5, BYTES, "input_data_file")
#define ENTRY(F) F(ENTRY_KEY, 1, BYTES, "key") F(ENTRY_VALUE, 2, MESSAGE, "value", .message = &sample)
#define WARMUP(F)                       \
  F(WARMUP_NAME, 1, BYTES, "name")      \
  F(WARMUP_BATCH, 2, INT, "batch_size") \
  F(WARMUP_INPUTS, 3, MESSAGE_LIST, "inputs", .message = &entry) F(WARMUP_COUNT, 4, INT, "count")
#define CACHE(F) F(CACHE_ENABLE, 1, INT, "enable")
#define BATCHING(F) \
  F(BATCHING_PREFERRED, 1, INTS, "preferred_batch_size") F(BATCHING_DELAY, 2, INT, "max_queue_delay_microseconds")
#define FALSE_TRUE(F)                                                                                      \
  F(CONTROL_KIND, 1, INT, "kind",                                                                          \
    .words = "CONTROL_SEQUENCE_START CONTROL_SEQUENCE_READY CONTROL_SEQUENCE_END CONTROL_SEQUENCE_CORRID") \
  F(CONTROL_INTS, 2, INTS, "int32_false_true")                                                             \
  F(CONTROL_FLOATS, 3, FLOATS, "fp32_false_true")                                                          \
  F(CONTROL_TYPE, 4, INT, "data_type", .words = type_words) F(CONTROL_BOOLS, 5, INTS, "bool_false_true")
#define CONTROL_INPUT(F) F(CONTROL_NAME, 1, BYTES, "name") F(CONTROLS, 2, MESSAGE_LIST, "control", .message = &control)
#define STATE(F)                           \
  F(STATE_INPUT, 1, BYTES, "input_name")   \
  F(STATE_OUTPUT, 2, BYTES, "output_name") \
  F(STATE_TYPE, 3, INT, "data_type", .words = type_words) F(STATE_DIMS, 4, INTS, "dims")
#define SEQUENCE(F)                                                                \
  F(SEQUENCE_IDLE, 1, INT, "max_sequence_idle_microseconds")                       \
  F(SEQUENCE_CONTROL, 2, MESSAGE_LIST, "control_input", .message = &control_input) \
  F(SEQUENCE_STATE, 5, MESSAGE_LIST, "state", .message = &state)
// Fields from IGNORED on have no effect.
#define CONFIG(F)                                                                    \
  F(NAME, 1, BYTES, "name")                                                          \
  F(PLATFORM, 2, BYTES, "platform")                                                  \
  F(BACKEND, 17, BYTES, "backend")                                                   \
  F(VERSION_POLICY, 3, MESSAGE, "version_policy", .message = &policy)                \
  F(MAX_BATCH_SIZE, 4, INT, "max_batch_size")                                        \
  F(INPUT, 5, MESSAGE_LIST, "input", .message = &tensor)                             \
  F(OUTPUT_OF, 6, MESSAGE_LIST, "output", .message = &output)                        \
  F(DYNAMIC_BATCHING, 11, MESSAGE, "dynamic_batching", .message = &batching_fields)  \
  F(FILENAME, 8, BYTES, "default_model_filename")                                    \
  F(WARMUPS, 16, MESSAGE_LIST, "model_warmup", .message = &warmup)                   \
  F(RESPONSE_CACHE, 24, MESSAGE, "response_cache", .message = &cache)                \
  F(SEQUENCES, 13, MESSAGE, "sequence_batching", .message = &sequence)               \
  F(ENSEMBLE, 15, MESSAGE, "ensemble_scheduling", .message = &nothing)               \
  F(IGNORED, 12, MESSAGE_LIST, "optimization", .message = &nothing)                  \
  F(INSTANCE_GROUP, 7, MESSAGE_LIST, "instance_group", .message = &nothing)          \
  F(CC_MODEL_FILENAMES, 9, MESSAGE_LIST, "cc_model_filenames", .message = &nothing)  \
  F(METRIC_TAGS, 10, MESSAGE_LIST, "metric_tags", .message = &nothing)               \
  F(PARAMETERS, 14, MESSAGE_LIST, "parameters", .message = &nothing)                 \
  F(OPERATIONS, 18, MESSAGE_LIST, "model_operations", .message = &nothing)           \
  F(TRANSACTIONS, 19, MESSAGE_LIST, "model_transaction_policy", .message = &nothing) \
  F(BATCH_INPUT, 20, MESSAGE_LIST, "batch_input", .message = &nothing)               \
  F(BATCH_OUTPUT, 21, MESSAGE_LIST, "batch_output", .message = &nothing)             \
  F(AGENTS, 23, MESSAGE_LIST, "model_repository_agents", .message = &nothing)        \
  F(RUNTIME, 25, BYTES_LIST, "runtime")                                              \
  F(METRICS, 26, MESSAGE_LIST, "model_metrics", .message = &nothing)
enum { RESHAPE(WIRE_SLOT) };
enum { TENSOR(WIRE_SLOT) };
enum { OUTPUT(WIRE_SLOT) };
enum { LATEST(WIRE_SLOT) };
enum { SPECIFIC(WIRE_SLOT) };
enum { POLICY(WIRE_SLOT) };
enum { SAMPLE(WIRE_SLOT) };
enum { ENTRY(WIRE_SLOT) };
enum { WARMUP(WIRE_SLOT) };
enum { CACHE(WIRE_SLOT) };
enum { BATCHING(WIRE_SLOT) };
enum { FALSE_TRUE(WIRE_SLOT) };
enum { CONTROL_INPUT(WIRE_SLOT) };
enum { STATE(WIRE_SLOT) };
enum { SEQUENCE(WIRE_SLOT) };
enum { CONFIG(WIRE_SLOT) CONFIG_FIELDS };
WIRE_SCHEMA(static const, reshape, RESHAPE, "ModelTensorReshape")
WIRE_SCHEMA(static const, tensor, TENSOR, "ModelInput")
WIRE_SCHEMA(static const, output, OUTPUT, "ModelOutput")
WIRE_SCHEMA(static const, latest, LATEST, "Latest")
WIRE_SCHEMA(static const, specific, SPECIFIC, "Specific")
WIRE_SCHEMA(static const, policy, POLICY, "ModelVersionPolicy")
WIRE_SCHEMA(static const, sample, SAMPLE, "ModelWarmup.Input")
WIRE_SCHEMA(static const, entry, ENTRY, "InputsEntry")
WIRE_SCHEMA(static const, warmup, WARMUP, "ModelWarmup")
WIRE_SCHEMA(static const, cache, CACHE, "ModelResponseCache")
WIRE_SCHEMA(static const, batching_fields, BATCHING, "ModelDynamicBatching")
WIRE_SCHEMA(static const, control, FALSE_TRUE, "ModelSequenceBatching.Control")
WIRE_SCHEMA(static const, control_input, CONTROL_INPUT, "ModelSequenceBatching.ControlInput")
WIRE_SCHEMA(static const, state, STATE, "ModelSequenceBatching.State")
WIRE_SCHEMA(static const, sequence, SEQUENCE, "ModelSequenceBatching")
WIRE_SCHEMA(static const, config, CONFIG, "ModelConfig")

static bool fail(char *why, size_t why_size, const char *format, const char *word) {
  snprintf(why, why_size, format, word);
  return false;
}

static void copy(char *to, size_t room, str from) {
  size_t size = from.size < room - 1 ? from.size : room - 1;
  memcpy(to, from.at, size);
  to[size] = 0;
}

const char *model_config_type_name(sdx_dtype dtype) {
  static const char *const names[TYPES] = {"TYPE_INVALID", "TYPE_BOOL", "TYPE_UINT8", "TYPE_UINT16", "TYPE_UINT32",
                                           "TYPE_UINT64",  "TYPE_INT8", "TYPE_INT16", "TYPE_INT32",  "TYPE_INT64",
                                           "TYPE_FP16",    "TYPE_FP32", "TYPE_FP64",  "TYPE_STRING", "TYPE_BF16"};
  return names[model_config_type_number(dtype)];
}

int64_t model_config_type_number(sdx_dtype dtype) {
  for (int64_t i = 1; i < TYPES; i++)
    if (type_of[i] == dtype) return i;
  return 0;
}

static sdx_dtype dtype_at(uint64_t number) { return number < TYPES ? type_of[number] : SDX_UNDEFINED; }

// ---- reading -------------------------------------------------------------------------------------

static void read_policy(model_config *c, wire w) {
  wire_field f, inner;
  while (wire_next(&w, &policy, &f)) {
    if (f.slot == POLICY_ALL) c->newest = INT64_MAX;
    if (f.slot == POLICY_LATEST)
      while (wire_next(&f.body, &latest, &inner)) c->newest = (int64_t)inner.value;
    if (f.slot == POLICY_SPECIFIC)
      while (wire_next(&f.body, &specific, &inner))
        c->version_count += wire_read_ints(&inner, c->versions + c->version_count, CONFIG_VERSIONS - c->version_count);
  }
}

// Only what ONNX models can be is taken.
static bool check_kind(str platform, str backend, char *why, size_t why_size) {
  static const char *const good[] = {"", "onnxruntime_onnx", "onnx_onnxv1", "onnxruntime", "openvino"};
  char word[CONFIG_NAME];
  for (int i = 0; i < 2; i++) {
    size_t k = 0;
    copy(word, sizeof word, i ? backend : platform);
    while (k < sizeof good / sizeof *good && strcmp(good[k], word)) k++;
    if (k == sizeof good / sizeof *good)
      return fail(why, why_size, "platform or backend '%s' is not there, expected onnxruntime_onnx or onnxruntime",
                  word);
  }
  return true;
}

static bool read_fields(model_config *c, char *why, size_t why_size) {
  wire w = model_config_message(c);
  wire_field f, inner;
  str platform = {"", 0}, backend = {"", 0};
  bool seen[CONFIG_FIELDS] = {0};
  while (wire_next(&w, &config, &f)) {
    if (f.slot >= IGNORED && !seen[f.slot])
      snprintf(c->ignored + strlen(c->ignored), sizeof c->ignored - strlen(c->ignored), "%s%s", *c->ignored ? ", " : "",
               config.fields[f.slot].name);
    seen[f.slot] = true;
    if (f.slot == PLATFORM) platform = wire_str(&f);
    if (f.slot == BACKEND) backend = wire_str(&f);
    if (f.slot == FILENAME) copy(c->file, sizeof c->file, wire_str(&f));
    if (f.slot == MAX_BATCH_SIZE) c->max_batch = (int64_t)f.value;
    if (f.slot == VERSION_POLICY) read_policy(c, f.body);
    while (f.slot == SEQUENCES && wire_next(&f.body, &sequence, &inner))
      if (inner.slot == SEQUENCE_IDLE) c->sequence_idle_us = inner.value;
    if (f.slot == RESPONSE_CACHE)
      while (wire_next(&f.body, &cache, &inner)) c->caches = inner.value != 0;
  }
  c->batches = seen[DYNAMIC_BATCHING] && c->max_batch > 0;
  if (seen[ENSEMBLE]) return fail(why, why_size, "%s is not supported", "ensemble_scheduling");
  if (c->max_batch < 0) return fail(why, why_size, "%s is negative", "max_batch_size");
  if (strchr(c->file, '/') || *c->file == '.')
    return fail(why, why_size, "default_model_filename '%.100s': expected the name of a file beneath the version",
                c->file);
  return check_kind(platform, backend, why, why_size);
}

// Every message once, so that the rest is read without failures.
static bool scan(wire w, const wire_schema *type, char *why, size_t why_size) {
  wire_counts counts;
  wire_field f;
  error e = {0};
  if (wire_scan(w, type, &counts, &e) != SDX_OK) return fail(why, why_size, "%s", e.message);
  while (type->count && wire_next(&w, type, &f))
    if (type->fields[f.slot].message && !scan(f.body, type->fields[f.slot].message, why, why_size)) return false;
  return true;
}

model_config *model_config_read(str text, char *why, size_t why_size) {
  model_config *c = calloc(1, sizeof *c);
  wire_out out = {0};
  error e = {0};
  size_t line;
  if (!c) return fail(why, why_size, "%s", "not enough memory"), NULL;
  c->newest = 1;
  snprintf(c->file, sizeof c->file, "model.onnx");
  bool good = wire_text_read(text, &config, &out, &line, &e) == SDX_OK;
  c->bytes = out.kept;
  out.kept = (struct text){0};
  wire_out_deinit(&out);
  if (!good) snprintf(why, why_size, "line %zu: %s", line, e.message);
  good = good && scan(model_config_message(c), &config, why, why_size) && read_fields(c, why, why_size);
  if (good) return c;
  model_config_free(c);
  return NULL;
}

void model_config_free(model_config *c) {
  if (!c) return;
  text_deinit(&c->bytes);
  free(c);
}

bool model_config_serves(const model_config *c, int64_t version, size_t newer) {
  if (!c) return !newer;
  for (size_t i = 0; i < c->version_count; i++)
    if (c->versions[i] == version) return true;
  return !c->version_count && newer < (uint64_t)c->newest;
}

// ---- tensors -------------------------------------------------------------------------------------

static void read_tensor(wire w, bool is_output, config_tensor *t) {
  wire_field f;
  *t = (config_tensor){0};
  while (wire_next(&w, is_output ? &output : &tensor, &f)) {
    if (f.slot == TENSOR_NAME) copy(t->name, sizeof t->name, wire_str(&f));
    if (f.slot == TENSOR_TYPE) t->dtype = dtype_at(f.value);
    if (f.slot == TENSOR_DIMS) t->rank += wire_read_ints(&f, t->dims + t->rank, CONFIG_RANK - t->rank);
    if (f.slot == TENSOR_RESHAPE) t->reshaped = true;
  }
}

static bool check_tensor(const config_tensor *t, const sdx_io *io, bool batch, char *why, size_t why_size) {
  bool same = t->dtype == SDX_UNDEFINED || t->dtype == io->dtype;
  bool fits = same && (t->reshaped || !io->has_shape || io->rank == t->rank + batch);
  for (size_t i = 0; fits && io->has_shape && !t->reshaped && i < t->rank; i++)
    fits = t->dims[i] < 0 || io->shape[i + batch] < 0 || t->dims[i] == io->shape[i + batch];
  if (!same)
    snprintf(why, why_size, "'%.100s' is %s in config.pbtxt, %s in the model", t->name,
             model_config_type_name(t->dtype), io->type);
  else if (!fits)
    snprintf(why, why_size, "'%.100s': its dims in config.pbtxt%s do not fit the model's %zu dimensions", t->name,
             batch ? ", behind that of the batch (max_batch_size)," : "", io->rank);
  return fits;
}

bool model_config_check(const model_config *c, const sdx_session *session, char *why, size_t why_size) {
  wire w = model_config_message(c);
  wire_field f;
  config_tensor t;
  while (wire_next(&w, &config, &f)) {
    if (f.slot != INPUT && f.slot != OUTPUT_OF) continue;
    bool out = f.slot == OUTPUT_OF;
    read_tensor(f.body, out, &t);
    int64_t at = out ? sdx_session_find_output(session, t.name) : sdx_session_find_input(session, t.name);
    if (at < 0) {
      snprintf(why, why_size, "config.pbtxt names %s '%.100s', which the model has not", out ? "output" : "input",
               t.name);
      return false;
    }
    const sdx_io *io = out ? sdx_session_output(session, (size_t)at) : sdx_session_input(session, (size_t)at);
    if (!check_tensor(&t, io, c->max_batch > 0, why, why_size)) return false;
  }
  return true;
}

// ---- sequences -----------------------------------------------------------------------------------

static void read_control(wire w, config_state *s) {
  static const config_control kinds[] = {CONTROL_START, CONTROL_READY, CONTROL_END, CONTROL_ID};
  wire_field f, inner;
  while (wire_next(&w, &control_input, &f)) {
    if (f.slot == CONTROL_NAME) copy(s->input, sizeof s->input, wire_str(&f));
    if (f.slot == CONTROLS) s->control = CONTROL_START;  // the first of an enumeration does not appear
    size_t count = 0;
    while (f.slot == CONTROLS && wire_next(&f.body, &control, &inner)) {
      int64_t whole;
      float real;
      if (inner.slot == CONTROL_KIND) s->control = kinds[inner.value % 4];
      if (inner.slot == CONTROL_FLOATS && count < 2 && wire_read_fixed(&inner, sizeof real, &real, 1))
        s->off_on[count++] = (double)real;
      if ((inner.slot == CONTROL_INTS || inner.slot == CONTROL_BOOLS) && count < 2 && wire_read_ints(&inner, &whole, 1))
        s->off_on[count++] = (double)whole;
    }
  }
}

static void read_state(wire w, config_state *s) {
  wire_field f;
  while (wire_next(&w, &state, &f)) {
    if (f.slot == STATE_INPUT) copy(s->input, sizeof s->input, wire_str(&f));
    if (f.slot == STATE_OUTPUT) copy(s->output, sizeof s->output, wire_str(&f));
    if (f.slot == STATE_DIMS) s->rank += wire_read_ints(&f, s->dims + s->rank, CONFIG_RANK - s->rank);
  }
}

wire model_config_sequence(const model_config *c) {
  wire w = model_config_message(c);
  wire_field f;
  while (wire_next(&w, &config, &f))
    if (f.slot == SEQUENCES) return f.body;
  return (wire){0};
}

bool model_config_state(wire *at, config_state *s) {
  wire_field f;
  while (wire_next(at, &sequence, &f)) {
    if (f.slot == SEQUENCE_IDLE) continue;
    *s = (config_state){.off_on = {0, 1}};
    if (f.slot == SEQUENCE_STATE) read_state(f.body, s);
    else read_control(f.body, s);
    return true;
  }
  return false;
}

// ---- warm-up -------------------------------------------------------------------------------------

bool model_config_warmup(wire *at, config_warmup *w) {
  wire_field f, inner;
  while (wire_next(at, &config, &f)) {
    if (f.slot != WARMUPS) continue;
    *w = (config_warmup){.count = 1, .message = f.body};
    while (wire_next(&f.body, &warmup, &inner))
      if (inner.slot == WARMUP_BATCH) w->batch = inner.value;
      else if (inner.slot == WARMUP_COUNT && inner.value) w->count = inner.value;
    return true;
  }
  return false;
}

bool model_config_sample(wire *at, config_sample *s) {
  wire_field f, inner, of;
  while (wire_next(at, &warmup, &f)) {
    if (f.slot != WARMUP_INPUTS) continue;
    *s = (config_sample){0};
    while (wire_next(&f.body, &entry, &inner)) {
      if (inner.slot == ENTRY_KEY) copy(s->of.name, sizeof s->of.name, wire_str(&inner));
      while (inner.slot == ENTRY_VALUE && wire_next(&inner.body, &sample, &of)) {
        if (of.slot == SAMPLE_TYPE) s->of.dtype = dtype_at(of.value);
        if (of.slot == SAMPLE_DIMS)
          s->of.rank += wire_read_ints(&of, s->of.dims + s->of.rank, CONFIG_RANK - s->of.rank);
        if (of.slot == SAMPLE_RANDOM) s->random = of.value != 0;
        if (of.slot == SAMPLE_FILE) copy(s->file, sizeof s->file, wire_str(&of));
      }
    }
    return true;
  }
  return false;
}
