// SPDX-License-Identifier: Apache-2.0
// Static quantisation with a comparison behind it (quantize_search.h): the float model runs beside the quantised one on
// the same samples; of each layer the signal to noise is kept, of the results how many agree. Where more results change
// than --max-drop allows, first and last layer stay in float, then the layers with the most noise, twice as many each
// time.
#include "cli/quantize_search.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/samples.h"
#include "cli/table.h"

// ---- what stays in float ----------------------------------------------------------------------------------

void keep_list_add(keep_list *k, const char *word) {
  k->words = xrealloc(k->words, (k->count + 1) * sizeof *k->words);
  k->words[k->count++] = xstrdup(word);
}

void keep_list_words(keep_list *k, const char *list) {
  char word[4096];
  for (size_t i = 0; args_list_item(list, i, word, sizeof word); i++)
    if (*word) keep_list_add(k, word);
}

bool keep_list_has(void *context, const char *op, const char *name) {
  const keep_list *k = context;
  for (size_t i = 0; i < k->count; i++)
    if (!strcmp(k->words[i], op) || !strcmp(k->words[i], name)) return true;
  return false;
}

void keep_list_free(keep_list *k) {
  for (size_t i = 0; i < k->count; i++) free(k->words[i]);
  free(k->words);
}

int keep_list_check(const edit *e, const keep_list *k) {
  sdx_graph *g = sdx_builder_graph(e->builder);
  for (size_t i = 0; i < k->count; i++) {
    bool found = false;
    str_nearest nearest;
    str_nearest_init(&nearest, str_from(k->words[i]));
    for (size_t n = 0; n < sdx_graph_node_count(g) && !found; n++) {
      const char *op = sdx_graph_node_op(g, n), *name = sdx_graph_node_name(g, n);
      found = !strcmp(op, k->words[i]) || !strcmp(name, k->words[i]);
      str_nearest_offer(&nearest, str_from(op));
      str_nearest_offer(&nearest, str_from(name));
    }
    if (found) continue;
    cli_error(CLI_FAILED, "--keep %s: the model has no node and no operator of that name", k->words[i]);
    if (nearest.best.at) cli_hint("did you mean '%.*s'?", STR_ARG(nearest.best));
    return CLI_FAILED;
  }
  return CLI_OK;
}

int quantize_prepare(edit *e, int64_t least, const keep_list *kept) {
  if (sdx_builder_rewrite(e->builder, "shrink")) return edit_failed(e);
  if (sdx_builder_opset(e->builder, "") < least && sdx_builder_raise(e->builder, least)) return edit_failed(e);
  if (sdx_builder_infer(e->builder)) return edit_failed(e);
  edit_name_nodes(e);
  return keep_list_check(e, kept);
}

// ---- comparing ----------------------------------------------------------------------------------------

typedef struct layer_noise {
  char *node, *op;
  double signal, noise;
} layer_noise;

typedef struct comparison_run {
  sdx_session *session;
  sdx_run *run;
  char *bytes;
  size_t first;  // of the watched outputs
} comparison_run;

typedef struct search {
  edit *e;
  quantize_options *o;
  keep_list *kept;
  samples data, eval;
  const samples *compared;
  char **values;  // of the model in float whose ranges are known
  range *ranges;  // of each
  size_t value_count;
  layer_noise *layers;
  size_t layer_count;
  size_t rows, agree, right_before, right_after, labelled;
  double signal, noise;  // of results that are no scores
} search;

static void watched_free(comparison_run *c) {
  sdx_run_destroy(c->run);
  sdx_session_destroy(c->session);
  sdx_string_free(c->bytes);
}

static int watch(search *s, comparison_run *c, size_t count, const char **names) {
  fault f = {0};
  *c = (comparison_run){0};
  if (quantize_watch(s->e->builder, count, names, &c->session, &c->bytes, &c->first, &f))
    return cli_error(CLI_FAILED, "%s", f.message);
  return sdx_run_create(c->session, &c->run) ? cli_error(CLI_FAILED, "memory is exhausted") : CLI_OK;
}

static void add_noise(const sdx_value *a, const sdx_value *b, double *signal, double *noise) {
  if (!a || !b || sdx_tensor_dtype(a) != SDX_FLOAT || sdx_tensor_count(a) != sdx_tensor_count(b)) return;
  const float *x = sdx_tensor_data(a), *y = sdx_tensor_data(b);
  for (size_t i = 0; i < sdx_tensor_count(a); i++) {
    if (!isfinite(x[i]) || !isfinite(y[i])) continue;
    *signal += (double)x[i] * (double)x[i];
    *noise += (double)(x[i] - y[i]) * (double)(x[i] - y[i]);
  }
}

static size_t largest(const float *x, size_t count) {
  size_t best = 0;
  for (size_t i = 1; i < count; i++)
    if (x[i] > x[best]) best = i;
  return best;
}

// Results with several numbers in a row are scores: what counts is which is largest.
static void compare_results(search *s, const sdx_value *a, const sdx_value *b, int64_t label) {
  if (!a || !b || sdx_tensor_dtype(a) != SDX_FLOAT || sdx_tensor_count(a) != sdx_tensor_count(b)) return;
  size_t rank = sdx_tensor_rank(a), width = rank ? (size_t)sdx_tensor_shape(a)[rank - 1] : 1;
  const float *x = sdx_tensor_data(a), *y = sdx_tensor_data(b);
  add_noise(a, b, &s->signal, &s->noise);
  for (size_t at = 0; width > 1 && at + width <= sdx_tensor_count(a); at += width) {
    size_t before = largest(x + at, width), after = largest(y + at, width);
    s->rows++;
    s->agree += before == after;
    if (label < 0 || at) continue;
    s->labelled++;
    s->right_before += before == (size_t)label;
    s->right_after += after == (size_t)label;
  }
}

static int compare_one(search *s, size_t k, comparison_run *before, comparison_run *after) {
  comparison_run *both[] = {before, after};
  for (int i = 0; i < 2; i++) {
    if (samples_feed((void *)s->compared, k, both[i]->session, both[i]->run)) return CLI_FAILED;
    if (sdx_run_execute(both[i]->run)) return cli_error(CLI_FAILED, "sample %zu: %s", k, sdx_run_error(both[i]->run));
  }
  compare_results(s, sdx_run_output(before->run, 0), sdx_run_output(after->run, 0), s->compared->at[k].label);
  for (size_t i = 0; i < s->layer_count; i++)
    add_noise(sdx_run_output(before->run, before->first + i), sdx_run_output(after->run, after->first + i),
              &s->layers[i].signal, &s->layers[i].noise);
  return CLI_OK;
}

static void forget_layers(search *s) {
  for (size_t i = 0; i < s->layer_count; i++) {
    free(s->layers[i].node);
    free(s->layers[i].op);
  }
  free(s->layers);
  s->layers = NULL;
  s->layer_count = 0;
}

// Per cent of results that changed for the worse.
static double drop_of(const search *s) {
  if (s->labelled) return 100 * ((double)s->right_before - (double)s->right_after) / (double)s->labelled;
  if (s->rows) return 100 * (double)(s->rows - s->agree) / (double)s->rows;
  return s->signal > 0 ? 100 * sqrt(s->noise / s->signal) : 0;
}

static double decibel(double signal, double noise) {
  return noise > 0 && signal > 0 ? 10 * log10(signal / noise) : signal > 0 ? 200 : 0;
}

// ---- one try --------------------------------------------------------------------------------------------

static const range *range_of(const search *s, const char *name) {
  for (size_t i = 0; i < s->value_count; i++)
    if (!strcmp(s->values[i], name)) return &s->ranges[i];
  return NULL;
}

// A plan that leaves more in float may ask for values that the one before had no range of: a pool behind a product.
static int calibrate(search *s, const quantize_plan *p) {
  fault f = {0};
  size_t known = s->value_count, most = known + quantize_plan_value_count(p);
  s->values = xrealloc(s->values, (most + 1) * sizeof *s->values);
  s->ranges = xrealloc(s->ranges, (most + 1) * sizeof *s->ranges);
  for (size_t i = 0; i < quantize_plan_value_count(p); i++)
    if (!range_of(s, quantize_plan_value(p, i))) s->values[s->value_count++] = xstrdup(quantize_plan_value(p, i));
  if (s->value_count == known) return CLI_OK;
  quantize_samples samples = {s->data.count, samples_feed, &s->data, NULL};
  if (quantize_ranges(s->e->builder, s->value_count - known, (const char *const *)s->values + known, s->o, &samples,
                      s->ranges + known, &f))
    return cli_error(CLI_FAILED, "%s", f.message);
  return CLI_OK;
}

static void note_layers(search *s, const quantize_plan *p, const char **before) {
  forget_layers(s);
  s->layer_count = quantize_plan_layer_count(p);
  s->layers = xmalloc((s->layer_count + 1) * sizeof *s->layers);
  for (size_t i = 0; i < s->layer_count; i++) {
    const quantize_layer *l = quantize_plan_layer(p, i);
    s->layers[i] = (layer_noise){xstrdup(l->node), xstrdup(l->op), 0, 0};
    before[i] = l->output;
  }
  s->rows = s->agree = s->right_before = s->right_after = s->labelled = 0;
  s->signal = s->noise = 0;
}

static int emit(search *s, quantize_plan *p) {
  size_t count = quantize_plan_value_count(p);
  range *ranges = xmalloc((count + 1) * sizeof *ranges);
  for (size_t i = 0; i < count; i++) ranges[i] = *range_of(s, quantize_plan_value(p, i));
  sdx_status status = quantize_static(s->e->builder, p, ranges, s->o);
  free(ranges);
  return status ? edit_failed(s->e) : CLI_OK;
}

// Quantises the builder's model in float and compares the two.
static int attempt(search *s) {
  quantize_plan *p = quantize_plan_make(s->e->builder, s->o);
  if (!p) return cli_error(CLI_FAILED, "memory is exhausted");
  int code = calibrate(s, p);
  size_t count = quantize_plan_layer_count(p);
  const char **names = xmalloc((count + 1) * sizeof *names);
  comparison_run before = {0}, after = {0};
  if (!code) {
    note_layers(s, p, names);
    code = watch(s, &before, count, names);
  }
  if (!code) code = emit(s, p);
  for (size_t i = 0; i < count && !code; i++) names[i] = quantize_plan_layer(p, i)->result;
  if (!code) code = watch(s, &after, count, names);
  for (size_t k = 0; k < s->compared->count && !code; k++) code = compare_one(s, k, &before, &after);
  watched_free(&before);
  watched_free(&after);
  free(names);
  quantize_plan_free(p);
  return code;
}

// ---- the search -----------------------------------------------------------------------------------------

static int by_noise(const void *a, const void *b) {
  const layer_noise *x = a, *y = b;
  double left = decibel(x->signal, x->noise), right = decibel(y->signal, y->noise);
  return left < right ? -1 : left > right;
}

// First and last layer; then the worst ones. False: there is none left.
static bool keep_more(search *s, int turn) {
  if (!s->layer_count) return false;
  if (turn == 0) {
    keep_list_add(s->kept, s->layers[0].node);
    if (s->layer_count > 1) keep_list_add(s->kept, s->layers[s->layer_count - 1].node);
    return true;
  }
  qsort(s->layers, s->layer_count, sizeof *s->layers, by_noise);
  size_t more = (size_t)1 << (turn < 20 ? turn - 1 : 19);
  for (size_t i = 0; i < more && i < s->layer_count; i++) keep_list_add(s->kept, s->layers[i].node);
  return true;
}

static int search_all(search *s) {
  const args *a = s->e->a;
  bool bounded = args_has(a, "max-drop");
  int code = quantize_prepare(s->e, 13, s->kept);
  for (int turn = 0; !code; turn++) {
    code = attempt(s);
    if (code || !bounded || drop_of(s) <= args_number(a, "max-drop", 0) || !keep_more(s, turn)) break;
    cli_note("%.2f %% of results change: more layers stay in float", drop_of(s));
    code = edit_reopen(s->e);
    if (!code) code = quantize_prepare(s->e, 13, s->kept);
  }
  return code;
}

static void tell(search *s) {
  json_t *layers = json_array(), *kept = json_array();
  table *t = args_has(s->e->a, "report") && !args_has(s->e->a, "json") ? table_create("layer<|operator<|dB>") : NULL;
  for (size_t i = 0; i < s->layer_count; i++) {
    const layer_noise *l = &s->layers[i];
    double db = decibel(l->signal, l->noise);
    json_array_append_new(layers, json_pack("{s:s,s:s,s:f}", "node", l->node, "op", l->op, "sqnr", db));
    if (!t) continue;
    table_cell(t, "%s", l->node);
    table_cell(t, "%s", l->op);
    table_cell(t, "%.1f", db);
  }
  if (t) table_print(t);
  table_destroy(t);
  for (size_t i = 0; i < s->kept->count; i++) json_array_append_new(kept, json_string(s->kept->words[i]));
  json_t *d = s->e->details;
  char text[200];
  snprintf(text, sizeof text, "%.2f %% of %zu samples, %.1f dB", 100 - drop_of(s), s->compared->count,
           decibel(s->signal, s->noise));
  if (s->rows) json_object_set_new(d, "agreement", json_real(100 * (double)s->agree / (double)s->rows));
  if (s->labelled) {
    json_object_set_new(d, "right before", json_real(100 * (double)s->right_before / (double)s->labelled));
    json_object_set_new(d, "right after", json_real(100 * (double)s->right_after / (double)s->labelled));
  }
  json_object_set_new(d, "sqnr", json_real(decibel(s->signal, s->noise)));
  json_object_set_new(d, "drop", json_real(drop_of(s)));
  json_object_set_new(d, "results that hold", json_string(text));
  json_object_set_new(d, "layers", layers);
  json_object_set_new(d, "in float", kept);
}

static bool read_samples(samples *s, const args *a, const char *option) {
  const char *path;
  *s = (samples){.a = a};
  for (size_t at = 0; (path = args_each(a, option, &at));)
    if (!samples_add(s, path)) return false;
  size_t most = (size_t)args_int(a, "samples", INT64_MAX);
  samples_limit(s, most);
  return true;
}

int quantize_search(edit *e, quantize_options *o, keep_list *kept) {
  search s = {.e = e, .o = o, .kept = kept};
  int code = read_samples(&s.data, e->a, "data") && read_samples(&s.eval, e->a, "eval") ? CLI_OK : CLI_FAILED;
  s.compared = s.eval.count ? &s.eval : &s.data;
  if (!code) code = search_all(&s);
  if (!code && o->results && quantize_to_operators(e->builder)) code = edit_failed(e);
  if (!code) tell(&s);
  forget_layers(&s);
  for (size_t i = 0; i < s.value_count; i++) free(s.values[i]);
  free(s.values);
  free(s.ranges);
  samples_free(&s.data);
  samples_free(&s.eval);
  return code;
}
