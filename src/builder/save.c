// SPDX-License-Identifier: Apache-2.0
// Writing a model that was built: counted first, then written through a buffer, so that nothing of it is in memory
// twice. What nobody finished never has the name of the model.
#include <errno.h>
#include <unistd.h>

#include "base/file_out.h"
#include "builder/builder.h"

enum { REPORT_BYTES = 1 << 20 };  // between two reports of progress

typedef struct output_file {
  sdx_builder *builder;
  file_out file;
  uint64_t total;  // of the progress; 0: none is told
} output_file;

typedef struct save {
  output_file model, data;
  void *filled;  // bytes of the tensor that is being written
} save;

// ---- files ------------------------------------------------------------------------------------------

static void report(const output_file *f) {
  const sdx_builder *b = f->builder;
  if (b->report && f->total) b->report(b->report_context, f->file.size, f->total);
}

static bool put(void *context, const void *bytes, size_t size) {
  output_file *f = context;
  uint64_t reported = f->file.size / REPORT_BYTES;
  if (!file_out_put(&f->file, bytes, size)) return false;
  if (f->file.size / REPORT_BYTES != reported) report(f);
  return true;
}

static sdx_status open_file(sdx_builder *b, output_file *f, const char *path, const char *suffix) {
  const char *name = arena_format(build_memory(b), "%s%s", path, suffix);
  f->builder = b;
  if (name) return file_out_open(&f->file, name, &b->err);
  build_no_memory(b);
  return b->err.status;
}

static sdx_status close_file(output_file *f) {
  SDX_TRY(file_out_sync(&f->file));
  report(f);
  return SDX_OK;
}

// A model and its data are two files. Between the two renames there must be no model that reads foreign data.
static sdx_status publish(sdx_builder *b, save *s) {
  if (s->data.file.name) {
    if (unlink(s->model.file.name) && errno != ENOENT)
      return error_set(&b->err, SDX_IO_ERROR, "cannot replace '%.300s': %s", s->model.file.name, strerror(errno));
    SDX_TRY(file_out_publish(&s->data.file));
  }
  return file_out_publish(&s->model.file);
}

// ---- the model --------------------------------------------------------------------------------------

static const void *fetch(sdx_builder *b, void **room, const tensor *t) {
  const build_filled *f = (const build_filled *)t;
  mem_free(*room);
  *room = mem_alloc(NULL, t->bytes);
  if (!*room) {
    error_no_memory(&b->err, t->bytes);
    return NULL;
  }
  sdx_status status = f->fill(f->context, *room, t->bytes);
  if (status != SDX_OK) sdx_builder_fail(b, status, "a constant could not be read");
  return status == SDX_OK ? *room : NULL;
}

static const void *save_fetch(void *context, const tensor *t) {
  save *s = context;
  return fetch(s->model.builder, &s->filled, t);
}
static bool save_external(void *context, const void *bytes, size_t size) {
  return put(&((save *)context)->data, bytes, size);
}

static sdx_status write_model(sdx_builder *b, save *s, const char *path) {
  const char *slash = strrchr(path, '/');
  export_options options = {.put_external = save_external, .fetch = save_fetch, .context = s};
  wire_out out = {.put = put, .context = &s->model, .counting = true};
  SDX_TRY(open_file(b, &s->model, path, ""));
  sdx_status status = onnx_export(&b->model, &options, &out);
  s->model.total = out.size;
  if (status == SDX_OK && out.size > b->most_inside) {
    status = open_file(b, &s->data, path, ".data");
    options.external = arena_format(build_memory(b), "%s.data", slash ? slash + 1 : path);
    if (!options.external) build_no_memory(b);
    s->data.total = out.size;
    s->model.total = 0;
    wire_out_deinit(&out);
    out = (wire_out){.put = put, .context = &s->model, .counting = true};
    if (status == SDX_OK) status = onnx_export(&b->model, &options, &out);
    if (status == SDX_OK && out.size > b->most_inside)
      status = error_set(&b->err, SDX_LIMIT_EXCEEDED, "the model has %zu bytes without its weights; ONNX ends at 2 GiB",
                         out.size);
  }
  wire_rewind(&out);
  if (status == SDX_OK) status = onnx_export(&b->model, &options, &out);
  wire_out_deinit(&out);
  if (status != SDX_OK && !build_failed(b)) error_set(&b->err, status, "the model could not be written");
  return b->err.status;
}

sdx_status sdx_builder_save(sdx_builder *b, const char *path) {
  save s = {0};
  if (build_failed(b)) return b->err.status;
  if (build_check(b) == SDX_OK && write_model(b, &s, path) == SDX_OK && close_file(&s.model) == SDX_OK &&
      (!s.data.file.name || close_file(&s.data) == SDX_OK))
    publish(b, &s);
  file_out_deinit(&s.model.file);
  file_out_deinit(&s.data.file);
  mem_free(s.filled);
  return b->err.status;
}

typedef struct memory_target {
  sdx_builder *builder;
  void *filled;
} memory_target;
static const void *memory_fetch(void *context, const tensor *t) {
  memory_target *m = context;
  return fetch(m->builder, &m->filled, t);
}
static bool append(void *context, const void *bytes, size_t size) {
  text_append(context, bytes, size);
  return !((text *)context)->failed;
}

char *sdx_builder_bytes(sdx_builder *b, size_t *size) {
  if (build_failed(b) || build_check(b) != SDX_OK) return NULL;
  text bytes = {0};
  memory_target m = {.builder = b};
  export_options options = {.fetch = memory_fetch, .context = &m};
  wire_out out = {.put = append, .context = &bytes, .counting = true};
  sdx_status status = onnx_export(&b->model, &options, &out);
  wire_rewind(&out);
  if (status == SDX_OK) status = onnx_export(&b->model, &options, &out);
  wire_out_deinit(&out);
  mem_free(m.filled);
  *size = bytes.size;
  if (status == SDX_OK && !build_failed(b)) return bytes.at;
  if (!build_failed(b)) build_no_memory(b);
  text_deinit(&bytes);
  return NULL;
}
