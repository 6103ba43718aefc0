// SPDX-License-Identifier: Apache-2.0
// What requests of the Open Inference Protocol mean, whatever they are written in (v2_request.c: JSON, grpc_infer.c:
// protobuf): names, types and shapes against the model, bytes to tensors, outputs that are wanted. Failures are those
// of `j`.
#pragma once

#include "server/json_tensor.h"
#include "server/v2_request.h"

enum { V2_PRIORITIES = 1000000 };  // the least urgent one

typedef struct v2_reader {
  v2_request *request;
  const sdx_session *session;
  const char *model;
  sdx_value **inputs;
  json *j;
  bool owned;  // the bytes of inputs are malloc'ed, and the inputs' own
} v2_reader;

typedef struct v2_input {
  str name, datatype;
  bool has_name, has_type, has_shape;
  size_t rank;
  int64_t shape[JSON_TENSOR_RANK];
} v2_input;

bool v2_product(const int64_t *shape, size_t rank, size_t *count);  // false: too many
// Name, type and shape against the model; fills what the data must have. `path` is the input's in messages.
bool v2_input_resolve(v2_reader *r, const v2_input *in, const char *path, size_t *index, const v2_type **type,
                      size_t *count);
// `size` bytes at `bytes` become the input. They stay where they are if their address allows it.
bool v2_input_take(v2_reader *r, char *bytes, size_t size, size_t index, const v2_type *type, size_t rank,
                   const int64_t *shape, size_t count, const char *path);
bool v2_inputs_complete(v2_reader *r);
bool v2_want(v2_reader *r, str output, v2_form form, const region_part *part, const char *path);
// An input's bytes from shared memory.
bool v2_input_fetch(v2_reader *r, const region_part *part, size_t index, const v2_type *type, const v2_input *in,
                    size_t count, const char *path);
// The number among the parameters of a tensor that says where it lies in shared memory; NULL: it is none of them.
int64_t *v2_part_number(region_part *part, str parameter);
// sequence_id, as a text (at NULL: none) or a number, of which 0 is none. False: too long.
bool v2_sequence_id(sequence_wish *wish, str text, int64_t number);
bool *v2_sequence_flag(sequence_wish *wish, str parameter);  // sequence_start, sequence_end; NULL: it is none of them
static inline bool v2_is_region(str parameter) { return str_is(parameter, "shared_memory_region"); }
// A parameter that is not supported and must not be ignored: that would change the meaning of the answer.
bool v2_parameter_matters(str name);
