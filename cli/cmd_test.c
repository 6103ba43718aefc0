// SPDX-License-Identifier: Apache-2.0
// `sardonyx test`: runs models on the reference data that lies beside them (test_sets.h) and compares
// (compare.h). Models are independent, so `--jobs` takes them from one shared counter.
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/host.h"
#include "cli/compare.h"
#include "cli/engine.h"
#include "cli/files.h"
#include "cli/foreign.h"
#include "cli/known.h"
#include "cli/table.h"
#include "cli/test_sets.h"
#include "support/elements.h"

static const cli_option options[] = {
    OPTION("rtol", ARG_NUMBER, "X", "relative tolerance (default by type: float 1e-3, half 2e-2, double 1e-7)"),
    OPTION("atol", ARG_NUMBER, "X", "absolute tolerance (default by type, scaled with the output: float 1e-5)"),
    OPTION("known", ARG_TEXT, "FILE", "models or sets whose stored numbers are wrong: lines 'PATH[:SET] evidence'"),
    OPTION("jobs", ARG_INT, "N", "models at the same time (default 1)", .min = 1, .max = 256, .letter = 'j'),
    OPTION("verbose", ARG_FLAG, NULL, "also say why sets are skipped, and a table by model", .letter = 'v'),
    OPTION("timeout-ms", ARG_INT, "N", "give up on a run after N milliseconds"),
    OPTION_FLAG("json", "machine-readable"),
    ENGINE_OPTIONS,
    {0},
};

typedef enum outcome { PASSED, FAILED, SKIPPED } outcome;

typedef struct unit_result {
  size_t counts[3];
  double worst, ms;
} unit_result;

typedef struct tester {
  const args *a;
  const test_plan *plan;
  unit_result *results;
  known_list known;
  atomic_size_t next;
  pthread_mutex_t lock;  // printing and `json`
  bool verbose, progress;
  json_t *json;  // NULL without --json
} tester;

// ---- known wrong expectations -----------------------------------------------------------------

// The list kept with the sources, for a build that is still beside them.
static const char *known_file(const args *a) {
  const char *path = args_text(a, "known", NULL);
  return path || access(SDX_KNOWN_SETS, R_OK) ? path : SDX_KNOWN_SETS;
}

// ---- reporting --------------------------------------------------------------------------------

static const char *base_name(const char *path) {
  const char *slash = strrchr(path, '/');
  return slash ? slash + 1 : path;
}

static void report(tester *t, unit_result *r, const char *model, const char *set, outcome o, const char *text) {
  static const char *const words[] = {"passed", "failed", "skipped"};
  static const ink colours[] = {INK_GREEN, INK_RED, INK_YELLOW};
  char *label = xformat("%s:%s", model, base_name(set));
  const char *reason = known_list_find(&t->known, model, base_name(set));
  bool show = o == FAILED || t->verbose || reason;
  char *joined = NULL;
  if (o == FAILED && reason) {
    o = SKIPPED;
    text = joined = xformat("known: %s (%s)", reason, text);
  } else if (o == PASSED && reason) {
    text = joined = xformat("listed as known to fail (%s), but passes", reason);
  }
  r->counts[o]++;
  pthread_mutex_lock(&t->lock);
  if (t->json) {
    json_array_append_new(
        t->json, json_pack("{s:s,s:s,s:s,s:s}", "model", model, "set", set, "outcome", words[o], "text", text));
  } else if (show) {
    if (t->progress) fputs("\r\033[K", stderr);
    printf("%s%s%s %s%s%s\n", ink_on(stdout, colours[o]), words[o], ink_off(stdout), label, *text ? ": " : "", text);
    fflush(stdout);
  }
  pthread_mutex_unlock(&t->lock);
  free(joined);
  free(label);
}

// ---- one set ----------------------------------------------------------------------------------

typedef struct loaded_set {  // everything read of a set, by position in the model
  sdx_value **inputs;        // [input count]
  sdx_value **outputs;       // [output count]; NULL where nothing is stored
  bool lenient;              // something was converted: data of a twin, or .npz
  bool other;                // the set is for a model with other inputs or outputs
} loaded_set;

static size_t free_slot(sdx_value *const *values, size_t count, size_t from) {
  while (from < count && values[from]) from++;
  return from;
}

typedef const sdx_io *io_at(const sdx_session *session, size_t index);
typedef int64_t io_find(const sdx_session *session, const char *name);

// Old writers knew no bfloat16 and stored its bits as uint16.
static sdx_value *as_stored(sdx_value *v, sdx_dtype dtype) {
  if (!v || dtype != SDX_BFLOAT16 || sdx_value_kind(v) != SDX_KIND_TENSOR || sdx_tensor_dtype(v) != SDX_UINT16)
    return v;
  sdx_value *bits = tensor_view_bits(v, dtype);
  sdx_value_release(v);
  return bits;
}

// Reads .pb files into `values`: by the name inside where the model knows it, else by position.
static bool read_pb_files(const sdx_session *s, char **paths, size_t count, sdx_value **values, size_t slots, io_at *at,
                          io_find *find, bool *other, why *w) {
  for (size_t i = 0; i < count; i++) {
    size_t size;
    char name[512];
    char *bytes = file_read(paths[i], &size, w);
    if (!bytes) return false;
    int64_t slot = find(s, pb_name(bytes, size, name, sizeof name));
    if (slot < 0 || values[slot]) slot = i < slots && !values[i] ? (int64_t)i : (int64_t)free_slot(values, slots, 0);
    why inner = {""};
    bool fits = (size_t)slot < slots;
    if (fits)
      values[slot] = as_stored(pb_read(bytes, size, at(s, (size_t)slot)->type, &inner), at(s, (size_t)slot)->dtype);
    free(bytes);
    *other = !fits;
    if (!fits) return why_set(w, "%s has no place: the model has %zu", base_name(paths[i]), slots);
    if (!values[slot]) return why_set(w, "%s: %.400s", base_name(paths[i]), inner.text);
  }
  return true;
}

static bool read_npz(const sdx_session *s, const char *path, loaded_set *l, why *w) {
  size_t size, outs = sdx_session_output_count(s), matched = 0;
  named_values list = {0};
  char *bytes = file_read(path, &size, w);
  bool ok = bytes && npz_read(bytes, size, &list, w);
  free(bytes);
  for (size_t i = 0; i < list.count; i++) {
    const char *name = list.at[i].name;
    int64_t in = sdx_session_find_input(s, name), out = sdx_session_find_output(s, name);
    // The model zoo's form: one array for all inputs, one for all outputs.
    if (in < 0 && out < 0 && !strcmp(name, "inputs") && sdx_session_input_count(s) == 1) in = 0;
    if (in < 0 && out < 0 && !strcmp(name, "outputs") && outs == 1) out = 0;
    if (in >= 0 && !l->inputs[in]) l->inputs[in] = sdx_value_retain(list.at[i].value);
    else if (out >= 0 && !l->outputs[out]) l->outputs[out] = sdx_value_retain(list.at[i].value);
    matched += out >= 0;
  }
  named_clear(&list);
  l->lenient = true;
  l->other = ok && !matched;
  if (l->other) ok = (bool)why_set(w, "no array is named like an output of the model");
  return ok;
}

// Makes the stored inputs fit the model. Numbers of another type make the set a twin's.
static bool fit_inputs(const sdx_session *s, loaded_set *l, bool must_fit, why *w) {
  for (size_t i = 0; i < sdx_session_feed_count(s); i++) {
    const sdx_io *io = sdx_session_input(s, i);
    sdx_value *v = l->inputs[i];
    char note[200], found[200], wanted[200];
    if (!v && io->may_be_left_out) continue;
    if (!v) return why_set(w, "no data for input '%s'", io->name);
    if (!io->dtype || sdx_value_kind(v) != SDX_KIND_TENSOR) continue;
    why inner = {""};
    if (l->lenient || sdx_tensor_dtype(v) != io->dtype) {
      bool same_type = sdx_tensor_dtype(v) == io->dtype;
      l->inputs[i] = value_fit(v, io, note, &inner);
      if (!l->inputs[i]) return why_set(w, "input '%s': %.400s", io->name, inner.text);
      l->lenient = l->lenient || !same_type;
    } else if (!must_fit && !shape_fits(io, sdx_tensor_rank(v), sdx_tensor_shape(v))) {
      return why_set(w, "input '%s': %s does not fit %s", io->name, value_describe(v, found, sizeof found),
                     io_describe(io, wanted, sizeof wanted));
    }
  }
  return true;
}

static bool compare_outputs(const sdx_session *s, const sdx_run *run, const loaded_set *l, const compare_rules *rules,
                            double *worst, char *text, size_t size) {
  for (size_t i = 0; i < sdx_session_output_count(s); i++) {
    if (!l->outputs[i]) continue;
    comparison c = {0};
    bool ok = value_compare(sdx_run_output(run, i), l->outputs[i], rules, &c);
    if (c.worst > *worst) *worst = c.worst;
    if (!ok) {
      snprintf(text, size, "output '%s': %.400s", sdx_session_output(s, i)->name, c.text);
      return false;
    }
  }
  return true;
}

static void test_one(tester *t, sdx_session *s, const test_unit *u, const test_set *set, compare_rules rules,
                     unit_result *r) {
  size_t ins = sdx_session_feed_count(s), outs = sdx_session_output_count(s);
  loaded_set l = {xmalloc(ins * sizeof *l.inputs + 1), xmalloc(outs * sizeof *l.outputs + 1), false, false};
  sdx_run *run = NULL;
  char text[600] = "";
  outcome o = FAILED;
  why w = {""};
  bool ok = set->kind == SET_NPZ ? read_npz(s, set->path, &l, &w)
                                 : read_pb_files(s, set->inputs, set->input_count, l.inputs, ins, sdx_session_input,
                                                 sdx_session_find_input, &l.other, &w) &&
                                       read_pb_files(s, set->outputs, set->output_count, l.outputs, outs,
                                                     sdx_session_output, sdx_session_find_output, &l.other, &w);
  if (ok) l.other = !(ok = fit_inputs(s, &l, u->alone, &w));
  if (!ok) {
    // A folder with one model has data for that model: not fitting is a failure there.
    bool skip = l.other && !u->alone;
    o = skip ? SKIPPED : FAILED;
    snprintf(text, sizeof text, "%s%.500s", skip ? "not for this model: " : "", w.text);
    goto done;
  }
  rules.lenient = l.lenient;
  for (size_t i = 0; i < ins; i++)
    if (l.lenient && sdx_session_input(s, i)->dtype == SDX_FLOAT16) rules.coarsest = SDX_FLOAT16;
    else if (l.lenient && sdx_session_input(s, i)->dtype == SDX_BFLOAT16) rules.coarsest = SDX_BFLOAT16;
  sdx_status status = sdx_run_create(s, &run);
  for (size_t i = 0; i < ins && !status; i++) status = sdx_run_set_input(run, i, l.inputs[i]);
  uint64_t start = clock_ns();
  if (run) sdx_run_set_timeout_ms(run, (uint64_t)args_int(t->a, "timeout-ms", 0));
  if (!status) status = sdx_run_execute(run);
  r->ms += (double)(clock_ns() - start) / 1e6;
  if (status) {
    snprintf(text, sizeof text, "%s: %.500s", sdx_status_name(status), run ? sdx_run_error(run) : "");
  } else {
    double worst = 0;
    if (compare_outputs(s, run, &l, &rules, &worst, text, sizeof text)) o = PASSED;
    if (worst > r->worst) r->worst = worst;
  }
done:
  report(t, r, u->model, set->path, o, text);
  sdx_run_destroy(run);
  for (size_t i = 0; i < ins; i++) sdx_value_release(l.inputs[i]);
  for (size_t i = 0; i < outs; i++) sdx_value_release(l.outputs[i]);
  free(l.inputs);
  free(l.outputs);
}

// 8-bit results of a model that quantises may be off by one step: rounding of a sum that another
// engine added in another order.
static bool is_quantised(const sdx_session *s) {
  char *graph = sdx_session_describe(s, "summary");
  bool found = graph && (strstr(graph, "QuantizeLinear") || strstr(graph, "QLinear") || strstr(graph, "ConvInteger"));
  sdx_string_free(graph);
  return found;
}

static void test_unit_run(tester *t, const test_unit *u, unit_result *r) {
  if (!u->model) {
    for (size_t i = 0; i < u->set_count; i++)
      report(t, r, u->folder, u->sets[i]->path, SKIPPED, "no model beside the data");
    return;
  }
  int code;
  char *onnx = foreign_to_onnx(u->model, NULL);
  sdx_options *engine = engine_options(t->a, &code);
  sdx_session *s = NULL;
  sdx_status status = onnx ? sdx_session_load_file(onnx, engine, &s) : SDX_NOT_SUPPORTED;
  sdx_options_destroy(engine);
  free(onnx);
  if (status) {
    char text[700];
    snprintf(text, sizeof text, "load: %s: %.600s", sdx_status_name(status), s ? sdx_session_error(s) : "");
    for (size_t i = 0; i < u->set_count; i++) report(t, r, u->model, u->sets[i]->path, FAILED, text);
  } else {
    compare_rules rules = {args_number(t->a, "rtol", NAN), args_number(t->a, "atol", NAN), false, SDX_UNDEFINED,
                           is_quantised(s)};
    for (size_t i = 0; i < u->set_count; i++) test_one(t, s, u, u->sets[i], rules, r);
  }
  sdx_session_destroy(s);
}

static void *work(void *context) {
  tester *t = context;
  for (size_t i; (i = atomic_fetch_add(&t->next, 1)) < t->plan->unit_count;) {
    const test_unit *u = &t->plan->units[i];
    if (t->progress) {
      pthread_mutex_lock(&t->lock);
      fprintf(stderr, "\r\033[K[%zu/%zu] %.60s", i + 1, t->plan->unit_count, base_name(u->folder));
      pthread_mutex_unlock(&t->lock);
    }
    test_unit_run(t, u, &t->results[i]);
  }
  return NULL;
}

static void run_jobs(tester *t) {
  pthread_t threads[256];
  size_t jobs = (size_t)args_int(t->a, "jobs", 1), started = 0;
  while (started + 1 < jobs && !pthread_create(&threads[started], NULL, work, t)) started++;
  work(t);
  while (started) pthread_join(threads[--started], NULL);
  if (t->progress) fputs("\r\033[K", stderr);
}

static void print_table(const tester *t) {
  table *out = table_create("model<|passed>|failed>|skipped>|worst error / tolerance>|ms>");
  for (size_t i = 0; i < t->plan->unit_count; i++) {
    const test_unit *u = &t->plan->units[i];
    const unit_result *r = &t->results[i];
    table_cell(out, "%s", u->model ? u->model : u->folder);
    for (int o = 0; o < 3; o++) table_cell(out, "%zu", r->counts[o]);
    if (r->counts[PASSED] + r->counts[FAILED]) table_cell(out, "%.3g", r->worst);
    else table_cell(out, "%s", "");
    table_cell(out, "%.1f", r->ms);
  }
  if (table_rows(out)) table_print(out);
  table_destroy(out);
}

static size_t sets_of(const test_plan *plan) {
  size_t count = 0;
  for (size_t i = 0; i < plan->unit_count; i++) count += plan->units[i].set_count;
  return count;
}

static int run(const args *a) {
  size_t lacking = 0;
  int code;
  sdx_options *engine = engine_options(a, &code);  // wrong options fail here, once
  if (!engine) return code;
  sdx_options_destroy(engine);
  test_plan plan = {0};
  tester t = {.a = a, .plan = &plan, .verbose = args_has(a, "verbose")};
  pthread_mutex_init(&t.lock, NULL);
  why w;
  bool ok = !known_file(a) || known_list_read(&t.known, known_file(a), &w) || !cli_error(CLI_FAILED, "%s", w.text);
  for (size_t i = 0; i < a->word_count && ok; i++) {
    size_t before = sets_of(&plan);
    ok = test_plan_add(&plan, a->words[i]);
    if (!ok || sets_of(&plan) > before) continue;
    // What was named and holds nothing to test must not look like a success.
    cli_error(CLI_FAILED, "%s: no model with reference data beside it was found", a->words[i]);
    if (!lacking++) cli_hint("'sardonyx help test' says how it is laid out; 'sardonyx check' needs none");
  }
  size_t total[3] = {0};
  if (ok) {
    t.json = args_has(a, "json") ? json_array() : NULL;
    t.progress = !t.json && stream_is_terminal(stderr);
    t.results = xmalloc(plan.unit_count * sizeof *t.results + 1);
    run_jobs(&t);
    for (size_t i = 0; i < plan.unit_count; i++)
      for (int o = 0; o < 3; o++) total[o] += t.results[i].counts[o];
    if (t.json) {
      json_print(json_pack("{s:I,s:I,s:I,s:o}", "passed", (json_int_t)total[PASSED], "failed",
                           (json_int_t)total[FAILED], "skipped", (json_int_t)total[SKIPPED], "sets", t.json));
    } else {
      if (t.verbose) print_table(&t);
      if (t.verbose && plan.models_without_sets)
        cli_note("models without data beside them: %zu", plan.models_without_sets);
      printf("%zu passed, %zu failed, %zu skipped\n", total[PASSED], total[FAILED], total[SKIPPED]);
    }
  }
  known_list_free(&t.known);
  free(t.results);
  test_plan_free(&plan);
  pthread_mutex_destroy(&t.lock);
  return ok && !lacking && !total[FAILED] ? CLI_OK : CLI_FAILED;
}

CLI_COMMAND(test) = {
    "test",
    "Run models on the reference data beside them and compare",
    "PATH... [options]",
    "Walks folders. Data is found as test_data_set_N/{input,output}_N.pb, io.npz (arrays by name) or\n"
    "MODEL_test_data_N.npz (arrays inputs, outputs). All models of a folder use its sets where these\n"
    "fit. One line for each failure, with the worst element; last line 'N passed, N failed, N skipped'.\n"
    "Sets that are known to be wrong are listed with the evidence (tests/models/known.txt or --known)\n"
    "and count as skipped. A PATH without data is a failure.\n\n"
    "Tolerance: |got - want| <= atol + rtol * |want|; integers, booleans and strings are exact (8-bit\n"
    "results of quantised models within one step). Data of a twin in another precision is converted.\n\n"
    "Examples:\n"
    "  sardonyx test models/\n"
    "  sardonyx test models/ --jobs 4 --threads 1 --verbose\n"
    "  sardonyx test resnet/model.onnx --rtol 1e-4 --atol 1e-6\n",
    options,
    1,
    SIZE_MAX,
    run,
};
