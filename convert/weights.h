// SPDX-License-Identifier: Apache-2.0
// Files of weights without a graph (GGUF, safetensors): what each weight is and where its bytes lie, lists of them, and
// how they become constants. Numbers in blocks that share scales, as ggml packs them, stay packed: a product becomes
// one MatMulNBits, a lookup one GatherBlockQuantized. The bytes are read when the model is written.
#pragma once

#include "base/text.h"
#include "convert/nodes.h"

enum { BLOCK_MOST = 256, BLOCK_LEAST_GROUP = 16, WEIGHT_RANK = 8 };

// One block in the open: number i is scale[g] * (q[i] - zero) - shift[g], where g is i / group. Only in types with
// `shifts` there is a shift.
typedef struct block {
  uint8_t q[BLOCK_MOST];
  float scale[BLOCK_MOST / BLOCK_LEAST_GROUP], shift[BLOCK_MOST / BLOCK_LEAST_GROUP];
} block;

typedef struct weight_type {
  const char *name;     // "Q4_K"
  size_t count, bytes;  // of a block
  sdx_dtype dtype;      // of plain numbers, one a block; SDX_UNDEFINED: packed
  size_t group;         // numbers that share a scale
  unsigned bits, zero;  // of q
  bool shifts;
  void (*open)(const unsigned char *bytes, block *b);  // NULL: such blocks can be listed, not converted
} weight_type;
const weight_type *weight_type_ggml(uint64_t number);  // of ggml's enumeration; NULL: unknown
const weight_type *weight_type_named(str name);        // as safetensors spells plain types; NULL: unknown

typedef struct weight {
  str name;
  const weight_type *type;
  size_t rank;
  int64_t shape[WEIGHT_RANK];  // the last dimension lies together
  size_t bytes;
  node_data data;
  bool used;
} weight;

typedef struct weights {
  conversion *c;
  size_t count;
  weight *all;
  str_map by_name;
} weights;

// Room for `count` of them; then each is set up and added. False: reported.
bool weights_init(weights *w, conversion *c, size_t count);
// The size of its type and shape must be within `left`; then it is known by `key`.
bool weights_add(weights *w, weight one, str key, uint64_t left);
weight *weights_find(const weights *w, str name);
void weights_list(const weights *w, text *json);  // "weights": [...]

bool weight_convertible(conversion *c, const weight *w);  // false: its type is not, which was reported
// The weight as floats, `more` added to each.
sdx_ref weight_constant(conversion *c, const weight *w, double more);
float *weight_numbers(conversion *c, const weight *w, size_t *count);  // the same, now; NULL: reported
// x [batch, rows, columns] times the rows of a matrix, plus bias (0: none).
sdx_ref weight_product(conversion *c, const char *name, sdx_ref x, const weight *w, sdx_ref bias);
// The rows of a matrix that `ids` [batch, rows] name, as floats.
sdx_ref weight_lookup(conversion *c, const char *name, sdx_ref ids, const weight *w);
