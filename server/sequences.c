// SPDX-License-Identifier: Apache-2.0
// Sequences of a model (sequences.h).
#include "server/sequences.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "server/call.h"

enum { MOST_FED = 64 };

typedef struct fed {
  size_t input, output;
  config_state of;
} fed;

typedef struct sequence {
  struct sequence *next;
  char id[128];
  bool busy, started;
  uint64_t used_ns;
  size_t bytes;
  sdx_value *states[];
} sequence;

struct sequences {
  pthread_mutex_t lock;
  fed fed[MOST_FED];
  size_t fed_count, count, bytes, most, most_bytes;
  uint64_t idle_ns;
  bool *is_fed, *is_kept;
  sequence *first;
};

// ---- which inputs --------------------------------------------------------------------------------

static bool add(sequences *s, const sdx_session *session, const config_state *state, char *why, size_t why_size) {
  int64_t input = sdx_session_find_input(session, state->input),
          output = state->control ? 0 : sdx_session_find_output(session, state->output);
  if (input < 0 || output < 0) {
    snprintf(why, why_size, "sequence_batching names %s '%.100s', which the model has not",
             input < 0 ? "input" : "output", input < 0 ? state->input : state->output);
    return false;
  }
  const sdx_io *io = sdx_session_input(session, (size_t)input);
  const sdx_io *out = state->control ? io : sdx_session_output(session, (size_t)output);
  if (io->dtype != out->dtype || (io->dtype == SDX_STRING && !state->control) || !io->has_shape) {
    snprintf(why, why_size, "state '%.100s': expected input and output of one type, numbers, and a shape",
             state->input);
    return false;
  }
  if (s->fed_count == MOST_FED || s->is_fed[input]) {
    snprintf(why, why_size, "state '%.100s' is there twice, or one of more than %d", state->input, MOST_FED);
    return false;
  }
  s->fed[s->fed_count++] = (fed){(size_t)input, (size_t)output, *state};
  s->is_fed[input] = true;
  if (!state->control) s->is_kept[output] = true;
  return true;
}

static bool add_pair(sequences *s, const sdx_session *session, const char *pair, char *why, size_t why_size) {
  const char *equals = strchr(pair, '=');
  config_state state = {0};
  snprintf(state.input, sizeof state.input, "%.*s", (int)(equals - pair), pair);
  snprintf(state.output, sizeof state.output, "%s", equals + 1);
  int64_t input = sdx_session_find_input(session, state.input);
  bool has = input >= 0 && !s->is_fed[input] && sdx_session_find_output(session, state.output) >= 0;
  return !has || add(s, session, &state, why, why_size);  // another model's, or told by the config
}

sequences *sequences_create(const sdx_session *session, const model_config *config, const char *const *pairs,
                            size_t pair_count, const limits *limits, char *why, size_t why_size) {
  sequences *s = calloc(1, sizeof *s);
  config_state state;
  *why = 0;
  if (s) s->is_fed = calloc(sdx_session_feed_count(session) + 1, sizeof *s->is_fed);
  if (s) s->is_kept = calloc(sdx_session_output_count(session) + 1, sizeof *s->is_kept);
  if (!s || !s->is_fed || !s->is_kept) {
    snprintf(why, why_size, "memory is exhausted");
    if (s) sequences_free(s);
    return NULL;
  }
  pthread_mutex_init(&s->lock, NULL);
  s->most = (size_t)limits->max_sequences;
  s->most_bytes = (size_t)limits->max_sequence_bytes;
  s->idle_ns = (uint64_t)limits->sequence_idle_ms * 1000000;
  if (config && config->sequence_idle_us) s->idle_ns = config->sequence_idle_us * 1000;
  bool good = true;
  for (wire at = config ? model_config_sequence(config) : (wire){0}; good && model_config_state(&at, &state);)
    good = add(s, session, &state, why, why_size);
  for (size_t i = 0; good && i < pair_count; i++) good = add_pair(s, session, pairs[i], why, why_size);
  if (good && s->fed_count) return s;
  sequences_free(s);
  return NULL;
}

const bool *sequences_fed(const sequences *s) { return s ? s->is_fed : NULL; }
const bool *sequences_kept(const sequences *s) { return s ? s->is_kept : NULL; }

// ---- the table -----------------------------------------------------------------------------------

static void drop(sequences *s, sequence *one) {
  sequence **link = &s->first;
  while (*link != one) link = &(*link)->next;
  *link = one->next;
  s->count--;
  s->bytes -= one->bytes;
  for (size_t i = 0; i < s->fed_count; i++) sdx_value_release(one->states[i]);
  free(one);
}

static void sweep(sequences *s, uint64_t now) {
  for (sequence *one = s->first, *next; one; one = next) {
    next = one->next;
    if (!one->busy && now - one->used_ns > s->idle_ns) drop(s, one);
  }
}

void sequences_free(sequences *s) {
  if (!s) return;
  while (s->first) drop(s, s->first);
  free(s->is_fed);
  free(s->is_kept);
  free(s);
}

size_t sequences_live(sequences *s) {
  if (!s) return 0;
  pthread_mutex_lock(&s->lock);
  sweep(s, clock_ns());
  size_t count = s->count;
  pthread_mutex_unlock(&s->lock);
  return count;
}

static sequence *find(const sequences *s, const char *id) {
  sequence *one = s->first;
  while (one && strcmp(one->id, id) != 0) one = one->next;
  return one;
}

// ---- calls ---------------------------------------------------------------------------------------

// Zeros in the shape that the config tells, else the model; free dimensions are 1.
static sdx_value *blank(const fed *f, const sdx_io *io) {
  int64_t shape[CONFIG_RANK];
  size_t rank = io->rank < CONFIG_RANK ? io->rank : CONFIG_RANK,
         behind = rank - (f->of.rank < rank ? f->of.rank : rank);
  for (size_t i = 0; i < rank; i++) {
    int64_t told = f->of.rank && i >= behind ? f->of.dims[i - behind] : io->shape[i];
    shape[i] = io->shape[i] >= 0 ? io->shape[i] : told >= 0 ? told : 1;
  }
  return sdx_tensor_create(io->dtype, rank, shape);
}

static void set_number(sdx_value *x, double number) {
  for (size_t i = 0; i < sdx_tensor_count(x); i++) switch (sdx_tensor_dtype(x)) {
      case SDX_FLOAT:
        ((float *)sdx_tensor_data(x))[i] = (float)number;
        break;
      case SDX_INT32:
      case SDX_UINT32:
        ((int32_t *)sdx_tensor_data(x))[i] = (int32_t)number;
        break;
      case SDX_INT64:
      case SDX_UINT64:
        ((int64_t *)sdx_tensor_data(x))[i] = (int64_t)number;
        break;
      case SDX_BOOL:
        ((uint8_t *)sdx_tensor_data(x))[i] = number != 0;
        break;
      default:
        break;
    }
}

static void set_control(sdx_value *x, const config_state *state, const sequence_wish *wish) {
  bool on = state->control == CONTROL_START ? wish->start : state->control == CONTROL_END ? wish->end : true;
  if (state->control != CONTROL_ID) set_number(x, state->off_on[on]);
  else if (sdx_tensor_dtype(x) != SDX_STRING) set_number(x, strtod(wish->id, NULL));
  else
    for (size_t i = 0; i < sdx_tensor_count(x); i++) sdx_tensor_set_string(x, i, wish->id, strlen(wish->id));
}

static bool feed(call *c, const sequences *s, const sequence *one, const sequence_wish *wish) {
  for (size_t i = 0; i < s->fed_count; i++) {
    const fed *f = &s->fed[i];
    sdx_value *x =
        one->states[i] ? sdx_value_retain(one->states[i]) : blank(f, sdx_session_input(c->model->session, f->input));
    if (!x) return false;
    if (f->of.control) set_control(x, &f->of, wish);
    c->inputs[f->input] = x;
  }
  return true;
}

// Under the lock. NULL: there is no room.
static sequence *make(sequences *s, const char *id, uint64_t now) {
  sweep(s, now);
  sequence *one = s->count < s->most && s->bytes < s->most_bytes
                      ? calloc(1, sizeof *one + s->fed_count * sizeof *one->states)
                      : NULL;
  if (!one) return NULL;
  snprintf(one->id, sizeof one->id, "%s", id);
  one->next = s->first;
  s->first = one;
  s->count++;
  return one;
}

bool sequence_begin(call *c, const sequence_wish *wish) {
  sequences *s = c->model->sequences;
  uint64_t now = clock_ns();
  if (!*wish->id) {
    call_error(c, 400, "the model keeps a state: expected the parameters sequence_id, and sequence_start or _end");
    return false;
  }
  pthread_mutex_lock(&s->lock);
  sequence *one = find(s, wish->id);
  bool busy = one && one->busy, stale = one && !busy && now - one->used_ns > s->idle_ns, full = false;
  if (!busy && (stale || (one && wish->start))) drop(s, one), one = NULL;
  if (!one && wish->start) full = !(one = make(s, wish->id, now));
  bool good = one && !busy;
  if (good) one->busy = true;
  if (good) c->sequence = one;
  c->sequence_ends = wish->end;
  pthread_mutex_unlock(&s->lock);
  if (busy)
    call_error(c, 409, "sequence '%s' is at work: its next request comes after the answer to this one", wish->id);
  else if (full) call_retry(c, 503, "there are too many sequences (limits max-sequences, max-sequence-bytes)");
  else if (!one)
    call_error(c, 400, "there is no sequence '%s': it did not start, has ended, or was idle for long", wish->id);
  if (!good) return false;
  if (feed(c, s, one, wish)) return true;
  call_retry(c, 503, "memory is exhausted");
  return false;
}

// A tensor of its own, for a run's results change with the next one.
static sdx_value *copy_of(const sdx_value *y) {
  sdx_value *x = sdx_tensor_create(sdx_tensor_dtype(y), sdx_tensor_rank(y), sdx_tensor_shape(y));
  if (x && sdx_tensor_bytes(y)) memcpy(sdx_tensor_data(x), sdx_tensor_data(y), sdx_tensor_bytes(y));
  return x;
}

// The sequence is free for its next request, which may come as soon as this one is answered.
static void let_go(call *c, bool over) {
  sequences *s = c->model->sequences;
  sequence *one = c->sequence;
  pthread_mutex_lock(&s->lock);
  one->busy = false;
  one->used_ns = clock_ns();
  if (over) drop(s, one);
  pthread_mutex_unlock(&s->lock);
  c->sequence = NULL;
}

void sequence_commit(call *c) {
  sequences *s = c->model->sequences;
  sequence *one = c->sequence;
  size_t bytes = 0;
  if (!one) return;
  one->started = true;
  for (size_t i = 0; i < s->fed_count && !c->sequence_ends; i++) {
    if (s->fed[i].of.control) continue;
    sdx_value *fresh = copy_of(c->outputs[s->fed[i].output]);
    one->started &= fresh != NULL;
    sdx_value_release(one->states[i]);
    one->states[i] = fresh;
    bytes += fresh ? sdx_tensor_bytes(fresh) : 0;
  }
  pthread_mutex_lock(&s->lock);
  s->bytes += bytes - one->bytes;
  one->bytes = bytes;
  pthread_mutex_unlock(&s->lock);
  let_go(c, c->sequence_ends || !one->started);
}

void sequence_release(call *c) {
  if (c->sequence) let_go(c, !c->sequence->started);
}
