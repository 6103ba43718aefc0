// SPDX-License-Identifier: Apache-2.0
// A converted model against its framework (verify.h). Inputs go to the reference as .npz on its standard input, results
// come back the same way; then each output is compared by the tolerance of its type.
#include "cli/verify.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/compare.h"
#include "cli/engine.h"
#include "cli/files.h"
#include "convert/program.h"
#include "support/elements.h"

enum { RANDOM_ROWS = 256, RANDOM_SEED = 1 };

// `predict` is the format's own. What it prints must not mix with the results.
static const char driver[] =
    "import io, json, os, sys\n"
    "signature, outputs = sys.argv[2], json.loads(sys.argv[3])\n"
    "out = os.fdopen(os.dup(1), 'wb')\n"
    "os.dup2(2, 1)\n"
    "try:\n"
    "    import numpy\n"
    "    data = numpy.load(io.BytesIO(sys.stdin.buffer.read()), allow_pickle=False)\n"
    "    found = predict(sys.argv[1], {name: data[name] for name in data.files})\n"
    "    arrays = {name: numpy.asarray(value) for name, value in found.items()}\n"
    "    arrays = {n: a.astype(str) if a.dtype == object else a for n, a in arrays.items()}\n"
    "except ModuleNotFoundError as e:\n"
    "    sys.exit(f'error: the Python {sys.executable} has no module {e.name!r}')\n"
    "except Exception as e:\n"
    "    sys.exit(f'error: {type(e).__name__}: {e}')\n"
    "known = ('xgboost', 'lightgbm', 'libsvm', 'catboost', 'sklearn', 'keras', 'tensorflow', 'numpy')\n"
    "versions = {n: getattr(sys.modules[n], '__version__', '') for n in known if n in sys.modules}\n"
    "file = io.BytesIO()\n"
    "numpy.savez(file, **arrays, **{' versions': numpy.array([json.dumps(versions)])})\n"
    "out.write(file.getvalue())\n"
    "out.close()\n";

bool verify_asked(const args *a) { return args_text(a, "verify", NULL) != NULL; }

// ---- the framework -------------------------------------------------------------------------------

// The part of what Python said that tells why.
static const char *reason(char *said) {
  char *line = said ? strstr(said, "error: ") : NULL;
  if (!line) return "it ended without a word";
  line[strcspn(line, "\n")] = 0;
  return line + 7;
}

static sdx_status ask_framework(const args *a, const sdx_session *session, const char *reference, const char *source,
                                const char *inputs, size_t size, named_values *results, fault *f) {
  char *program_text = xformat("%s%s", reference, driver);
  json_t *outputs = json_array();
  for (size_t i = 0; i < sdx_session_output_count(session); i++)
    json_array_append_new(outputs, json_string(sdx_session_output(session, i)->name));
  char *names = json_dumps(outputs, JSON_COMPACT);
  const char *const words[] = {source, args_text(a, "signature", ""), names ? names : "[]", NULL};
  process_output o = {0};
  why w;
  if (!program_run(args_text(a, "python", NULL), program_text, words, inputs, size, &o, f)) {
    if (o.code) {
      fault_set(f, SDX_NOT_SUPPORTED, "the framework gives no results to compare with: %.600s", reason(o.err));
      fault_hint(f, "--python names the Python that has the framework");
    } else if (!npz_read(o.out, o.out_size, results, &w)) {
      fault_set(f, SDX_NOT_SUPPORTED, "the framework's results cannot be read: %.600s", w.text);
    }
  }
  process_output_free(&o);
  free(names);
  json_decref(outputs);
  free(program_text);
  return f->status;
}

// ---- ours ----------------------------------------------------------------------------------------

static bool fill_inputs(const args *a, const sdx_session *session, sdx_value **inputs) {
  const char *word;
  size_t cursor = 0;
  int code;
  while ((word = args_each(a, "verify", &cursor)) != NULL)
    if (strcmp(word, "random") && !engine_inputs(a, session, &word, 1, inputs, &code)) return false;
  return engine_random_inputs(session, inputs, RANDOM_ROWS, RANDOM_SEED);
}

static bool save_inputs(const sdx_session *session, sdx_value *const *inputs, const char *model, char **bytes,
                        size_t *size, fault *f) {
  named_values list = {0};
  why w = {""};
  char *path = xformat("%s.inputs.npz", model);
  for (size_t i = 0; i < sdx_session_input_count(session); i++)
    if (inputs[i]) named_add(&list, sdx_session_input(session, i)->name, sdx_value_retain(inputs[i]));
  bool good = npz_write(path, &list, &w) && (*bytes = file_read(path, size, &w)) != NULL;
  if (!good) fault_set(f, SDX_IO_ERROR, "cannot hand the inputs to the framework: %.600s", w.text);
  unlink(path);
  free(path);
  named_clear(&list);
  return good;
}

static double largest_difference(const sdx_value *got, const sdx_value *want) {
  double largest = 0;
  if (!dtype_is_number(sdx_tensor_dtype(got)) || !dtype_is_number(sdx_tensor_dtype(want))) return 0;
  for (size_t i = 0; i < sdx_tensor_count(got); i++) {
    double off = (double)fabsl(element_number(got, i) - element_number(want, i));
    if (off > largest) largest = off;
  }
  return largest;
}

static sdx_status compare_outputs(const sdx_session *session, const sdx_run *run, const named_values *wanted,
                                  json_t *outputs, fault *f) {
  const compare_rules rules = {.rtol = NAN, .atol = NAN, .lenient = true};
  for (size_t i = 0; i < sdx_session_output_count(session); i++) {
    const char *name = sdx_session_output(session, i)->name;
    const sdx_value *want = named_find(wanted, name), *got = sdx_run_output(run, i);
    if (!want) continue;
    comparison c = {0};
    if (!value_compare(got, want, &rules, &c)) {
      fault_set(f, SDX_CONFLICT, "output '%.100s' is not what the framework computes: %s", name, c.text);
      return fault_hint(f, "without --verify the model is written all the same");
    }
    json_object_set_new(outputs, name,
                        json_pack("{s:f,s:f}", "largest_difference", largest_difference(got, want), "of_tolerance",
                                  isfinite(c.worst) ? c.worst : 0.0));
  }
  if (json_object_size(outputs)) return SDX_OK;
  return fault_set(f, SDX_NOT_SUPPORTED, "the framework's results have none of the names of the model's outputs");
}

static sdx_status execute(const sdx_session *session, sdx_run *run, sdx_value *const *inputs, fault *f) {
  for (size_t i = 0; i < sdx_session_input_count(session); i++) sdx_run_set_input(run, i, inputs[i]);
  sdx_status status = sdx_run_execute(run);
  return status ? fault_set(f, status, "the converted model does not run: %.600s", sdx_run_error(run)) : SDX_OK;
}

// ---- both ----------------------------------------------------------------------------------------

static int64_t rows_of(const sdx_value *first) {
  return first && sdx_tensor_rank(first) ? sdx_tensor_shape(first)[0] : 1;
}

static json_t *versions_of(const named_values *results) {
  const sdx_value *text = named_find(results, " versions");
  str said = {0};
  size_t size = 0;
  said.at = text && sdx_tensor_count(text) ? sdx_tensor_string(text, 0, &size) : NULL;
  json_t *versions = said.at ? json_loadb(said.at, size, 0, NULL) : NULL;
  return versions ? versions : json_object();
}

static sdx_status hold_against(verification *v, sdx_session *session, sdx_run *run, sdx_value **inputs,
                               const char *model, const char *source, const char *reference, char **proof, fault *f) {
  char *bytes = NULL;
  size_t size = 0;
  named_values results = {0};
  json_t *outputs = json_object();
  const char *data = args_text(v->a, "verify", "");
  if (!fill_inputs(v->a, session, inputs)) fault_set(f, SDX_INVALID_ARGUMENT, "there are no inputs to compare with");
  else if (save_inputs(session, inputs, model, &bytes, &size, f) &&
           !ask_framework(v->a, session, reference, source, bytes, size, &results, f) &&
           !execute(session, run, inputs, f) && !compare_outputs(session, run, &results, outputs, f)) {
    long long rows = (long long)rows_of(inputs[0]);
    json_t *said = json_pack("{s:s,s:I,s:o,s:O}", "data", data, "rows", (json_int_t)rows, "versions",
                             versions_of(&results), "outputs", outputs);
    *proof = json_dumps(said, JSON_COMPACT | JSON_SORT_KEYS);
    json_decref(said);
    if (!*proof) fault_no_memory(f);
    size_t compared = json_object_size(outputs), all = sdx_session_output_count(session);
    char of_all[40] = "";
    if (compared < all) snprintf(of_all, sizeof of_all, " (of %zu)", all);
    snprintf(v->text, sizeof v->text, "%lld row%s of %zu output%s%s are what the framework computes", rows,
             rows == 1 ? "" : "s", compared, compared == 1 ? "" : "s", of_all);
  }
  json_decref(outputs);
  named_clear(&results);
  free(bytes);
  return f->status;
}

sdx_status verify_model(verification *v, const char *model, const char *source, const convert_report *r, char **proof,
                        fault *f) {
  const char *reference = convert_format_reference(r->format);
  if (!reference)
    return fault_set(f, SDX_NOT_SUPPORTED, "--verify: there is no reference for %s", convert_format_title(r->format));
  sdx_session *session;
  sdx_run *run = NULL;
  if (sdx_session_load_file(model, NULL, &session) || sdx_run_create(session, &run)) {
    fault_set(f, SDX_INVALID_MODEL, "the converted model does not load: %.600s", sdx_session_error(session));
  } else {
    size_t count = sdx_session_feed_count(session);
    sdx_value **inputs = xmalloc((count + 1) * sizeof *inputs);
    memset(inputs, 0, (count + 1) * sizeof *inputs);
    hold_against(v, session, run, inputs, model, source, reference, proof, f);
    for (size_t i = 0; i < count; i++) sdx_value_release(inputs[i]);
    free(inputs);
  }
  sdx_run_destroy(run);
  sdx_session_destroy(session);
  return f->status;
}
