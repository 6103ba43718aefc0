// SPDX-License-Identifier: Apache-2.0
// `sardonyx convert`: models of other frameworks to ONNX. The work is done by convert/; here are the command line and
// what is told about it.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/convert_onnx.h"
#include "cli/edit.h"
#include "cli/engine.h"
#include "cli/files.h"
#include "cli/foreign.h"
#include "cli/table.h"
#include "cli/verify.h"
#include "convert/convert.h"

static const cli_option options[] = {
    OPTION("output", ARG_TEXT, "FILE",
           "the ONNX file to write (default: MODEL with .onnx); - is "
           "standard output",
           .letter = 'o'),
    OPTION("opset", ARG_INT, "N", "version of ONNX's operators (default: the newest)", .min = 7, .max = 100),
    OPTION("format", ARG_TEXT, "NAME", "what MODEL is, where its content does not tell"),
    OPTION("signature", ARG_TEXT, "NAME", "of a TensorFlow SavedModel (default: serving_default, or the only one)"),
    OPTION("outputs", ARG_TEXT, "NAMES", "values of a TensorFlow graph to end in: a,b:1 (default: what nothing reads)"),
    OPTION("shape", ARG_TEXT, "SHAPES",
           "of the inputs of a PyTorch file: Nx3x224x224, or Nx16:int64,Nx16:int64; what is no number stays free"),
    OPTION("class", ARG_TEXT, "MODULE:CLASS", "that PyTorch weights without a model belong to"),
    OPTION("python", ARG_TEXT, "FILE", "your Python, for models that only a program can read (default: python3)"),
    OPTION_FLAG("trust", "let that Python load MODEL though that runs code of the file's (sandboxed: it only reads)"),
    OPTION(
        "verify", ARG_TEXT, "DATA",
        "compare with what the framework itself computes in your Python: a file of inputs (as run takes them, may be "
        "repeated), or random"),
    OPTION_FLAG("fp16", "floats become float16"),
    OPTION_FLAG("bf16", "floats become bfloat16"),
    OPTION_FLAG("keep-io", "with these: inputs and outputs stay float"),
    OPTION("keep", ARG_TEXT, "NAME,..", "with these: nodes or operators that stay in float"),
    OPTION("data", ARG_TEXT, "PATH", "with these: samples; what is too large for 16 bits on them stays in float"),
    IMAGE_OPTIONS,
    EDIT_CHANGES,
    OPTION_FLAG("list", "what can be converted, and what is recognised"),
    OPTION("ops", ARG_TEXT, "FORMAT", "which operators of a format are converted, and what they become"),
    OPTION_FLAG("json", "machine-readable"),
    {0},
};

// ---- the list -----------------------------------------------------------------------------------------

static bool is_converted(const file_kind *kind) {
  for (const convert_format *const *f = convert_formats; *f; f++)
    if (convert_format_takes(*f, kind)) return true;
  return false;
}

static json_t *list_json(void) {
  json_t *formats = json_array(), *kinds = json_array();
  for (const convert_format *const *f = convert_formats; *f; f++)
    json_array_append_new(formats, json_pack("{s:s,s:s,s:s}", "format", convert_format_name(*f), "title",
                                             convert_format_title(*f), "files", convert_format_files(*f)));
  const file_kind *kind;
  for (size_t i = 0; (kind = file_kind_at(i)); i++)
    if (kind->role == FILE_MODEL && !is_converted(kind))
      json_array_append_new(kinds,
                            json_pack("{s:s,s:s,s:s}", "kind", kind->name, "what", kind->what, "advice", kind->advice));
  return json_pack("{s:o,s:o}", "formats", formats, "recognised", kinds);
}

static int list(bool as_json) {
  if (as_json) {
    json_print(list_json());
    return CLI_OK;
  }
  table *t = table_create("format<|of<|files<");
  for (const convert_format *const *f = convert_formats; *f; f++) {
    table_cell(t, "%s", convert_format_name(*f));
    table_cell(t, "%s", convert_format_title(*f));
    table_cell(t, "%s", convert_format_files(*f));
  }
  table_print(t);
  table_destroy(t);
  printf("\nRecognised, with advice, but not converted:\n");
  const file_kind *kind;
  for (size_t i = 0; (kind = file_kind_at(i)); i++)
    if (kind->role == FILE_MODEL && !is_converted(kind)) printf("  %s: %s\n", kind->what, kind->advice);
  return CLI_OK;
}

static int list_operators(const char *format, bool as_json) {
  const convert_format *const *f = convert_formats;
  const char *name, *becomes;
  while (*f && strcmp(convert_format_name(*f), format) != 0) f++;
  if (!*f || !convert_format_operator(*f, 0, &name, &becomes))
    return cli_error(CLI_USAGE, "convert: there is no table of operators of '%s'", format);
  table *t = as_json ? NULL : table_create("operator<|becomes<");
  json_t *all = as_json ? json_object() : NULL;
  for (size_t i = 0; convert_format_operator(*f, i, &name, &becomes); i++) {
    if (as_json) json_object_set_new(all, name, json_string(becomes));
    else table_cell(t, "%s", name), table_cell(t, "%s", becomes);
  }
  if (as_json) json_print(all);
  if (t) table_print(t), table_destroy(t);
  return CLI_OK;
}

// ---- one conversion -----------------------------------------------------------------------------------

// What the callbacks of a conversion are given.
typedef struct conversation {
  foreign_progress progress;
  verification verification;
} conversation;

static void report_progress(void *context, const char *what, uint64_t done, uint64_t total) {
  foreign_report_progress(&((conversation *)context)->progress, what, done, total);
}

static sdx_status prove(void *context, const char *model, const char *source, const convert_report *r, char **proof,
                        fault *f) {
  return verify_model(&((conversation *)context)->verification, model, source, r, proof, f);
}

static json_t *report_json(const char *path, const char *target, const convert_report *r, bool good) {
  json_t *problems = json_array(), *notes = json_array();
  for (size_t i = 0; i < r->problem_count; i++) {
    const convert_problem *p = &r->problems[i];
    json_array_append_new(problems, json_pack("{s:s,s:s,s:s,s:s}", "status", sdx_status_name(p->status), "place",
                                              p->place, "message", p->message, "hint", p->hint));
  }
  for (size_t i = 0; i < r->note_count; i++) json_array_append_new(notes, json_string(r->notes[i]));
  json_t *proof = r->proof ? json_loads(r->proof, 0, NULL) : json_null();
  return json_pack("{s:s,s:s?,s:s?,s:s?,s:s?,s:o,s:o,s:o}", "source", path, "output", good ? target : NULL, "format",
                   r->format ? convert_format_name(r->format) : NULL, "made_by", r->made_by, "digest",
                   *r->digest ? r->digest : NULL, "notes", notes, "problems", problems, "proof", proof);
}

static int convert(const args *a, const char *path, const char *target, bool tell) {
  convert_report report;
  fault f = {0};
  conversation talk = {.verification = {.a = a}};
  convert_options o = {.opset = args_int(a, "opset", 0),
                       .format = args_text(a, "format", NULL),
                       .signature = args_text(a, "signature", NULL),
                       .outputs = args_text(a, "outputs", NULL),
                       .shape = args_text(a, "shape", NULL),
                       .class_name = args_text(a, "class", NULL),
                       .python = args_text(a, "python", NULL),
                       .run_code = args_has(a, "trust"),
                       .prove = verify_asked(a) ? prove : NULL,
                       .progress = report_progress,
                       .context = &talk};
  bool good = !convert_file(path, target, &o, &report, &f);
  foreign_end_progress(&talk.progress);
  if (!good && !report.format && !report.kind && args_has(a, "opset") && !args_has(a, "format")) {
    convert_report_free(&report);
    return convert_onnx(a);
  }
  if (args_has(a, "json")) {
    json_print(report_json(path, target, &report, good));
  } else if (!good) {
    foreign_print_problems(path, &report, &f);
  } else {
    foreign_print_notes(&report);
    if (*talk.verification.text) cli_note("%s", talk.verification.text);
    if (tell)
      printf("%s: %s to %s\n", path, report.made_by ? report.made_by : convert_format_title(report.format), target);
  }
  convert_report_free(&report);
  return good ? CLI_OK : CLI_FAILED;
}

typedef struct job {
  const args *a;
  const char *path;
} job;

static int convert_into(void *context, const char *target) {
  const job *j = context;
  return convert(j->a, j->path, target, false);
}

static int run(const args *a) {
  why w;
  if (args_has(a, "list")) return list(args_has(a, "json"));
  if (args_has(a, "ops")) return list_operators(args_text(a, "ops", ""), args_has(a, "json"));
  if (a->word_count == 0) return cli_error(CLI_USAGE, "convert: a model is missing");
  int wrong = convert_onnx_check(a);
  if (wrong) return wrong;
  if (convert_onnx_asked(a)) return convert_onnx(a);
  const char *model = a->words[0], *output = args_text(a, "output", is_standard_stream(model) ? "-" : NULL);
  bool to_stdout = output && is_standard_stream(output), streams = output && output_is_stream(output);
  if (to_stdout && args_has(a, "json"))
    return cli_error(CLI_USAGE, "convert: standard output takes the model or the report; give -o FILE or leave --json");
  if (to_stdout && !output_possible(output, true, &w)) return cli_error(CLI_FAILED, "%s", w.text);
  char *path = file_reopenable(model, &w);
  if (!path) return cli_error(CLI_FAILED, "%s", w.text);
  char *target = output && *output ? xstrdup(output) : foreign_output_name(model);
  int code =
      streams ? output_by_file(output, "model.onnx", convert_into, &(job){a, path}) : convert(a, path, target, true);
  free(target);
  free(path);
  return code;
}

CLI_COMMAND(convert) = {
    "convert",
    "Make ONNX of models of other frameworks, and other ONNX of ONNX",
    "MODEL [-o FILE] [--opset N]",
    "The format is told from the content. run, inspect, check, test, bench and serve take such files directly, too;\n"
    "what they convert is kept in ~/.cache/sardonyx by the hash of its content. ONNX models are brought to a newer "
    "opset,\n"
    "and to 16 bits; constants that are too large are told.\n\n"
    "Examples:\n"
    "  sardonyx convert model.ubj -o model.onnx\n"
    "  sardonyx convert model.txt --opset 17        # for engines that do not know the newest operators\n"
    "  sardonyx convert --trust --python .venv/bin/python model.pkl      # scikit-learn, by your own skl2onnx\n"
    "  xz -dc model.ubj.xz | sardonyx convert - > model.onnx\n"
    "  sardonyx convert model.ubj --verify rows.csv  # or --verify random: compared with XGBoost's own predictions\n"
    "  sardonyx convert old.onnx --opset 21 -o new.onnx\n"
    "  sardonyx convert model.onnx --fp16 --keep-io --data samples.npz -o half.onnx\n"
    "  sardonyx convert saved_model/ --signature serving_default -o model.onnx\n"
    "  sardonyx convert --list\n"
    "  sardonyx convert --ops tensorflow\n",
    options,
    0,
    1,
    run,
};
