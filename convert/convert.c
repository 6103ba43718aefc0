// SPDX-License-Identifier: Apache-2.0
// One conversion from source to file: recognise, let the format build, prove, save (convert.h). Read next: source.h,
// any format_*.c.
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/text.h"
#include "base/wire.h"
#include "convert/format.h"
#include "convert/program.h"
#include "support/files.h"

enum { MOST_PROBLEMS_TOLD = 100 };

// ---- the report -------------------------------------------------------------------------------------

static char *format_list(const char *format, va_list list) {
  char *text = NULL;
  return vasprintf(&text, format, list) < 0 ? NULL : text;
}

sdx_status convert_fail(conversion *c, sdx_status status, const char *place, const char *hint, const char *format,
                        ...) {
  convert_report *r = c->report;
  va_list list;
  va_start(list, format);
  char *message = format_list(format, list);
  va_end(list);
  if (message && !c->f->status) {
    fault_set(c->f, status, "%s%s%s", place ? place : "", place && *place ? ": " : "", message);
    if (hint && *hint) fault_hint(c->f, "%s", hint);
  }
  convert_problem *more =
      r->problem_count < MOST_PROBLEMS_TOLD ? realloc(r->problems, (r->problem_count + 1) * sizeof *more) : NULL;
  if (more) r->problems = more;
  if (!more || !message) {
    free(message);
    return message || c->f->status ? status : fault_no_memory(c->f);
  }
  more[r->problem_count++] = (convert_problem){status, strdup(place ? place : ""), message, strdup(hint ? hint : "")};
  return status;
}

sdx_status convert_no_memory(conversion *c) {
  return convert_fail(c, SDX_NO_MEMORY, NULL, NULL, "memory is exhausted");
}

bool convert_failed(const conversion *c) { return c->f->status || sdx_builder_status(c->builder) != SDX_OK; }

void convert_note(conversion *c, const char *format, ...) {
  convert_report *r = c->report;
  va_list list;
  va_start(list, format);
  char *note = format_list(format, list), **more = realloc(r->notes, (r->note_count + 1) * sizeof *more);
  va_end(list);
  if (more) r->notes = more;
  if (more && note) more[r->note_count++] = note;
  else free(note);
}

void convert_made_by(conversion *c, const char *format, ...) {
  va_list list;
  va_start(list, format);
  free(c->report->made_by);
  c->report->made_by = format_list(format, list);
  va_end(list);
}

struct convert_cleanup {
  struct convert_cleanup *next;
  void (*destroy)(void *context);
  void *context;
};

bool convert_at_end(conversion *c, void (*destroy)(void *), void *context) {
  struct convert_cleanup *cleanup = arena_alloc(c->memory, sizeof *cleanup);
  if (!cleanup) return false;
  *cleanup = (struct convert_cleanup){c->cleanups, destroy, context};
  c->cleanups = cleanup;
  return true;
}

sdx_status convert_read(conversion *c, int folder, const char *path, size_t most, str *bytes) {
  char *content = file_load(folder, path, most, &bytes->size, c->f);
  if (!content) return convert_fail(c, c->f->status, path, NULL, "%s", c->f->message);
  bytes->at = content;
  if (convert_at_end(c, free, content)) return SDX_OK;
  free(content);
  return convert_no_memory(c);
}

void convert_progress(conversion *c, uint64_t done, uint64_t total) {
  if (c->options->progress) c->options->progress(c->options->context, "converting", done, total);
}

void convert_add_names(conversion *c, const char *key, size_t count, const str *names) {
  text t = {0};
  for (size_t i = 0; i < count; i++) {
    text_put(&t, i ? ", " : "[");
    text_json_string(&t, names[i]);
  }
  if (count) text_put(&t, "]");
  if (t.failed) convert_no_memory(c);
  else if (count) sdx_builder_add_metadata(c->builder, key, t.at);
  text_deinit(&t);
}

void convert_report_free(convert_report *r) {
  for (size_t i = 0; i < r->problem_count; i++) {
    free(r->problems[i].place);
    free(r->problems[i].message);
    free(r->problems[i].hint);
  }
  for (size_t i = 0; i < r->note_count; i++) free(r->notes[i]);
  free(r->problems);
  free(r->notes);
  free(r->made_by);
  free(r->proof);
  *r = (convert_report){0};
}

const char *convert_format_name(const convert_format *f) { return f->name; }
const char *convert_format_title(const convert_format *f) { return f->title; }
const char *convert_format_files(const convert_format *f) { return f->files; }
bool convert_format_operator(const convert_format *f, size_t index, const char **name, const char **becomes) {
  return f->operator_at && f->operator_at(index, name, becomes);
}
const char *convert_format_reference(const convert_format *f) { return f->reference; }

// ---- recognising ------------------------------------------------------------------------------------

bool convert_format_takes(const convert_format *f, const file_kind *kind) {
  for (const char *const *name = f->kinds; name && *name; name++)
    if (!strcmp(*name, kind->name)) return true;
  return false;
}

static const convert_format *recognise(const source *s, const file_kind **kind) {
  *kind = s->folder ? NULL : file_kind_of(s->head, s->head_size);
  for (const convert_format *const *f = convert_formats; *f; f++)
    if ((*kind && convert_format_takes(*f, *kind)) || ((*f)->recognise && (*f)->recognise(s))) return *f;
  return NULL;
}

static sdx_status fail_unknown(conversion *c, const char *path) {
  const file_kind *kind = c->report->kind;
  if (kind)
    return convert_fail(c, SDX_NOT_SUPPORTED, path, kind->advice, "this looks like %s, which is not converted",
                        kind->what);
  return convert_fail(c, SDX_NOT_SUPPORTED, path, "'sardonyx convert --list' shows what is converted", "%s",
                      c->source->folder           ? "no model is recognised in this folder"
                      : c->source->head_size == 0 ? "the file is empty"
                                                  : "the content is not recognised; it may be an ONNX model already");
}

static sdx_status choose_format(conversion *c, const char *path) {
  const char *wanted = c->options->format;
  const convert_format *format = recognise(c->source, &c->report->kind);
  if (wanted) {
    const convert_format *const *f = convert_formats;
    while (*f && strcmp((*f)->name, wanted) != 0) f++;
    format = *f;
  }
  c->report->format = format;
  if (!format && !wanted) return fail_unknown(c, path);
  if (!format)
    return convert_fail(c, SDX_INVALID_ARGUMENT, NULL, "'sardonyx convert --list' shows the formats",
                        "there is no format '%s'", wanted);
  if (!format->takes_shape && (c->options->shape || c->options->class_name))
    return convert_fail(c, SDX_INVALID_ARGUMENT, NULL, "'sardonyx convert --set-shape' changes shapes",
                        "%s tells shape and class itself", format->title);
  if (format->chooses_ends || (!c->options->signature && !c->options->outputs)) return SDX_OK;
  return convert_fail(c, SDX_INVALID_ARGUMENT, NULL, NULL, "of %s there is no %s to be chosen", format->title,
                      c->options->signature ? "signature" : "output");
}

// ---- saving -----------------------------------------------------------------------------------------

static void report_saving(void *context, uint64_t done, uint64_t total) {
  const convert_options *o = context;
  o->progress(o->context, "writing", done, total);
}

static sdx_status builder_problem(conversion *c) {
  return convert_fail(c, sdx_builder_status(c->builder), NULL, NULL, "%s", sdx_builder_error(c->builder));
}

static void describe(conversion *c, const char *path) {
  const char *slash = strrchr(path, '/');
  sdx_builder *b = c->builder;
  sdx_builder_describe(b, "producer_name", "sardonyx");
  sdx_builder_describe(b, "producer_version", sdx_version());
  sdx_builder_add_metadata(b, "source.file", slash ? slash + 1 : path);
  sdx_builder_add_metadata(b, "source.format", c->report->made_by ? c->report->made_by : c->report->format->title);
  sdx_builder_add_metadata(b, "source.digest", c->report->digest);
}

// The file for trial, beside the target; free() it.
static char *trial_path(const char *target) { return path_format("%s.%d.trial.onnx", target, (int)getpid()); }

// Asks for the proof of what was written for trial, which goes then.
static sdx_status prove(conversion *c, const char *path, const char *trial) {
  fault f = {0};
  sdx_status status = c->options->prove(c->options->context, trial, path, c->report, &c->report->proof, &f);
  if (status && f.status) convert_fail(c, status, NULL, f.hint, "%s", f.message);
  return status;
}

static void remove_trial(char *trial) {
  char *data = trial ? path_format("%s.data", trial) : NULL;
  if (trial) unlink(trial);
  if (data) unlink(data);
  free(data);
  free(trial);
}

// The proof is kept with the model.
static sdx_status prove_built(conversion *c, const char *path, const char *target) {
  char *trial = trial_path(target);
  if (!trial) return convert_no_memory(c);
  sdx_status status = sdx_builder_save(c->builder, trial) ? builder_problem(c) : prove(c, path, trial);
  remove_trial(trial);
  if (!status && c->report->proof) sdx_builder_add_metadata(c->builder, "proof", c->report->proof);
  return status;
}

static bool same_file(const char *a, const char *b) {
  struct stat x, y;
  return !stat(a, &x) && !stat(b, &y) && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

// Lets the format build the model; whatever went wrong is a problem in the end.
static sdx_status build(conversion *c, const char *path) {
  const convert_format *format = c->report->format;
  if (format->program)
    return convert_fail(c, SDX_FORBIDDEN, path, "'sardonyx convert --trust' does it, if you trust the file",
                        "only a Python of yours reads files of %s, and that may run code of the file's", format->title);
  sdx_status status = format->convert(c);
  if (c->f->status) return c->f->status;  // problems that were passed over to look for more
  if (sdx_builder_status(c->builder)) return builder_problem(c);
  return status ? convert_fail(c, status, path, NULL, "the conversion failed") : SDX_OK;
}

// One more entry of the metadata, behind the bytes of a model: fields of protobuf may come in any order.
static sdx_status append_proof(conversion *c, char **model, size_t *size) {
  enum { MODEL_METADATA = 14 };
  wire_out out = {0};
  size_t begin = wire_begin(&out, MODEL_METADATA);
  wire_put_bytes(&out, 1, STR("proof"));
  wire_put_bytes(&out, 2, str_from(c->report->proof));
  wire_end(&out, begin);
  char *longer = wire_failed(&out) ? NULL : realloc(*model, *size + out.kept.size);
  if (longer) {
    memcpy(longer + *size, out.kept.at, out.kept.size);
    *model = longer;
    *size += out.kept.size;
  }
  wire_out_deinit(&out);
  return longer ? SDX_OK : convert_no_memory(c);
}

static sdx_status prove_bytes(conversion *c, const char *path, const char *target, char **model, size_t *size) {
  char *trial = trial_path(target);
  if (!trial) return convert_no_memory(c);
  sdx_status status = file_replace(AT_FDCWD, trial, *model, *size, 0600, c->f);
  if (!status) status = prove(c, path, trial);
  remove_trial(trial);
  return !status && c->report->proof ? append_proof(c, model, size) : status;
}

static sdx_status save_by_program(conversion *c, const char *path, const char *target) {
  char *model;
  size_t size;
  SDX_TRY(program_convert(c, path, &model, &size));
  snprintf(c->report->digest, sizeof c->report->digest, "%s", c->source->digest);
  sdx_status status = c->options->prove ? prove_bytes(c, path, target, &model, &size) : SDX_OK;
  if (!status) status = file_replace(AT_FDCWD, target, model, size, 0666, c->f);
  free(model);
  return status;
}

static sdx_status save(conversion *c, const char *path, const char *target) {
  if (same_file(path, target))
    return convert_fail(c, SDX_INVALID_ARGUMENT, target, NULL, "the model would replace its source");
  if (c->report->format->program && c->options->run_code) return save_by_program(c, path, target);
  SDX_TRY(build(c, path));
  if (source_hash(c->source, c->f)) return c->f->status;
  snprintf(c->report->digest, sizeof c->report->digest, "%s", c->source->digest);
  describe(c, path);
  if (c->options->prove) SDX_TRY(prove_built(c, path, target));
  if (c->options->progress) sdx_builder_on_progress(c->builder, report_saving, (void *)c->options);
  return sdx_builder_save(c->builder, target) ? builder_problem(c) : SDX_OK;
}

static void start(conversion *c, source *s, const convert_options *options, convert_report *report, arena *memory,
                  fault *f) {
  *c = (conversion){.source = s, .options = options, .report = report, .memory = memory, .f = f};
  arena_init(memory, NULL);
}

// Of the opset that was asked for, or that the format had rather than the newest.
static sdx_status start_model(conversion *c) {
  c->builder = sdx_builder_create(c->options->opset ? c->options->opset : c->report->format->opset);
  if (!c->builder) return convert_no_memory(c);
  c->graph = sdx_builder_graph(c->builder);
  return sdx_builder_status(c->builder) ? builder_problem(c) : SDX_OK;
}

static void finish(conversion *c) {
  sdx_builder_destroy(c->builder);
  for (struct convert_cleanup *cleanup = c->cleanups; cleanup; cleanup = cleanup->next)
    cleanup->destroy(cleanup->context);
  arena_deinit(c->memory);
}

static sdx_status convert_source(source *s, const char *path, const char *target, const convert_options *options,
                                 convert_report *report, fault *f) {
  arena memory;
  conversion c;
  start(&c, s, options, report, &memory, f);
  sdx_status status = choose_format(&c, path);
  if (!status) status = start_model(&c);
  if (!status) status = save(&c, path, target);
  finish(&c);
  return status;
}

sdx_status convert_bytes(const convert_format *format, const void *bytes, size_t size, const convert_options *options,
                         convert_report *report, fault *f) {
  arena memory;
  conversion c;
  *report = (convert_report){.format = format};
  source *s = source_of_bytes(bytes, size);
  if (!s) return fault_no_memory(f);
  report->kind = file_kind_of(s->head, s->head_size);
  start(&c, s, options, report, &memory, f);
  sdx_status status = start_model(&c);
  if (!status) status = build(&c, s->path);
  char *model = status ? NULL : sdx_builder_bytes(c.builder, &size);
  if (!status && !model) status = builder_problem(&c);
  sdx_string_free(model);
  finish(&c);
  source_close(s);
  return status;
}

sdx_status convert_file(const char *path, const char *target, const convert_options *options, convert_report *report,
                        fault *f) {
  fault own = {0};
  if (!f) f = &own;
  source *s;
  *report = (convert_report){0};
  SDX_TRY(source_open(path, &s, f));
  sdx_status status = convert_source(s, path, target, options, report, f);
  source_close(s);
  return status;
}

char *convert_list_weights(const char *path, bool *is, convert_report *report, fault *f) {
  const convert_options options = {0};
  arena memory;
  conversion c;
  source *s;
  text json = {0};
  *report = (convert_report){0};
  *is = false;
  if (source_open(path, &s, &(fault){0})) return NULL;  // the engine tells what is wrong with it
  report->format = recognise(s, &report->kind);
  start(&c, s, &options, report, &memory, f);
  if (report->format && report->format->list) {
    *is = true;
    text_put(&json, "{");
    if (!start_model(&c) && !report->format->list(&c, &json)) text_put(&json, "}");
    if (json.failed) convert_no_memory(&c);
  }
  finish(&c);
  source_close(s);
  if (*is && !f->status) return json.at;
  text_deinit(&json);
  return NULL;
}

// ---- the cache --------------------------------------------------------------------------------------

// ~/.cache/sardonyx/converted, made if it is not there.
static char *cache_folder(fault *f) {
  const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
  char *path = NULL;
  if (cache && *cache == '/') path = path_format("%s/sardonyx/converted/", cache);
  else if (home && *home == '/') path = path_format("%s/.cache/sardonyx/converted/", home);
  else {
    fault_set(f, SDX_NOT_FOUND, "there is no place for converted models");
    fault_hint(f, "set HOME or XDG_CACHE_HOME, or convert first: sardonyx convert MODEL -o model.onnx");
  }
  if (path && folder_make_parents(AT_FDCWD, path, 0700, f)) {
    free(path);
    return NULL;
  }
  return path;
}

// The digest of what a format reads besides the source, "" if nothing, or if it cannot be read, which the conversion
// tells.
static void digest_beside(const convert_format *format, const source *s, char digest[DIGEST_BYTES]) {
  fault f = {0};
  arena memory;
  source *other = NULL;
  *digest = 0;
  arena_init(&memory, NULL);
  const char *path = format->beside ? format->beside(s, &memory) : NULL;
  if (path && !source_open(path, &other, &f) && !source_hash(other, &f))
    memcpy(digest, other->digest, sizeof other->digest);
  source_close(other);
  arena_deinit(&memory);
}

static char *cached(source *s, const char *path, const convert_format *format, const convert_options *options,
                    convert_report *report, fault *f) {
  char other[DIGEST_BYTES];
  char *folder = source_hash(s, f) ? NULL : cache_folder(f);
  if (!folder) return NULL;
  digest_beside(format, s, other);
  char *target = path_format("%s%.32s%s%.32s-%s-%s-%lld.onnx", folder, digest_hex(s->digest), *other ? "-" : "",
                             *other ? digest_hex(other) : "", format->name, sdx_version(), (long long)options->opset);
  free(folder);
  if (!target) {
    fault_no_memory(f);
    return NULL;
  }
  report->format = format;
  if (!access(target, R_OK)) return target;
  if (!convert_source(s, path, target, options, report, f)) return target;
  free(target);
  return NULL;
}

char *convert_for_use(const char *path, const convert_options *options, convert_report *report, fault *f) {
  const file_kind *kind;
  source *s;
  *report = (convert_report){0};
  char *result = NULL;
  if (source_open(path, &s, &(fault){0})) return strdup(path);  // the engine tells what is wrong with it
  const convert_format *format = recognise(s, &kind);
  if (format) {
    result = cached(s, path, format, options, report, f);
  } else if (kind && kind->role == FILE_MODEL) {
    fault_set(f, SDX_NOT_SUPPORTED, "%s: this looks like %s, which is not converted", path, kind->what);
    fault_hint(f, "%s", kind->advice);
  } else {
    result = strdup(path);
  }
  source_close(s);
  return result;
}
