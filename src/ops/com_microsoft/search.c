// SPDX-License-Identifier: Apache-2.0
// GreedySearch, Sampling, BeamSearch, WhisperBeamSearch: run a decoder (after an encoder, for T5 and Whisper) once per
// token and carry its states along. Inputs and outputs of the bodies are told apart by the names that ONNX Runtime's
// converters give them. Everything is as ONNX Runtime computes it, oddities of the definition included: see
// tests/ops/test_search.py.
#include "ops/parts/search.h"

#include "base/size.h"
#include "ops/call.h"
#include "ops/infer.h"
#include "ops/parts/random.h"
#include "ops/parts/widen.h"

// ---- params ---------------------------------------------------------------------------------------------------

static str name_of(const graph *g, const value_id *at, size_t i) { return g->values[at[i]].name; }

static bool begins(str name, const char *with) {
  size_t n = strlen(with);
  return name.size >= n && memcmp(name.at, with, n) == 0;
}

static sdx_status role_of(op_params_context *c, const char *attribute, const graph *body, size_t i, search_role *role) {
  str name = name_of(body, body->inputs, i);
  if (i == 0) *role = FEED_TOKENS;
  else if (str_is(name, "position_ids")) *role = FEED_POSITIONS;
  else if (str_is(name, "attention_mask")) *role = FEED_MASK;
  else if (str_is(name, "encoder_attention_mask")) *role = FEED_ENCODER_MASK;
  else if (str_is(name, "decoder_input_ids")) *role = FEED_START;
  else if (str_is(name, "encoder_hidden_states")) *role = FEED_HIDDEN;
  else if (begins(name, "past_") && !str_is(name, "past_sequence_length")) *role = FEED_STATE;
  else
    return params_fail(c, attribute,
                       "has an input '%.*s'; known are input_ids, position_ids, attention_mask, "
                       "encoder_attention_mask, encoder_hidden_states, decoder_input_ids, past_*",
                       STR_ARG(name));
  return SDX_OK;
}

static sdx_status read_roles(op_params_context *c, const char *attribute, const graph *body, search_role **out) {
  *out = arena_array(c->memory, body->input_count + 1, sizeof **out);
  if (!*out) return error_no_memory(c->err, body->input_count * sizeof **out);
  if (!body->input_count || !body->output_count) return params_fail(c, attribute, "has no inputs or no outputs");
  for (uint32_t i = 0; i < body->input_count; i++) SDX_TRY(role_of(c, attribute, body, i, &(*out)[i]));
  return SDX_OK;
}

static sdx_status read_bodies(op_params_context *c, search_params *p) {
  const graph *d = p->decoder = params_graph(c, "decoder");
  SDX_TRY(read_roles(c, "decoder", d, &p->decoder_roles));
  for (uint32_t i = 0; i < d->input_count; i++) {
    if (p->decoder_roles[i] == FEED_STATE) p->states++;
    else if (p->states) return params_fail(c, "decoder", "has past states before its input %u", i);
  }
  p->carried = d->output_count - 1;
  if (p->model == 0) {
    p->first = params_graph(c, "init_decoder");
    if (p->first && (p->first->input_count != d->input_count || p->first->output_count != d->output_count))
      return params_fail(c, "init_decoder", "has other inputs or outputs than 'decoder'");
    if (p->carried == p->states) return SDX_OK;
    return params_fail(c, "decoder", "takes %zu past states but gives %zu", p->states, p->carried);
  }
  if (p->carried > p->states)
    return params_fail(c, "decoder", "takes %zu past states but gives %zu", p->states, p->carried);
  p->encoder = params_graph(c, "encoder");
  if (!p->encoder) return params_fail(c, "encoder", "is needed for model_type %lld", (long long)p->model);
  SDX_TRY(read_roles(c, "encoder", p->encoder, &p->encoder_roles));
  const graph *e = p->encoder;
  p->starts = str_is(name_of(e, e->outputs, 0), "logits");
  if (p->starts) p->extras = 1 + (e->output_count > 1 && str_is(name_of(e, e->outputs, 1), "encoder_hidden_states"));
  size_t made = e->output_count - p->extras, want = p->starts ? p->states : p->states - p->carried;
  if (made == want) return SDX_OK;
  return params_fail(c, "encoder", "gives %zu states, but the decoder needs %zu of it", made, want);
}

static sdx_status read_common(op_params_context *c, search_params *p) {
  p->model = params_int(c, "model_type");
  p->eos = params_int(c, "eos_token_id");
  p->pad = params_int(c, "pad_token_id");
  p->start = params_int(c, "decoder_start_token_id");
  p->ngram = params_int(c, "no_repeat_ngram_size");
  p->vocabulary = params_int(c, "vocab_size");
  p->temperature = 1;
  if (p->model < 0 || p->model > 2)
    return params_fail(c, "model_type", "is %lld, expected 0, 1 or 2", (long long)p->model);
  if (p->pad < 0 || p->pad > INT32_MAX) return params_fail(c, "pad_token_id", "is %lld", (long long)p->pad);
  if (p->start > INT32_MAX) return params_fail(c, "decoder_start_token_id", "is %lld", (long long)p->start);
  return read_bodies(c, p);
}

static sdx_status greedy_search_read(op_params_context *c, void *params) {
  ((search_params *)params)->kind = SEARCH_GREEDY;
  return read_common(c, params);
}

static sdx_status sampling_read(op_params_context *c, void *params) {
  search_params *p = params;
  p->kind = SEARCH_SAMPLING;
  SDX_TRY(read_common(c, p));
  p->temperature = params_float(c, "temperature");
  p->top_p = params_float(c, "top_p");
  p->filter = params_float(c, "filter_value");
  p->presence_penalty = params_float(c, "presence_penalty");
  p->keep = params_int(c, "min_tokens_to_keep");
  p->custom = params_int(c, "custom") != 0;
  return SDX_OK;
}

static sdx_status beam_search_read(op_params_context *c, void *params) {
  search_params *p = params;
  p->kind = SEARCH_BEAM;
  p->early = params_int(c, "early_stopping") == 1;
  SDX_TRY(read_common(c, p));
  p->first_timestamp = p->eos + 107;  // as in Whisper's own vocabulary
  p->no_timestamps = p->eos + 106;
  p->start_of_lm = p->eos + 105;
  p->translate = 50358;
  p->transcribe = 50359;
  return SDX_OK;
}

static sdx_status whisper_beam_search_read(op_params_context *c, void *params) {
  search_params *p = params;
  SDX_TRY(beam_search_read(c, p));
  p->kind = SEARCH_WHISPER;
  const struct {
    const char *name;
    int64_t *to;
  } tokens[] = {{"no_speech_token_id", &p->no_speech},         {"translate_token_id", &p->translate},
                {"transcribe_token_id", &p->transcribe},       {"start_of_lm_token_id", &p->start_of_lm},
                {"no_timestamps_token_id", &p->no_timestamps}, {"beginning_timestamp_token_id", &p->first_timestamp}};
  p->no_speech = -1;
  for (size_t i = 0; i < sizeof tokens / sizeof *tokens; i++)
    if (params_has(c, tokens[i].name)) *tokens[i].to = params_int(c, tokens[i].name);
  if (params_has(c, "decoder_output_cross_qk") && params_int(c, "decoder_output_cross_qk"))
    return params_fail(c, "decoder_output_cross_qk", "is set: decoders that give cross attention are not supported");
  return SDX_OK;
}

// ---- infer ----------------------------------------------------------------------------------------------------

static sdx_status infer_one(op_step *c, graph *body) {
  const type_info **types, **in = arena_array(c->memory, body ? body->input_count + 1 : 1, sizeof *in);
  if (!in) return error_no_memory(c->err, sizeof *in);
  return body ? body_types(c, body, body->input_count, in, &types) : SDX_OK;
}

static sdx_status search_infer(op_step *c) {
  const search_params *p = c->params;
  graph *bodies[] = {p->encoder, p->first, p->decoder};
  for (size_t i = 0; i < 3; i++) SDX_TRY(infer_one(c, bodies[i]));
  int64_t dims[] = {infer_dim(c, 0, 0), DIM_UNKNOWN, DIM_UNKNOWN, DIM_UNKNOWN}, any[] = {-1, -1, -1, -1};
  SDX_TRY(infer_rank(c, 0, p->model == 2 ? 3 : 2, p->model == 2 ? 3 : 2));
  if (p->kind < SEARCH_BEAM) {
    SDX_TRY(infer_output(c, 0, SDX_INT32, 2, dims));
    return infer_output(c, 1, SDX_FLOAT, 2, dims);
  }
  bool half = (c->input_count > 5 && infer_dtype_of(c, 5) == SDX_FLOAT16) ||
              (c->input_count > 6 && infer_dtype_of(c, 6) == SDX_FLOAT16);
  sdx_dtype type = half ? SDX_FLOAT16 : SDX_FLOAT;
  SDX_TRY(infer_output(c, 0, SDX_INT32, 3, dims));
  SDX_TRY(infer_output(c, 1, type, 2, dims));
  SDX_TRY(infer_output(c, 2, type, 4, any));
  SDX_TRY(infer_output(c, 3, SDX_FLOAT, -1, NULL));
  return infer_output(c, 4, type, 1, dims);
}

// ---- inputs ---------------------------------------------------------------------------------------------------

static sdx_status read_int(search *s, size_t input, const char *name, int64_t low, int64_t high, int64_t otherwise,
                           size_t *out) {
  const tensor *t = step_in(s->c, input);
  int64_t v = otherwise;
  if (t && t->count != 1)
    return step_fail_at(s->c, at_input(input), SDX_INVALID_SHAPE, "has %zu elements, expected 1", t->count);
  if (t) v = tensor_index_at(t, 0);
  if (v < low || v > high)
    return step_fail_at(s->c, at_input(input), SDX_OUT_OF_RANGE, "is %lld, expected %lld to %lld", (long long)v,
                        (long long)low, (long long)high);
  *out = (size_t)v;
  return SDX_OK;
}

static sdx_status read_float(search *s, size_t input, const char *name, bool positive, float *out) {
  const tensor *t = step_in(s->c, input);
  if (t && t->count != 1)
    return step_fail_at(s->c, at_input(input), SDX_INVALID_SHAPE, "has %zu elements, expected 1", t->count);
  if (t && t->dtype == SDX_FLOAT16) s->type = SDX_FLOAT16;
  if (t && !widen_read((sdx_dtype)t->dtype, t->data, 0, 1, out))
    return step_fail_at(s->c, at_input(input), SDX_INVALID_SHAPE, "is no number");
  if (positive && !(*out > 0))
    return step_fail_at(s->c, at_input(input), SDX_OUT_OF_RANGE, "is %g, expected more than 0", (double)*out);
  return SDX_OK;
}

enum { MOST_BEAMS = 128, MOST_TOKENS = 1 << 20 };

static sdx_status read_inputs(search *s) {
  const search_params *p = s->p;
  const tensor *x = step_in(s->c, 0), *given = p->kind >= SEARCH_BEAM ? step_in(s->c, 10) : NULL;
  size_t rank = p->model == 2 ? 3 : 2, own = p->kind >= SEARCH_BEAM ? 6 : 3;
  char text[100];
  if (x->rank != rank)
    return step_fail_at(s->c, at_input(0), SDX_INVALID_SHAPE, "is %s, expected rank %zu",
                        tensor_describe(x, text, sizeof text), rank);
  if (p->model != 2 && x->dtype != SDX_INT32)
    return step_fail_at(s->c, at_input(0), SDX_INVALID_SHAPE, "is %s, expected int32",
                        tensor_describe(x, text, sizeof text));
  if (p->model != 2) given = NULL;
  if (given && (given->rank != 2 || given->dims[0] != x->dims[0] || given->dims[1] < 1))
    return step_fail_at(s->c, at_input(10), SDX_INVALID_SHAPE, "is %s, expected [%lld, length]",
                        tensor_describe(given, text, sizeof text), (long long)x->dims[0]);
  s->batch = (size_t)x->dims[0];
  s->start = p->model == 0 ? (size_t)x->dims[1] : given ? (size_t)given->dims[1] : 1;
  if (!s->batch || !s->start) return step_fail_at(s->c, at_input(0), SDX_INVALID_SHAPE, "is empty");
  SDX_TRY(read_int(s, 1, "max_length", (int64_t)s->start + 1, MOST_TOKENS, 0, &s->most));
  SDX_TRY(read_int(s, 2, "min_length", INT32_MIN, INT32_MAX, 0, &s->least));
  if ((int64_t)s->least < 0) s->least = 0;
  s->beams = s->returned = 1;
  s->repetition = s->length_penalty = 1;
  s->temperature = p->temperature;
  if (p->kind >= SEARCH_BEAM) {
    size_t processor;
    SDX_TRY(read_int(s, 3, "num_beams", 1, MOST_BEAMS, 1, &s->beams));
    SDX_TRY(read_int(s, 4, "num_return_sequences", 1, (int64_t)s->beams, 1, &s->returned));
    SDX_TRY(read_float(s, 5, "length_penalty", false, &s->length_penalty));
    SDX_TRY(read_int(s, 11, "logits_processor", 0, INT32_MAX, 0, &processor));
    s->timestamps = p->model == 2 && processor == 1;
  }
  if (p->kind == SEARCH_WHISPER) SDX_TRY(read_float(s, 14, "temperature", false, &s->temperature));
  SDX_TRY(read_float(s, own, "repetition_penalty", true, &s->repetition));
  s->vocabulary_mask = step_in(s->c, own + 1);
  s->prefix_mask = step_in(s->c, own + 2);
  const tensor *mask = step_in(s->c, own + 3);
  if (mask && p->model != 2 && !tensor_same_shape(mask, x))
    return step_fail_at(s->c, at_input(own + 3), SDX_INVALID_SHAPE, "is %s, not of the shape of 'input_ids'",
                        tensor_describe(mask, text, sizeof text));
  if (p->kind == SEARCH_SAMPLING) {
    const tensor *seed = step_in(s->c, 8);
    s->presence = step_in(s->c, 7);
    s->seed = seed && seed->count ? random_mix((uint64_t)tensor_index_at(seed, 0)) : random_new_seed();
  }
  return SDX_OK;
}

static void *zeros(search *s, size_t count, size_t each, sdx_status *status) {
  size_t bytes;
  void *at = *status == SDX_OK && size_mul(count, each, &bytes) ? call_alloc(s->c, bytes) : NULL;
  if (at) memset(at, 0, bytes);
  else if (*status == SDX_OK) *status = call_no_memory(s->c, count);
  return at;
}

static sdx_status make_room(search *s) {
  sdx_status status = SDX_OK;
  size_t all;
  if (!size_mul(s->batch, s->beams, &s->rows) || !size_mul(s->rows, s->most, &all))
    return call_no_memory(s->c, SIZE_MAX);
  s->tokens = zeros(s, all, sizeof(int32_t), &status);
  s->spare = zeros(s, all, sizeof(int32_t), &status);
  s->next = zeros(s, s->rows, sizeof(int32_t), &status);
  s->origin = zeros(s, s->rows, sizeof(int32_t), &status);
  s->done = zeros(s, s->rows, sizeof(bool), &status);
  s->beam_scores = zeros(s, s->rows, sizeof(float), &status);
  if (s->p->kind < SEARCH_BEAM || status != SDX_OK) return status;
  s->finished = zeros(s, s->rows, sizeof *s->finished, &status);
  s->finished_count = zeros(s, s->batch, sizeof *s->finished_count, &status);
  int32_t *tokens = zeros(s, all, sizeof(int32_t), &status);
  if (status != SDX_OK) return status;
  for (size_t row = 0; row < s->rows; row++) {
    s->finished[row].tokens = tokens + row * s->most;
    s->beam_scores[row] = row % s->beams ? -1e9f : 0;  // the first step continues one beam: they are still equal
  }
  return SDX_OK;
}

// ---- feeds ----------------------------------------------------------------------------------------------------

// What goes into the bodies.
typedef struct feeds {
  const value **in;
  sdx_value **out;
  sdx_value *tokens, *positions, *mask, *encoder_mask, *start, *hidden;
  sdx_value **states;
  int32_t *seen;      // [rows, most]: the mask
  int32_t *position;  // [rows]: of the newest token
} feeds;

static sdx_status new_ints(search *s, size_t rows, size_t columns, sdx_value **out) {
  value_release(*out);
  *out = NULL;
  int64_t dims[] = {(int64_t)rows, (int64_t)columns};
  return step_located(s->c, value_create(call_account(s->c), SDX_INT32, 2, dims, NULL, NULL, NULL, out, s->c->err));
}
static int32_t *ints(sdx_value *v) { return v->value.tensor.data; }

// Rows `at` (or every row `repeat` times) along `axis`. *v is replaced.
static sdx_status pick(search *s, sdx_value **v, size_t axis, const int32_t *at, size_t repeat) {
  const tensor *t = &(*v)->value.tensor;
  int64_t dims[TENSOR_MAX_RANK];
  char text[100];
  size_t had = at ? s->rows : s->rows / repeat, outer = 1, bytes = 0;
  if ((*v)->value.kind != VALUE_TENSOR || t->rank <= axis || (size_t)t->dims[axis] != had ||
      dtype_is_packed((sdx_dtype)t->dtype) || t->dtype == SDX_STRING)
    return step_fail(s->c, SDX_INVALID_SHAPE, "a state of the decoder is %s, expected %zu: as its dimension %zu",
                     tensor_describe(t, text, sizeof text), had, axis);
  for (size_t i = 0; i < t->rank; i++) dims[i] = t->dims[i];
  for (size_t i = 0; i < axis; i++) outer *= (size_t)dims[i];
  dims[axis] = (int64_t)s->rows;
  sdx_value *made;
  SDX_TRY(step_located(
      s->c, value_create(call_account(s->c), (sdx_dtype)t->dtype, t->rank, dims, NULL, NULL, NULL, &made, s->c->err)));
  if (t->bytes) bytes = t->bytes / (outer * had);  // of one row
  for (size_t o = 0; bytes && o < outer; o++)
    for (size_t row = 0; row < s->rows; row++) {
      size_t from = at ? (size_t)at[row] : row / repeat;
      memcpy((char *)made->value.tensor.data + (o * s->rows + row) * bytes, (char *)t->data + (o * had + from) * bytes,
             bytes);
    }
  value_release(*v);
  *v = made;
  return SDX_OK;
}

// A state before the first token: as the decoder declares it, without any position.
static sdx_status empty_state(search *s, size_t input, sdx_value **out) {
  const graph *d = s->p->decoder;
  const type_info *t = &d->values[d->inputs[input]].declared;
  size_t batch_axis = s->p->model == 0, length_axis = batch_axis + 2;
  int64_t dims[TENSOR_MAX_RANK];
  bool known = t->kind == TYPE_TENSOR && t->rank == (int)batch_axis + 4;
  for (size_t i = 0; known && i < batch_axis + 4; i++) {
    dims[i] = i == batch_axis ? (int64_t)s->rows : i == length_axis ? 0 : t->dims[i];
    known = dims[i] >= 0;
  }
  str name = name_of(d, d->inputs, input);
  if (!known)
    return step_fail_at(s->c, part_named(PART_INPUT, name), SDX_INVALID_SHAPE,
                        "of the decoder does not declare its heads and their size");
  return step_located(s->c, value_create(call_account(s->c), (sdx_dtype)t->dtype, batch_axis + 4, dims, NULL, NULL,
                                         NULL, out, s->c->err));
}

static sdx_status run(search *s, feeds *f, graph *body, const search_role *roles) {
  sdx_value *of[] = {[FEED_TOKENS] = f->tokens, [FEED_POSITIONS] = f->positions,
                     [FEED_MASK] = f->mask,     [FEED_ENCODER_MASK] = f->encoder_mask,
                     [FEED_START] = f->start,   [FEED_HIDDEN] = f->hidden};
  size_t state = 0;
  for (uint32_t i = 0; i < body->input_count; i++) {
    sdx_value *v = roles[i] == FEED_STATE ? f->states[state++] : of[roles[i]];
    str name = name_of(body, body->inputs, i);
    if (!v) return step_fail(s->c, SDX_INVALID_GRAPH, "nothing is there for input '%.*s' of a body", STR_ARG(name));
    f->in[i] = &v->value;
  }
  SDX_TRY(call_check(s->c));
  return body_run(s->c, body, body->input_count, f->in, f->out);
}

static sdx_status choose(search *s, feeds *f) {
  s->trip++;
  if (f->out[0]->value.kind != VALUE_TENSOR)
    return step_fail(s->c, SDX_INVALID_GRAPH, "the first output of the decoder is no tensor of logits");
  SDX_TRY(search_choose(s, &f->out[0]->value.tensor));
  values_release(f->out, 1);
  return SDX_OK;
}

// The prompt, and which of its tokens count.
static sdx_status start_decoder_alone(search *s, feeds *f) {
  const tensor *x = step_in(s->c, 0), *mask = step_in(s->c, s->p->kind >= SEARCH_BEAM ? 9 : 6);
  const int32_t *ids = x->data;
  SDX_TRY(new_ints(s, s->rows, s->start, &f->positions));
  for (size_t row = 0; row < s->rows; row++)
    for (size_t i = 0; i < s->start; i++) {
      size_t at = row / s->beams * s->start + i;
      bool counts = ids[at] != s->p->pad;  // whatever the mask says
      s->tokens[row * s->most + i] = ids[at];
      f->seen[row * s->most + i] = mask ? ((const int32_t *)mask->data)[at] : counts;
      ints(f->positions)[row * s->start + i] = counts ? f->position[row]++ : 0;
    }
  s->length = s->start;
  for (size_t i = 0; i < s->p->states; i++)
    SDX_TRY(empty_state(s, s->p->decoder->input_count - s->p->states + i, &f->states[i]));
  return SDX_OK;
}

static sdx_status feed_encoder(search *s, feeds *f) {
  const tensor *x = step_in(s->c, 0), *mask = step_in(s->c, 9), *given = s->p->model == 2 ? step_in(s->c, 10) : NULL;
  if (s->p->kind < SEARCH_BEAM) mask = step_in(s->c, 6);
  SDX_TRY(step_located(s->c, value_copy(call_account(s->c), s->c->in[0], &f->tokens, s->c->err)));
  if (s->p->model == 1) {
    SDX_TRY(new_ints(s, s->batch, (size_t)x->dims[1], &f->encoder_mask));
    size_t length = (size_t)x->dims[1];
    for (size_t i = 0; i < s->batch; i++) {
      bool begun = false;  // a padding token inside is a token: often it is the end of the text, too
      for (size_t k = i * length; k < (i + 1) * length; k++) {
        begun = begun || ((const int32_t *)x->data)[k] != s->p->pad;
        ints(f->encoder_mask)[k] = mask ? ((const int32_t *)mask->data)[k] : begun;
      }
    }
  }
  if (!given && s->p->start < 0)
    return step_fail_at(s->c, at_attribute("decoder_start_token_id"), SDX_INVALID_GRAPH, "is needed for an encoder");
  SDX_TRY(new_ints(s, s->batch, s->start, &f->start));
  for (size_t i = 0; i < s->batch * s->start; i++)
    ints(f->start)[i] = given ? (int32_t)tensor_index_at(given, i) : (int32_t)s->p->start;
  for (size_t row = 0; row < s->rows; row++)
    memcpy(s->tokens + row * s->most, ints(f->start) + row / s->beams * s->start, s->start * sizeof(int32_t));
  s->length = s->start;
  return SDX_OK;
}

// The encoder's states become the decoder's, once per beam. Where the encoder's body has run the first step of the
// decoder, the first token is chosen here.
static sdx_status start_with_encoder(search *s, feeds *f) {
  const search_params *p = s->p;
  SDX_TRY(feed_encoder(s, f));
  SDX_TRY(run(s, f, p->encoder, p->encoder_roles));
  size_t extras = p->extras, first = p->starts ? 0 : p->carried;
  if (extras > 1) f->hidden = f->out[1], f->out[1] = NULL;
  for (size_t i = first; i < p->states; i++)
    f->states[i] = f->out[extras + i - first], f->out[extras + i - first] = NULL;
  for (size_t i = 0; i < first; i++) SDX_TRY(empty_state(s, p->decoder->input_count - p->states + i, &f->states[i]));
  for (size_t i = first; i < p->states; i++) SDX_TRY(pick(s, &f->states[i], 0, NULL, s->beams));
  if (f->hidden) SDX_TRY(pick(s, &f->hidden, 0, NULL, s->beams));
  if (f->encoder_mask) SDX_TRY(pick(s, &f->encoder_mask, 0, NULL, s->beams));
  if (!p->starts) return SDX_OK;
  SDX_TRY(choose(s, f));
  s->length++;
  for (size_t i = 0; s->beams > 1 && i < p->carried; i++) SDX_TRY(pick(s, &f->states[i], 0, s->origin, 1));
  return SDX_OK;
}

// Tokens that the decoder has not seen yet; all of them where it keeps none itself.
static sdx_status feed_decoder(search *s, feeds *f) {
  const graph *d = s->p->decoder;
  const type_info *t = &d->values[d->inputs[0]].declared;
  bool whole = s->trip == 0 || (s->p->model && (t->kind != TYPE_TENSOR || t->rank != 2 || t->dims[1] != 1));
  size_t from = whole ? 0 : s->length - 1, count = s->length - from;
  SDX_TRY(new_ints(s, s->rows, count, &f->tokens));
  for (size_t row = 0; row < s->rows; row++)
    memcpy(ints(f->tokens) + row * count, s->tokens + row * s->most + from, count * sizeof(int32_t));
  if (s->p->model) return SDX_OK;
  SDX_TRY(new_ints(s, s->rows, s->length, &f->mask));
  for (size_t row = 0; row < s->rows; row++)
    memcpy(ints(f->mask) + row * s->length, f->seen + row * s->most, s->length * sizeof(int32_t));
  if (s->trip == 0) return SDX_OK;
  SDX_TRY(new_ints(s, s->rows, 1, &f->positions));
  for (size_t row = 0; row < s->rows; row++) ints(f->positions)[row] = f->position[row]++;
  return SDX_OK;
}

static sdx_status generate(search *s, feeds *f) {
  const search_params *p = s->p;
  SDX_TRY(p->model ? start_with_encoder(s, f) : start_decoder_alone(s, f));
  while (s->length < s->most) {
    SDX_TRY(feed_decoder(s, f));
    SDX_TRY(run(s, f, s->trip == 0 && p->first ? p->first : p->decoder, p->decoder_roles));
    SDX_TRY(choose(s, f));
    for (size_t i = 0; i < p->carried; i++) {
      value_release(f->states[i]);
      f->states[i] = f->out[1 + i];
      f->out[1 + i] = NULL;
      if (s->beams > 1) SDX_TRY(pick(s, &f->states[i], p->model == 0, s->origin, 1));
    }
    for (size_t row = 0; row < s->rows; row++) f->seen[row * s->most + s->length] = 1;
    s->length++;
    if (search_done(s)) break;
  }
  return search_finish(s);
}

static sdx_status search_compute(op_step *c) {
  search s = {.c = c, .p = c->params, .type = SDX_FLOAT};
  const search_params *p = s.p;
  SDX_TRY(read_inputs(&s));
  SDX_TRY(make_room(&s));
  if (c->output_count > 3 && c->out[3])
    return step_fail_at(c, at_output(3), SDX_NOT_SUPPORTED, "needs a decoder that gives it");
  sdx_status status = SDX_OK;
  size_t in = p->decoder->input_count, out = p->decoder->output_count;
  if (p->encoder && p->encoder->input_count > in) in = p->encoder->input_count;
  if (p->encoder && p->encoder->output_count > out) out = p->encoder->output_count;
  feeds f = {.in = zeros(&s, in, sizeof *f.in, &status)};
  f.out = zeros(&s, out, sizeof *f.out, &status);
  f.states = zeros(&s, p->states + 1, sizeof *f.states, &status);
  f.seen = zeros(&s, s.rows * s.most, sizeof *f.seen, &status);
  f.position = zeros(&s, s.rows, sizeof *f.position, &status);
  if (status != SDX_OK) return status;
  status = generate(&s, &f);
  sdx_value *own[] = {f.tokens, f.positions, f.mask, f.encoder_mask, f.start, f.hidden};
  values_release(own, sizeof own / sizeof *own);
  values_release(f.states, p->states);
  values_release(f.out, out);
  return status;
}

// clang-format off
#define COMMON .since = 1, .versions = "1", .params_size = sizeof(search_params), .infer = search_infer, \
               .compute = search_compute
#define BODIES "decoder:graph! encoder:graph init_decoder:graph decoder_start_token_id:int=-1 eos_token_id:int! " \
               "no_repeat_ngram_size:int=0 pad_token_id:int! vocab_size:int=-1 "
#define GREEDY "input_ids:I max_length:I min_length:I? repetition_penalty:T? vocab_mask:I? prefix_vocab_mask:I? " \
               "attention_mask:I?"
#define BEAMS "input_ids:F max_length:I min_length:I? num_beams:I num_return_sequences:I length_penalty:T? " \
              "repetition_penalty:T? vocab_mask:M? prefix_vocab_mask:M? attention_mask:I? decoder_input_ids:I? " \
              "logits_processor:I?"
#define BEAM_TYPES "T=float,float16;F=float,int32,float16;I=int32;M=int32;V=float"
SDX_OP_MS(GreedySearch) = {
    COMMON, .inputs = GREEDY, .outputs = "sequences:I", .types = "T=float;I=int32", .flags = OP_CONTROL,
    .attrs = BODIES "model_type:int=0", .params = greedy_search_read};
SDX_OP_MS(Sampling) = {
    COMMON, .inputs = GREEDY " presence_mask:I? seed:I?", .outputs = "sequences:I filtered_logits:T?",
    .types = "T=float;I=int32", .flags = OP_CONTROL | OP_NONDETERMINISTIC, .params = sampling_read,
    .attrs = BODIES "model_type:int=0 custom:int=0 filter_value:float=-1e20 min_tokens_to_keep:int=0 "
             "presence_penalty:float=0 temperature:float=1 top_p:float=0"};
SDX_OP_MS(BeamSearch) = {
    COMMON, .inputs = BEAMS, .outputs = "sequences:I sequences_scores:T? scores:T?", .types = BEAM_TYPES,
    .flags = OP_CONTROL, .attrs = BODIES "model_type:int=0 early_stopping:int=0", .params = beam_search_read};
SDX_OP_MS(WhisperBeamSearch) = {
    COMMON, .inputs = BEAMS " cross_qk_layer_head:I? extra_decoding_ids:I? temperature:T?",
    .outputs = "sequences:I sequences_scores:T? scores:T? cross_qk:V? non_speech_probs:T?", .types = BEAM_TYPES,
    .flags = OP_CONTROL, .params = whisper_beam_search_read,
    .attrs = BODIES "model_type:int=2 early_stopping:int=0 decoder_output_cross_qk:int translate_token_id:int "
             "no_speech_token_id:int transcribe_token_id:int start_of_lm_token_id:int no_timestamps_token_id:int "
             "beginning_timestamp_token_id:int"};
// clang-format on
