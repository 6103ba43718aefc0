// SPDX-License-Identifier: Apache-2.0
// From logits to the next tokens of every sequence: penalties and masks, then the best token (greedy), a random one
// (sampling) or the best continuations of all beams. See search.h.
#include <float.h>
#include <math.h>

#include "base/size.h"
#include "ops/call.h"
#include "ops/parts/random.h"
#include "ops/parts/search.h"
#include "ops/parts/widen.h"

#define NEVER (-FLT_MAX)

static int32_t *sequence(const search *s, size_t row) { return s->tokens + row * s->most; }

static bool is_token(const search *s, int64_t id) { return id >= 0 && (size_t)id < s->vocabulary; }

// ---- memory that depends on the vocabulary ----------------------------------------------------------------

static void *zeros(search *s, size_t count, size_t each) {
  size_t bytes;
  void *at = size_mul(count, each, &bytes) ? call_alloc(s->c, bytes) : NULL;
  if (at) memset(at, 0, bytes);
  return at;
}

static sdx_status check_mask(search *s, const tensor *t, const char *name, bool per_batch) {
  size_t want = s->vocabulary * (per_batch ? s->batch : 1);
  char text[100];
  if (!t || (t->count == want && t->rank == 1 + per_batch)) return SDX_OK;
  return step_fail_at(s->c, part_named(PART_INPUT, str_from(name)), SDX_INVALID_SHAPE,
                      "is %s, but the vocabulary has %zu tokens and the batch %zu",
                      tensor_describe(t, text, sizeof text), s->vocabulary, s->batch);
}

static sdx_status prepare(search *s, const tensor *logits) {
  int64_t given = s->p->vocabulary;
  s->vocabulary = (size_t)logits->dims[2];
  if (given > 0 && (size_t)given < s->vocabulary) s->vocabulary = (size_t)given;
  if (s->vocabulary < 2) return step_fail(s->c, SDX_INVALID_SHAPE, "the decoder's logits are of one token only");
  SDX_TRY(check_mask(s, s->vocabulary_mask, "vocab_mask", false));
  SDX_TRY(check_mask(s, s->prefix_mask, "prefix_vocab_mask", true));
  SDX_TRY(check_mask(s, s->presence, "presence_mask", true));
  bool beam = s->p->kind >= SEARCH_BEAM;
  s->scores = zeros(s, s->rows, s->vocabulary * sizeof *s->scores);
  s->seen = zeros(s, s->vocabulary, sizeof *s->seen);
  s->order = zeros(s, s->vocabulary, sizeof *s->order);
  if (!s->scores || !s->seen || !s->order) return call_no_memory(s->c, s->rows * s->vocabulary * sizeof(float));
  int64_t vocabulary = (int64_t)s->vocabulary, batch = (int64_t)s->batch, beams = (int64_t)s->beams;
  if (beam) {
    int64_t dims[] = {(int64_t)(s->most - s->start), batch, beams, vocabulary};
    return call_set_shape(s->c, 2, s->type, 4, dims);
  }
  return call_set_shape(s->c, 1, SDX_FLOAT, 2, (int64_t[]){batch, vocabulary});
}

// The last position of every row, as it is or as log-probabilities.
static sdx_status read_logits(search *s, const tensor *t, bool log_softmax) {
  char text[100];
  bool shared = t->rank == 3 && (size_t)t->dims[0] == s->batch;  // the encoder's come once for all beams
  if (t->rank != 3 || (!shared && (size_t)t->dims[0] != s->rows) || t->dims[1] < 1 || !dtype_is_float(t->dtype) ||
      (s->scores && (size_t)t->dims[2] < s->vocabulary))
    return step_fail(s->c, SDX_INVALID_SHAPE, "the decoder's logits are %s, expected [%zu, length, vocabulary]",
                     tensor_describe(t, text, sizeof text), s->rows);
  if (!s->scores) SDX_TRY(prepare(s, t));
  size_t stride = (size_t)t->dims[2], length = (size_t)t->dims[1], n = s->vocabulary;
  for (size_t row = 0; row < s->rows; row++) {
    size_t from = shared ? row / s->beams : row;
    float *to = s->scores + row * n;
    widen_read((sdx_dtype)t->dtype, t->data, (from * length + length - 1) * stride, n, to);
    if (!log_softmax) continue;
    double sum = 0;
    float most = -INFINITY;
    for (size_t i = 0; i < n; i++) most = fmaxf(most, to[i]);
    for (size_t i = 0; i < n; i++) sum += exp((double)to[i] - (double)most);
    for (size_t i = 0; i < n; i++) to[i] = (float)((double)to[i] - (double)most - log(sum));
  }
  return SDX_OK;
}

// ---- penalties and masks ------------------------------------------------------------------------------------

static void penalize_repetition(search *s, size_t row, float *scores) {
  const int32_t *tokens = sequence(s, row);
  s->stamp++;
  for (size_t i = 0; i < s->length; i++) {
    if (!is_token(s, tokens[i]) || s->seen[tokens[i]] == s->stamp) continue;
    s->seen[tokens[i]] = s->stamp;
    float *score = &scores[tokens[i]];
    *score = *score < 0 ? *score * s->repetition : *score / s->repetition;
  }
}

static void forbid_repeated_ngrams(search *s, size_t row, float *scores) {
  size_t n = (size_t)s->p->ngram;
  const int32_t *tokens = sequence(s, row), *prefix = tokens + s->length - (n - 1);
  for (size_t i = 0; i + n <= s->length; i++)
    if (memcmp(tokens + i, prefix, (n - 1) * sizeof *tokens) == 0 && is_token(s, tokens[i + n - 1]))
      scores[tokens[i + n - 1]] = NEVER;
}

static void forbid(float *scores, const tensor *mask, size_t row, size_t n) {
  for (size_t i = 0; i < n; i++)
    if (((const int32_t *)mask->data)[row * n + i] == 0) scores[i] = NEVER;
}

static void forbid_range(const search *s, float *scores, int64_t from, int64_t to) {
  for (int64_t i = from < 0 ? 0 : from; i < to && is_token(s, i); i++) scores[i] = NEVER;
}

// Whisper's rules: timestamps come in pairs and never go back; some tokens only begin a sequence.
static void keep_timestamps_in_order(search *s, size_t row, float *scores) {
  enum { MOST_FIRST = 50 };
  const search_params *p = s->p;
  const int32_t *tokens = sequence(s, row);
  int64_t begin = p->first_timestamp, end = (int64_t)s->vocabulary, newest = -1;
  size_t prompt = 0;
  while (prompt < s->length && tokens[prompt++] < begin) continue;
  for (size_t i = 0; i < s->length; i++)
    if (tokens[i] >= begin) newest = tokens[i];
  forbid_range(s, scores, p->no_timestamps, p->no_timestamps + 1);
  forbid_range(s, scores, p->start_of_lm, p->start_of_lm + 1);
  if (s->length > prompt) {
    forbid_range(s, scores, p->start, p->start + 1);
    forbid_range(s, scores, p->translate, p->translate + 1);
    forbid_range(s, scores, p->transcribe, p->transcribe + 1);
  }
  bool last = s->length && tokens[s->length - 1] >= begin;
  bool before = s->length <= prompt || tokens[s->length - 2] >= begin;
  if (last) forbid_range(s, scores, before ? begin : 0, before ? end : p->eos);
  if (newest >= 0) forbid_range(s, scores, begin, newest + !(last && !before));
  if (s->length == prompt) forbid_range(s, scores, begin + MOST_FIRST + 1, end);
  // Where all timestamps together are likelier than any text, text is out.
  double sum = 0;
  float text = -INFINITY, most = -INFINITY;
  for (int64_t i = 0; i < end; i++) {
    if (i < begin) text = fmaxf(text, scores[i]);
    else most = fmaxf(most, scores[i]);
  }
  for (int64_t i = begin; i < end; i++) sum += exp((double)scores[i] - (double)most);
  if (begin < end && log(sum) + (double)most > (double)text) forbid_range(s, scores, 0, begin);
}

static void adjust(search *s) {
  size_t n = s->vocabulary;
  for (size_t row = 0; row < s->rows; row++) {
    float *scores = s->scores + row * n;
    size_t entry = row / s->beams;
    if (s->repetition != 1) penalize_repetition(s, row, scores);
    if (s->p->ngram > 0 && (size_t)s->p->ngram <= s->length) forbid_repeated_ngrams(s, row, scores);
    if (s->vocabulary_mask) forbid(scores, s->vocabulary_mask, 0, n);
    if (s->prefix_mask && s->trip == 1) forbid(scores, s->prefix_mask, entry, n);
    if (s->length < s->least && is_token(s, s->p->eos)) scores[s->p->eos] = NEVER;
    if (s->temperature > 0 && s->temperature != 1)
      for (size_t i = 0; i < n; i++) scores[i] /= s->temperature;
    for (size_t i = 0; s->presence && i < n; i++)
      scores[i] -= (float)((const int32_t *)s->presence->data)[entry * n + i] * s->p->presence_penalty;
    if (s->timestamps) keep_timestamps_in_order(s, row, scores);
  }
}

// ---- one token a row ----------------------------------------------------------------------------------------

static int32_t best(const float *scores, size_t n) {
  size_t at = 0;
  for (size_t i = 1; i < n; i++)
    if (scores[i] > scores[at]) at = i;
  return (int32_t)at;
}

// Heap sort of `order` by scores, the larger first; equal ones by their number.
static bool comes_first(const float *scores, int32_t a, int32_t b) {
  return scores[a] > scores[b] || (!(scores[b] > scores[a]) && a < b);
}
static void sink(const float *scores, int32_t *order, size_t at, size_t n) {
  for (size_t child; (child = 2 * at + 1) < n; at = child) {
    if (child + 1 < n && comes_first(scores, order[child], order[child + 1])) child++;
    if (!comes_first(scores, order[at], order[child])) return;
    int32_t t = order[at];
    order[at] = order[child];
    order[child] = t;
  }
}
static void sort(const float *scores, int32_t *order, size_t n) {
  for (size_t i = 0; i < n; i++) order[i] = (int32_t)i;
  for (size_t i = n / 2; i-- > 0;) sink(scores, order, i, n);
  for (size_t i = n; i-- > 1;) {
    int32_t t = order[0];
    order[0] = order[i];
    order[i] = t;
    sink(scores, order, 0, i);
  }
}

// Takes out what is beyond the share top_p of the probability. One token stays in any case.
static void filter(search *s, float *scores) {
  size_t n = s->vocabulary, keep = s->p->keep < 1 ? 1 : (size_t)s->p->keep;
  double total = 0, share = 0, top_p = (double)s->p->top_p;
  sort(scores, s->order, n);
  double most = (double)scores[s->order[0]];
  for (size_t i = 0; i < n; i++) total += exp((double)scores[i] - most);
  if (s->p->custom) {  // as soon as the tokens before it have more than top_p
    size_t cut = n;
    for (size_t i = 0; i + 1 < n && cut == n; i++) {
      share += exp((double)scores[s->order[i]] - most) / total;
      if (share > top_p) cut = i + 1;
    }
    for (size_t i = cut; i < n; i++) scores[s->order[i]] = s->p->filter;
    return;
  }
  for (size_t i = n; i-- > keep;) {  // while it and those behind it have no more than 1 - top_p
    share += exp((double)scores[s->order[i]] - most) / total;
    if (share > 1 - top_p) return;
    scores[s->order[i]] = s->p->filter;
  }
}

static int32_t draw(search *s, const float *scores, size_t row) {
  double most = -INFINITY, total = 0, running = 0;
  for (size_t i = 0; i < s->vocabulary; i++) most = fmax(most, (double)scores[i]);
  for (size_t i = 0; i < s->vocabulary; i++) total += exp((double)scores[i] - most);
  double limit = random_uniform(s->seed, s->trip * s->rows + row) * total;
  size_t chosen = 0;
  for (size_t i = 0; i < s->vocabulary; i++) {
    double share = exp((double)scores[i] - most);
    running += share;
    if (share > 0) chosen = i;
    if (running > limit) break;
  }
  return (int32_t)chosen;
}

static void choose_one_each(search *s) {
  for (size_t row = 0; row < s->rows; row++) {
    float *scores = s->scores + row * s->vocabulary;
    if (s->p->kind == SEARCH_SAMPLING) filter(s, scores);
    int32_t token = s->p->kind == SEARCH_SAMPLING ? draw(s, scores, row) : best(scores, s->vocabulary);
    s->done[row] = s->done[row] || token == s->p->eos;
    s->next[row] = s->done[row] ? (int32_t)s->p->pad : token;
    s->origin[row] = (int32_t)row;
  }
  tensor *filtered = step_out(s->c, 1);
  if (filtered) memcpy(filtered->data, s->scores, filtered->bytes);
}

// ---- beams --------------------------------------------------------------------------------------------------

enum { MOST_BEAMS = 128 };

typedef struct candidate {
  float score;
  size_t at;  // beam * vocabulary + token
} candidate;

// The best candidates of a batch entry, the best first; of equal ones the earlier.
static size_t candidates(const search *s, size_t entry, candidate *top, size_t most) {
  const float *scores = s->scores + entry * s->beams * s->vocabulary;
  size_t count = 0;
  for (size_t i = 0; i < s->beams * s->vocabulary; i++) {
    if (count == most && !(scores[i] > top[count - 1].score)) continue;
    size_t k = count < most ? count++ : count - 1;
    for (; k > 0 && scores[i] > top[k - 1].score; k--) top[k] = top[k - 1];
    top[k] = (candidate){scores[i], i};
  }
  return count;
}

static void add_finished(search *s, size_t entry, size_t row, float sum) {
  hypothesis *at = s->finished + entry * s->beams;
  size_t *count = &s->finished_count[entry];
  float score = sum / powf((float)s->length, s->length_penalty);
  if (*count == s->beams && !(score > at[*count - 1].score)) return;
  size_t k = *count < s->beams ? (*count)++ : *count - 1;
  hypothesis made = {score, s->length, at[k].tokens};
  memcpy(made.tokens, sequence(s, row), s->length * sizeof(int32_t));
  for (; k > 0 && score > at[k - 1].score; k--) at[k] = at[k - 1];
  at[k] = made;
}

static bool nothing_better(const search *s, size_t entry, float best_sum) {
  if (s->finished_count[entry] < s->beams) return false;
  if (s->p->early) return true;
  return s->finished[entry * s->beams + s->beams - 1].score >= best_sum / powf((float)s->length, s->length_penalty);
}

static void continue_beams(search *s, size_t entry) {
  candidate top[2 * MOST_BEAMS];
  size_t first = entry * s->beams, taken = 0, count = candidates(s, entry, top, 2 * s->beams);
  for (size_t i = 0; i < count && taken < s->beams; i++) {
    size_t row = first + top[i].at / s->vocabulary;
    int32_t token = (int32_t)(top[i].at % s->vocabulary);
    if (token == s->p->eos) {
      if (i < s->beams) add_finished(s, entry, row, top[i].score);
      continue;
    }
    s->beam_scores[first + taken] = top[i].score;
    s->next[first + taken] = token;
    s->origin[first + taken++] = (int32_t)row;
  }
  s->done[entry] = nothing_better(s, entry, top[0].score);
}

static void choose_beams(search *s) {
  size_t n = s->rows * s->vocabulary;
  for (size_t i = 0; i < n; i++) s->scores[i] += s->beam_scores[i / s->vocabulary];
  tensor *all = step_out(s->c, 2);
  if (all && s->trip <= (size_t)all->dims[0]) widen_write(s->type, all->data, (s->trip - 1) * n, n, s->scores);
  for (size_t entry = 0; entry < s->batch; entry++) {
    if (!s->done[entry]) {
      continue_beams(s, entry);
      continue;
    }
    for (size_t row = entry * s->beams; row < (entry + 1) * s->beams; row++) {
      s->beam_scores[row] = 0;
      s->next[row] = (int32_t)s->p->pad;
      s->origin[row] = (int32_t)row;
    }
  }
}

static sdx_status say_no_speech(search *s) {
  if (s->trip != 1 || s->p->kind != SEARCH_WHISPER || s->c->output_count < 5 || !s->c->out[4]) return SDX_OK;
  if (!is_token(s, s->p->no_speech))
    return step_fail_at(s->c, at_attribute("no_speech_token_id"), SDX_OUT_OF_RANGE, "is %lld, but there are %zu tokens",
                        (long long)s->p->no_speech, s->vocabulary);
  SDX_TRY(call_set_shape(s->c, 4, s->type, 1, (int64_t[]){(int64_t)s->batch}));
  for (size_t i = 0; i < s->batch; i++) {
    float share = expf(s->scores[i * s->beams * s->vocabulary + (size_t)s->p->no_speech]);
    widen_write(s->type, step_out(s->c, 4)->data, i, 1, &share);
  }
  return SDX_OK;
}

// ---- all of it ----------------------------------------------------------------------------------------------

sdx_status search_choose(search *s, const tensor *logits) {
  bool beams = s->p->kind >= SEARCH_BEAM;
  SDX_TRY(read_logits(s, logits, beams));
  SDX_TRY(say_no_speech(s));
  adjust(s);
  if (beams) choose_beams(s);
  else choose_one_each(s);
  for (size_t row = 0; row < s->rows; row++) {
    int32_t *to = s->spare + row * s->most;
    memcpy(to, sequence(s, (size_t)s->origin[row]), s->length * sizeof *to);
    to[s->length] = s->next[row];
  }
  int32_t *former = s->tokens;
  s->tokens = s->spare;
  s->spare = former;
  return SDX_OK;
}

bool search_done(const search *s) {
  for (size_t i = 0; i < s->batch; i++)
    if (!s->done[i]) return false;
  return true;
}

static void fill(int32_t *to, int32_t value, size_t count) {
  for (size_t i = 0; i < count; i++) to[i] = value;
}

sdx_status search_finish(search *s) {
  int64_t dims[] = {(int64_t)s->batch, (int64_t)s->returned, (int64_t)s->most};
  if (s->p->kind < SEARCH_BEAM) {
    SDX_TRY(call_set_shape(s->c, 0, SDX_INT32, 2, (int64_t[]){dims[0], dims[2]}));
    int32_t *y = step_out(s->c, 0)->data;
    fill(y, (int32_t)s->p->pad, s->rows * s->most);
    for (size_t row = 0; row < s->rows; row++) memcpy(y + row * s->most, sequence(s, row), s->length * sizeof *y);
    return SDX_OK;
  }
  SDX_TRY(call_set_shape(s->c, 0, SDX_INT32, 3, dims));
  SDX_TRY(call_set_shape(s->c, 1, s->type, 2, dims));
  int32_t *y = step_out(s->c, 0)->data;
  tensor *scores = step_out(s->c, 1);
  fill(y, (int32_t)s->p->pad, s->batch * s->returned * s->most);
  for (size_t entry = 0; entry < s->batch; entry++) {
    if (!s->done[entry])
      for (size_t row = entry * s->beams; row < (entry + 1) * s->beams; row++)
        add_finished(s, entry, row, s->beam_scores[row]);
    for (size_t i = 0; i < s->returned; i++) {
      const hypothesis *h = &s->finished[entry * s->beams + i];
      memcpy(y + (entry * s->returned + i) * s->most, h->tokens, h->length * sizeof *y);
      if (scores) widen_write(s->type, scores->data, entry * s->returned + i, 1, &h->score);
    }
  }
  return SDX_OK;
}
