// SPDX-License-Identifier: Apache-2.0
// config.pbtxt, the file beside a model in a repository of Triton's layout, read as far as it applies: docs/serving.md
// lists what is passed over. What is kept is the message itself (ModelConfig), and what of it is looked at often.
#pragma once

#include "base/wire.h"
#include "sardonyx/sardonyx.h"

enum { CONFIG_VERSIONS = 64, CONFIG_RANK = 16, CONFIG_NAME = 128, CONFIG_BYTES = 1 << 20 };

typedef struct model_config {
  text bytes;                    // the message
  char file[256], ignored[400];  // of the model; names of fields that have no effect here
  int64_t max_batch;             // 0: the first dimension is like the others
  // Which versions are served: the newest ones, or listed ones.
  int64_t newest, versions[CONFIG_VERSIONS];
  size_t version_count;
  bool batches, caches;
  uint64_t sequence_idle_us;  // 0: not told
} model_config;

// An input of a stateful model that the server feeds: what an output left, or what it knows of the sequence.
typedef enum config_control { CONTROL_NONE, CONTROL_START, CONTROL_READY, CONTROL_END, CONTROL_ID } config_control;
typedef struct config_state {
  char input[CONFIG_NAME], output[CONFIG_NAME];
  config_control control;
  double off_on[2];  // what a control is when it does not hold, and when it does
  size_t rank;       // of its dimensions; 0: not told
  int64_t dims[CONFIG_RANK];
} config_state;

// A tensor as the file describes it.
typedef struct config_tensor {
  char name[CONFIG_NAME];
  sdx_dtype dtype;
  size_t rank;
  int64_t dims[CONFIG_RANK];
  bool reshaped;  // to other dimensions
} config_tensor;

// A run before traffic.
typedef struct config_warmup {
  uint64_t batch, count;
  wire message;
} config_warmup;

typedef struct config_sample {
  config_tensor of;
  bool random;
  char file[256];  // "": zeros, or random numbers
} config_sample;

// NULL: why. model_config_free it.
model_config *model_config_read(str text, char *why, size_t why_size);
void model_config_free(model_config *c);
bool model_config_serves(const model_config *c, int64_t version, size_t newer);  // newer: versions above it
// What the file says of inputs and outputs against those of the model. False: why.
bool model_config_check(const model_config *c, const sdx_session *session, char *why, size_t why_size);
// Step through; *at begins as the message (model_config_message).
static inline wire model_config_message(const model_config *c) { return wire_of(c->bytes.at, c->bytes.size); }
bool model_config_warmup(wire *at, config_warmup *w);
wire model_config_sequence(const model_config *c);     // what is said of sequences; empty: nothing
bool model_config_state(wire *at, config_state *s);    // of that
bool model_config_sample(wire *at, config_sample *s);  // of a warmup's message
const char *model_config_type_name(sdx_dtype dtype);   // "TYPE_FP32"
int64_t model_config_type_number(sdx_dtype dtype);     // of protobuf's enumeration; 0: it has none
