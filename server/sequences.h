// SPDX-License-Identifier: Apache-2.0
// Stateful models: requests with the same sequence_id belong together, from sequence_start to sequence_end, and tensors
// that one leaves are fed to the next (an output named as the state of an input). States are kept in the loaded model,
// within limits, and are forgotten when a sequence is idle for too long. One request of a sequence is computed at a
// time.
#pragma once

#include <pthread.h>

#include "sardonyx/sardonyx.h"
#include "server/model_config.h"

struct call;
struct limits;
typedef struct sequences sequences;

// What a request says of its sequence.
typedef struct sequence_wish {
  char id[128];  // "": none
  bool start, end;
} sequence_wish;

// Those of the pairs "input=output" whose names the model has, and what its config says. NULL with *why "": it has no
// states; with a message: they do not fit the model.
sequences *sequences_create(const sdx_session *session, const model_config *config, const char *const *pairs,
                            size_t pair_count, const struct limits *limits, char *why, size_t why_size);
void sequences_free(sequences *s);    // NULL is accepted
size_t sequences_live(sequences *s);  // NULL: 0
// By input: whether the server feeds it; by output: whether it is a state. NULL: none.
const bool *sequences_fed(const sequences *s);
const bool *sequences_kept(const sequences *s);
// Feeds the inputs of a call. False: the response is set.
bool sequence_begin(struct call *c, const sequence_wish *wish);
void sequence_commit(struct call *c);   // the outputs are there
void sequence_release(struct call *c);  // the call is over, whatever came of it
