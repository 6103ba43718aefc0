// SPDX-License-Identifier: Apache-2.0
// `sardonyx run`: inputs from files, one or more executions, outputs as a table, JSON or files.
#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/host.h"
#include "cli/engine.h"
#include "cli/files.h"
#include "cli/labels.h"
#include "cli/table.h"
#include "support/elements.h"

static const cli_option options[] = {
    OPTION("random", ARG_MAYBE, "SEED", "fill inputs that are not given with random numbers"),
    OPTION("output", ARG_TEXT, "PATH",
           "save outputs: a folder (.npy each), or a .npz, .json, .csv, .npy or .pb file; - is "
           "standard output: .npy, of several outputs .npz, with --json a line of JSON",
           .letter = 'o'),
    OPTION("outputs", ARG_TEXT, "A,B", "only these outputs (and only the work they need)"),
    OPTION("repeat", ARG_INT, "N", "execute N times and report the times", .min = 1, .max = 1e9),
    OPTION("timeout-ms", ARG_INT, "N", "give up after N milliseconds"),
    OPTION("top", ARG_INT, "N", "how many of the highest scores to list (default 5)", .max = 1000),
    OPTION("labels", ARG_TEXT, "FILE", "names of the classes: lines or JSON (default: the model's metadata)"),
    OPTION("profile", ARG_TEXT, "FILE", "write a Chrome trace (chrome://tracing, ui.perfetto.dev)"),
    OPTION_FLAG("json", "print the outputs as JSON"),
    ENGINE_OPTIONS,
    IMAGE_OPTIONS,
    {0},
};

static bool want_outputs(const args *a, const sdx_session *session, sdx_run *run) {
  const char *list = args_text(a, "outputs", NULL);
  if (!list || !*list) return true;
  size_t count = sdx_session_output_count(session);
  for (size_t i = 0; i < count; i++) sdx_run_want_output(run, i, false);
  char name[512];
  for (size_t i = 0; args_list_item(list, i, name, sizeof name); i++) {
    int64_t index = sdx_session_find_output(session, name);
    if (index < 0) {
      str_nearest nearest;
      str_nearest_init(&nearest, str_from(name));
      for (size_t o = 0; o < count; o++) str_nearest_offer(&nearest, str_from(sdx_session_output(session, o)->name));
      cli_error(CLI_USAGE, "the model has no output '%s'", name);
      if (nearest.best.at) cli_hint("did you mean '%s'?", nearest.best.at);
      else cli_hint("'sardonyx inspect' lists the outputs");
      return false;
    }
    sdx_run_want_output(run, (size_t)index, true);
  }
  return true;
}

static bool is_missing(const sdx_session *session, sdx_value *const *inputs, size_t i) {
  return !inputs[i] && !sdx_session_input(session, i)->may_be_left_out;
}

static bool all_inputs_given(const sdx_session *session, sdx_value *const *inputs) {
  size_t missing = 0;
  char wanted[256];
  for (size_t i = 0; i < sdx_session_input_count(session); i++) missing += is_missing(session, inputs, i);
  if (!missing) return true;
  cli_error(CLI_USAGE, "%zu input%s without a value:", missing, missing > 1 ? "s" : "");
  for (size_t i = 0; i < sdx_session_input_count(session); i++)
    if (is_missing(session, inputs, i))
      fprintf(stderr, "    %s  %s\n", sdx_session_input(session, i)->name,
              io_describe(sdx_session_input(session, i), wanted, sizeof wanted));
  cli_hint("give NAME=FILE, or --random to fill them");
  return false;
}

// Rows of numbers that look like scores: [n] or [1,n] of some length.
static bool looks_like_scores(const sdx_value *v) {
  if (!v || sdx_value_kind(v) != SDX_KIND_TENSOR || !dtype_is_real(sdx_tensor_dtype(v))) return false;
  size_t rank = sdx_tensor_rank(v), count = sdx_tensor_count(v), widest = 1;
  for (size_t d = 0; d < rank; d++)
    if ((size_t)sdx_tensor_shape(v)[d] > widest) widest = (size_t)sdx_tensor_shape(v)[d];
  return count >= 3 && count <= 100000 && widest == count;
}

static long double score(const sdx_value *v, size_t i) {
  long double x = element_number(v, i);
  return isnan(x) ? -INFINITY : x;
}

// Indices of the highest scores, best first; free() them.
static size_t *find_top(const sdx_value *v, size_t shown) {
  size_t count = sdx_tensor_count(v);
  bool *taken = xmalloc(count * sizeof *taken);
  size_t *top = xmalloc(shown * sizeof *top + 1);
  for (size_t k = 0; k < shown; k++) {
    size_t best = count;
    for (size_t i = 0; i < count; i++)
      if (!taken[i] && (best == count || score(v, i) > score(v, best))) best = i;
    taken[best] = true;
    top[k] = best;
  }
  free(taken);
  return top;
}

static size_t top_count(const args *a, const sdx_value *v) {
  size_t limit = (size_t)args_int(a, "top", 5), count = looks_like_scores(v) ? sdx_tensor_count(v) : 0;
  return count < limit ? count : limit;
}

static void print_top(const char *name, const sdx_value *v, size_t shown, const class_labels *l) {
  size_t *top = find_top(v, shown);
  printf("\nHighest of %s:\n", name);
  table *t = table_create(l->count ? "index>|score>|label<" : "index>|score>");
  for (size_t k = 0; k < shown; k++) {
    char text[64];
    table_cell(t, "%zu", top[k]);
    table_cell(t, "%s", element_text(v, top[k], text, sizeof text));
    if (l->count) table_cell(t, "%s", labels_get(l, top[k]) ? labels_get(l, top[k]) : "");
  }
  table_print(t);
  table_destroy(t);
  free(top);
}

static json_t *top_json(const sdx_value *v, size_t shown, const class_labels *l) {
  size_t *top = find_top(v, shown);
  json_t *list = json_array();
  for (size_t k = 0; k < shown; k++)
    json_array_append_new(list, json_pack("{s:I,s:f,s:s?}", "index", (json_int_t)top[k], "score",
                                          (double)score(v, top[k]), "label", labels_get(l, top[k])));
  free(top);
  return list;
}

static void print_outputs(const args *a, const sdx_session *session, const sdx_run *run, const class_labels *l) {
  table *t = table_create("output<|type<|shape<|values<");
  for (size_t i = 0; i < sdx_session_output_count(session); i++) {
    const sdx_value *v = sdx_run_output(run, i);
    char shape[256], values[1024];
    if (!v) continue;
    bool tensor = sdx_value_kind(v) == SDX_KIND_TENSOR;
    table_cell(t, "%s", sdx_session_output(session, i)->name);
    table_cell(t, "%s", tensor ? sdx_dtype_name(sdx_tensor_dtype(v)) : sdx_session_output(session, i)->type);
    if (tensor) shape_text(sdx_tensor_rank(v), sdx_tensor_shape(v), shape, sizeof shape);
    else value_describe(v, shape, sizeof shape);
    table_cell(t, "%s", shape);
    table_cell(t, "%s", value_preview(v, 8, values, sizeof values));
  }
  table_print(t);
  table_destroy(t);
  for (size_t i = 0; i < sdx_session_output_count(session); i++) {
    size_t shown = top_count(a, sdx_run_output(run, i));
    if (shown) print_top(sdx_session_output(session, i)->name, sdx_run_output(run, i), shown, l);
  }
}

// ---- saving ----------------------------------------------------------------------------------

// Output names are free text ("gpu_0/softmax:0"): only harmless characters reach the file system.
static char *file_of(const char *folder, const char *name, const char *suffix) {
  char *path = xformat("%s/%s%s", folder, *name ? name : "output", suffix);
  for (char *c = path + strlen(folder) + 1; *c; c++)
    if (*c == '/' || *c == '\\' || (unsigned char)*c < 32) *c = '_';
  if (path[strlen(folder) + 1] == '.') path[strlen(folder) + 1] = '_';
  return path;
}

static bool save_json(const char *path, json_t *json, why *w) {
  char *text = json_dumps(json, JSON_ENCODE_ANY | JSON_PRESERVE_ORDER);
  bool ok = text ? file_write(path, false, text, strlen(text), w) : (bool)why_set(w, "not enough memory for %s", path);
  free(text);
  json_decref(json);
  return ok;
}

static bool save_one(const char *path, const char *name, const sdx_value *v, why *w) {
  size_t size = 0;
  bool ok = false;
  if (path_has_suffix(path, ".pb")) {
    char *bytes = sdx_value_to_pb(v, name, &size);
    ok = bytes ? file_write(path, true, bytes, size, w) : (bool)why_set(w, "output '%s' is no tensor; use .json", name);
    sdx_string_free(bytes);
  } else if (path_has_suffix(path, ".json")) {
    ok = save_json(path, json_of_value(v), w);
  } else {
    char *bytes = npy_write(v, &size, w);
    ok = bytes && file_write(path, true, bytes, size, w);
    free(bytes);
  }
  return ok;
}

// Into a folder, a file for each; names that differ only in what file_of replaces must not share one.
static bool save_each(const char *folder, const named_values *list, why *w) {
  char **files = xmalloc(list->count * sizeof *files);
  bool ok = true;
  for (size_t i = 0; i < list->count && ok; i++) {
    bool tensor = sdx_value_kind(list->at[i].value) == SDX_KIND_TENSOR;
    files[i] = file_of(folder, list->at[i].name, tensor ? ".npy" : ".json");
    for (size_t k = 0; k < i && ok; k++)
      if (!strcmp(files[k], files[i]))
        ok = (bool)why_set(w, "outputs '%.100s' and '%.100s' would both be %.200s; save to a .npz", list->at[k].name,
                           list->at[i].name, files[i]);
    ok = ok && save_one(files[i], list->at[i].name, list->at[i].value, w);
  }
  for (size_t i = 0; i < list->count; i++) free(files[i]);
  free(files);
  return ok;
}

static bool save(const char *path, const sdx_session *session, const sdx_run *run, why *w) {
  named_values list = {0};
  for (size_t i = 0; i < sdx_session_output_count(session); i++)
    if (sdx_run_output(run, i))
      named_add(&list, sdx_session_output(session, i)->name, sdx_value_retain(sdx_run_output(run, i)));
  bool ok = true, ends_in_kind = path_has_suffix(path, ".pb") || path_has_suffix(path, ".npy");
  bool stream = !ends_in_kind && output_is_stream(path);
  if (path_has_suffix(path, ".npz")) {
    ok = npz_write(path, &list, w);
  } else if (path_has_suffix(path, ".csv")) {
    ok = csv_write(path, &list, w);
  } else if (path_has_suffix(path, ".json")) {
    json_t *all = json_object();
    for (size_t i = 0; i < list.count; i++) json_object_set_new(all, list.at[i].name, json_of_value(list.at[i].value));
    ok = save_json(path, all, w);
  } else if (stream && list.count != 1) {
    ok = npz_write(path, &list, w);
  } else if (stream || ends_in_kind) {
    if (list.count != 1)
      ok = (bool)why_set(w, "%s holds one output, the model gives %zu: use --outputs, a folder or .npz", path,
                         list.count);
    else ok = save_one(path, list.at[0].name, list.at[0].value, w);
  } else {
    struct stat info;
    const char *slash = strrchr(path, '/'), *ending = strchr(slash ? slash + 1 : path, '.');
    bool exists = !stat(path, &info) && S_ISDIR(info.st_mode);
    if (!exists && ending && strspn(ending, "./") < strlen(ending))
      ok = (bool)why_set(w, "%s: unknown kind of file; expected .npz .json .csv .npy .pb, or a folder (end it with /)",
                         path);
    else if (!exists && mkdir(path, 0777))
      ok = (bool)why_set(w, "cannot make the folder %s: %s", path, strerror(errno));
    ok = ok && save_each(path, &list, w);
  }
  named_clear(&list);
  return ok;
}

static void print_json(const args *a, const sdx_session *session, const sdx_run *run, const class_labels *l,
                       double ms) {
  json_t *outputs = json_object();
  size_t digits = 9;  // tell float32 values apart; float64 needs more
  for (size_t i = 0; i < sdx_session_output_count(session); i++) {
    const sdx_value *v = sdx_run_output(run, i);
    if (!v) continue;
    json_t *one = json_pack("{s:s}", "type", sdx_session_output(session, i)->type);
    if (strstr(sdx_session_output(session, i)->type, "double") || strstr(sdx_session_output(session, i)->type, "128"))
      digits = 17;
    if (sdx_value_kind(v) == SDX_KIND_TENSOR) {
      json_t *shape = json_array();
      for (size_t d = 0; d < sdx_tensor_rank(v); d++)
        json_array_append_new(shape, json_integer(sdx_tensor_shape(v)[d]));
      json_object_set_new(one, "shape", shape);
    }
    json_object_set_new(one, "data", json_of_value(v));
    if (l->count && top_count(a, v)) json_object_set_new(one, "top", top_json(v, top_count(a, v), l));
    json_object_set_new(outputs, sdx_session_output(session, i)->name, one);
  }
  json_t *all =
      json_pack("{s:o, s:f, s:I}", "outputs", outputs, "ms", ms, "peak_bytes", (json_int_t)sdx_run_peak_bytes(run));
  json_dumpf(all, stdout, JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(digits));
  putchar('\n');
  json_decref(all);
}

// ---- the command -----------------------------------------------------------------------------

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static bool goes_to_stdout(const args *a, const char *option) { return is_standard_stream(args_text(a, option, "")); }

static int execute(const args *a, sdx_session *session, sdx_run *run) {
  size_t repeat = (size_t)args_int(a, "repeat", 1);
  double *ms = xmalloc(repeat * sizeof *ms);
  sdx_run_set_timeout_ms(run, (uint64_t)args_int(a, "timeout-ms", 0));
  for (size_t i = 0; i < repeat; i++) {
    uint64_t start = clock_ns();
    if (sdx_run_execute(run)) {
      free(ms);
      return engine_run_failed(a, run);
    }
    ms[i] = (double)(clock_ns() - start) / 1e6;
  }
  if (*sdx_run_warning(run)) cli_note("%s", sdx_run_warning(run));
  double first = ms[0];
  qsort(ms, repeat, sizeof *ms, by_size);
  double least = ms[0], median = ms[repeat / 2];
  free(ms);
  why w = {""};
  const char *path = args_text(a, "output", NULL);
  bool standard = path && is_standard_stream(path), json = args_has(a, "json");
  if (path && !(standard && json) && !save(path, session, run, &w)) {
    cli_error(CLI_FAILED, "%s", w.text);
    if (standard) cli_hint("--json prints any output as text");
    return CLI_FAILED;
  }
  if (!json && (standard || goes_to_stdout(a, "profile"))) return CLI_OK;
  class_labels l = {0};
  const char *names = args_text(a, "labels", NULL);
  if (names && !labels_load(&l, names, &w)) return cli_error(CLI_FAILED, "%s", w.text);
  if (!names) labels_of_session(&l, session);
  if (json) {
    print_json(a, session, run, &l, median);
  } else {
    char bytes[32];
    print_outputs(a, session, run, &l);
    printf("\n%s", ink_on(stdout, INK_DIM));
    if (repeat > 1) printf("%zu runs: first %.3f ms, median %.3f ms, least %.3f ms", repeat, first, median, least);
    else printf("%.3f ms (first run, plan included)", first);
    printf(", peak memory of a run %s%s\n", bytes_describe((double)sdx_run_peak_bytes(run), bytes), ink_off(stdout));
    if (path) printf("saved to %s\n", path);
  }
  labels_free(&l);
  return CLI_OK;
}

static int run_model(const args *a, sdx_session *session) {
  size_t count = sdx_session_feed_count(session);
  sdx_value **inputs = xmalloc(count * sizeof *inputs + 1);
  sdx_run *run = NULL;
  int code = CLI_FAILED;
  if (!engine_inputs(a, session, a->words + 1, a->word_count - 1, inputs, &code)) goto done;
  code = CLI_USAGE;
  if (!all_inputs_given(session, inputs)) goto done;
  code = CLI_FAILED;
  if (sdx_run_create(session, &run)) {
    cli_error(CLI_FAILED, "out of memory");
    goto done;
  }
  for (size_t i = 0; i < count; i++)
    if (sdx_run_set_input(run, i, inputs[i])) {
      engine_run_failed(a, run);
      goto done;
    }
  code = want_outputs(a, session, run) ? execute(a, session, run) : CLI_USAGE;
  const char *trace = args_text(a, "profile", NULL);
  if (!code && trace) {
    why w;
    char *json = sdx_session_profile_json(session);
    if (!json || !file_write(trace, false, json, strlen(json), &w))
      code = cli_error(CLI_FAILED, "%s", json ? w.text : "no profile was recorded");
    sdx_string_free(json);
  }
done:
  sdx_run_destroy(run);
  for (size_t i = 0; i < count; i++) sdx_value_release(inputs[i]);
  free(inputs);
  return code;
}

static int run(const args *a) {
  int code;
  why w;
  bool output = goes_to_stdout(a, "output"), json = args_has(a, "json");
  if (goes_to_stdout(a, "profile") && (output || json))
    return cli_error(CLI_USAGE, "--profile -: standard output takes the outputs already");
  if (output && !json && !output_possible("-", true, &w)) {
    cli_error(CLI_FAILED, "%s", w.text);
    cli_hint("--json prints the outputs as text");
    return CLI_FAILED;
  }
  sdx_session *session = engine_load(a, a->words[0], &code);
  if (!session) return code;
  code = run_model(a, session);
  sdx_session_destroy(session);
  return code;
}

CLI_COMMAND(run) = {
    "run",
    "Run a model on inputs from files and show or save its outputs",
    "MODEL [FILE | NAME=FILE | NAME=VALUE ...] [options]",
    "Inputs: .npy .npz .pb .raw .bin .json .csv files and pictures; without a name they go to the\n"
    "inputs in order. A row of a .csv file is an item of the batch; its columns are named after\n"
    "inputs (x, or x[0], x[1]), or are the features of the only one; what is missing is NaN. A\n"
    ".json file holds a list, an object of lists by name, or a body as /score and\n"
    "/v2/models/NAME/infer of the server take it. '-' is standard input, for the model or for one\n"
    "input. A value is JSON: sr=16000, x=[[1,2,3]]. Numbers are converted and dimensions of 1 added\n"
    "where that makes them fit. bfloat16, float8 and 4-bit outputs are saved widened.\n\n"
    "Examples:\n"
    "  sardonyx run mnist.onnx digit.png --image-scale 1\n"
    "  sardonyx run resnet.onnx cat.jpg --fit crop --labels imagenet.txt --top 3\n"
    "  sardonyx run model.onnx --random --repeat 100 --threads 2\n"
    "  sardonyx run model.onnx input=x.npy state=state.npy --output results.npz\n"
    "  sardonyx run model.onnx patients.csv -o scores.csv\n"
    "  sardonyx run model.onnx request.json --json --outputs probabilities\n"
    "  curl -s http://host/cat.jpg | sardonyx run model.onnx - -o - > y.npy\n",
    options,
    1,
    SIZE_MAX,
    run,
};
