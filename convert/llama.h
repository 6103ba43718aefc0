// SPDX-License-Identifier: Apache-2.0
// Decoders of the LLaMA family as ONNX: from named weights (as GGUF names them) and the numbers that describe the net.
// Read by gguf.c and
// safetensors.c.
#pragma once

#include "convert/weights.h"

// What the nets of a family do otherwise. Norms of heads, biases, products that are stored as one and norms behind a
// block are there where their weights are.
typedef struct llama_family {
  const char *name;      // general.architecture, model_type
  bool interleaved;      // GGUF has neighbouring numbers turn together; else halves of a head
  bool gelu, scaled;     // the activation; the embedding times sqrt(width)
  int64_t window_every;  // of GGUF: 1: all layers look through a window, n: all but each n-th; 0: none
  double norm_more;      // what safetensors' norms leave out
} llama_family;
const llama_family *llama_family_of(str name);  // NULL: unknown
const char *llama_families(arena *memory);      // their names, for messages

typedef struct llama_rope {
  double base;
  double stretch;  // positions are divided by it; 1: not
  bool yarn;       // only as far as a frequency's wave is longer than `original`, between these numbers of turns
  double fast, slow, original;
  double amplitude;       // of cos and sin
  const float *divisors;  // of each frequency; NULL: none
} llama_rope;

typedef struct llama {
  conversion *c;
  weights *weights;
  const llama_family *family;
  bool interleaved, behind_norms;  // behind_norms: what a block gives is normalised, too
  double norm_more;
  int64_t layers, width, heads, kv_heads, head, inner, context, window, window_every, rotary;
  double epsilon, scale, softcap, final_softcap;  // softcap 0: none
  llama_rope rope, local;                         // local: of layers with a window
} llama;

// Builds the graph: input_ids, attention_mask, position_ids and past_key_values.N.key|value to logits and
// present.N.key|value. Everything that is missing or does not fit is reported.
sdx_status llama_build(llama *l);
