// SPDX-License-Identifier: Apache-2.0
// Generating text by running a decoder again and again: GreedySearch, Sampling, BeamSearch, WhisperBeamSearch. search.c
// runs the bodies and carries their states; search_choose.c turns logits into the next tokens.
#pragma once

#include "ops/parts/control.h"

typedef enum search_kind { SEARCH_GREEDY, SEARCH_SAMPLING, SEARCH_BEAM, SEARCH_WHISPER } search_kind;

// What an input of a body is fed with.
typedef enum search_role {
  FEED_TOKENS,  // or the features of an encoder
  FEED_POSITIONS,
  FEED_MASK,          // of all tokens so far
  FEED_ENCODER_MASK,  // of the encoder's input
  FEED_START,         // the decoder's first tokens, where the encoder runs it once
  FEED_HIDDEN,        // what the encoder made
  FEED_STATE,
} search_role;

typedef struct search_params {
  search_kind kind;
  int64_t model;  // 0 decoder alone, 1 encoder and decoder, 2 the same for Whisper
  graph *decoder, *encoder, *first;
  search_role *decoder_roles, *encoder_roles;
  size_t states, carried;  // of the decoder; the first `carried` change with every token
  bool starts;             // the encoder's body runs the decoder's first step, too, and gives its logits
  size_t extras;           // outputs of the encoder before the states: logits, hidden states
  int64_t eos, pad, start, ngram, vocabulary;
  bool early;
  float temperature, top_p, filter, presence_penalty;
  int64_t keep;
  bool custom;
  int64_t no_speech, translate, transcribe, start_of_lm, no_timestamps, first_timestamp;
} search_params;

// A finished sequence; the tokens of a batch entry's hypotheses are sorted, the best first.
typedef struct hypothesis {
  float score;
  size_t length;
  int32_t *tokens;
} hypothesis;

typedef struct search {
  op_step *c;
  const search_params *p;
  size_t batch, beams, rows;  // rows = batch * beams
  size_t start, length, most, least, returned;
  size_t vocabulary, trip;  // trips begin with 1
  float repetition, length_penalty, temperature;
  bool timestamps;
  sdx_dtype type;  // of the scores that are given out
  const tensor *vocabulary_mask, *prefix_mask, *presence;
  int32_t *tokens, *spare;  // [rows, most]
  int32_t *next;            // [rows], the newest
  int32_t *origin;          // [rows]: the row that each continues
  bool *done;               // [batch]; greedy: the end was met
  // From the first logits on:
  float *scores;       // [rows, vocabulary]
  float *beam_scores;  // [rows]
  uint32_t *seen;      // [vocabulary]: stamps
  uint32_t stamp;
  int32_t *order;        // [vocabulary], sampling
  hypothesis *finished;  // [batch, beams]
  size_t *finished_count;
  uint64_t seed;
} search;

// Logits [rows or batch, length, vocabulary] to `next` and `origin`; appends them to the sequences.
sdx_status search_choose(search *s, const tensor *logits);
bool search_done(const search *s);
sdx_status search_finish(search *s);  // fills the outputs
