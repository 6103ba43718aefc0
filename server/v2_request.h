// SPDX-License-Identifier: Apache-2.0
// An inference request of the Open Inference Protocol, version 2, to inputs and wishes: for the routes and for whoever
// is handed such a file. It is JSON, or JSON followed by raw tensors in the order of the inputs, or the raw bytes of
// the only input. Read next: protocol_v2.h.
#pragma once

#include "base/json.h"
#include "sardonyx/sardonyx.h"
#include "server/regions.h"
#include "server/sequences.h"

typedef struct v2_type {
  sdx_dtype dtype;
  const char *name;
  size_t bytes;  // in binary form; 0: each element has its own length
  bool json;     // FP16 and BF16 have no agreed JSON form
} v2_type;

const v2_type *v2_type_find(sdx_dtype dtype);  // NULL: the protocol cannot carry it

typedef enum v2_form { FORM_DEFAULT, FORM_JSON, FORM_BINARY } v2_form;

// One block with room for each output of the model.
typedef struct v2_request {
  str id;
  bool has_id, all_outputs, binary;
  uint64_t timeout_us;  // 0: not given
  unsigned priority;    // 1: the most urgent; 0: not given
  sequence_wish sequence;
  const bool *fed;        // by input: the server feeds it; NULL: none
  regions *regions;       // NULL: tensors do not come from shared memory
  bool shares;            // a tensor does
  uint64_t region_limit;  // bytes of one that does
  size_t wanted_count;
  struct v2_wanted {
    size_t index;
    v2_form form;
    region_part part;  // where it goes instead of into the answer
  } wanted[];
} v2_request;

v2_request *v2_request_create(const sdx_session *session);  // free() it; NULL: memory
// Sets inputs[i] for each input of the session; what was set stays the caller's also on failure (see j->message).
// `raw`: the bytes behind the JSON, all there is where that is empty; NULL: none. Inputs may borrow them.
bool v2_request_read(v2_request *request, json *j, const sdx_session *session, const char *model, sdx_value **inputs,
                     char *raw, size_t raw_size);
