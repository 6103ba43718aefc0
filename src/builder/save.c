// SPDX-License-Identifier: Apache-2.0
// Writing a model that was built: counted first, then written through a buffer, so that nothing of it is in memory
// twice. What nobody finished never has the name of the model.
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/size.h"
#include "builder/builder.h"

enum { BUFFER_BYTES = 1 << 20 };

typedef struct output_file {
  sdx_builder *builder;
  char *name, *temporary;
  int fd;
  char *buffer;
  size_t used;
  uint64_t done, total;  // of the progress
} output_file;

typedef struct save {
  output_file model, data;
  int folder;    // of the model, open before there is anything to lose
  void *filled;  // bytes of the tensor that is being written
} save;

// ---- files ------------------------------------------------------------------------------------------

static sdx_status fail_errno(sdx_builder *b, const char *what, const char *path) {
  int error = errno;
  return error_set(&b->err, error == ENOSPC || error == EDQUOT ? SDX_NO_SPACE : SDX_IO_ERROR, "cannot %s '%.300s': %s",
                   what, path, strerror(error));
}

static bool write_all(int fd, const char *at, size_t size) {
  while (size) {
    ssize_t n = write(fd, at, size);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0) return false;
    at += n;
    size -= (size_t)n;
  }
  return true;
}

static bool flush(output_file *f) {
  if (!write_all(f->fd, f->buffer, f->used)) {
    fail_errno(f->builder, "write", f->name);
    return false;
  }
  f->used = 0;
  if (f->builder->report && f->total) f->builder->report(f->builder->report_context, f->done, f->total);
  return true;
}

static bool put(void *context, const void *bytes, size_t size) {
  output_file *f = context;
  for (const char *at = bytes; size;) {
    size_t n = size < BUFFER_BYTES - f->used ? size : BUFFER_BYTES - f->used;
    memcpy(f->buffer + f->used, at, n);
    f->used += n;
    f->done += n;
    at += n;
    size -= n;
    if (f->used == BUFFER_BYTES && !flush(f)) return false;
  }
  return true;
}

static sdx_status open_file(sdx_builder *b, output_file *f, const char *path, const char *suffix) {
  arena *memory = build_memory(b);
  f->builder = b;
  f->name = arena_format(memory, "%s%s", path, suffix);
  f->temporary = arena_format(memory, "%s%s.%d.new", path, suffix, (int)getpid());
  f->buffer = mem_alloc(NULL, BUFFER_BYTES);
  if (!f->name || !f->temporary || !f->buffer) return error_no_memory(&b->err, BUFFER_BYTES);
  f->fd = open(f->temporary, O_WRONLY | O_CREAT | O_TRUNC | O_NOFOLLOW | O_CLOEXEC, 0666);
  return f->fd < 0 ? fail_errno(b, "create", f->temporary) : SDX_OK;
}

static sdx_status close_file(output_file *f) {
  bool good = f->fd >= 0 && flush(f);
  if (good && fsync(f->fd)) fail_errno(f->builder, "sync", f->name);
  if (f->fd >= 0 && close(f->fd) && good) fail_errno(f->builder, "close", f->name);
  f->fd = -1;
  return f->builder->err.status;
}

static void drop_file(output_file *f, bool written) {
  if (f->fd >= 0) close(f->fd);
  if (f->temporary && !written) unlink(f->temporary);
  mem_free(f->buffer);
}

static sdx_status open_folder(sdx_builder *b, save *s, const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = slash ? arena_format(build_memory(b), "%.*s", (int)(slash - path + 1), path) : ".";
  if (!folder) return error_no_memory(&b->err, 0);
  s->folder = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  return s->folder < 0 ? fail_errno(b, "create a file in", folder) : SDX_OK;
}

// A model and its data are two files. Between the two renames there must be no model that reads foreign data.
static sdx_status publish(sdx_builder *b, save *s) {
  if (s->data.temporary) {
    if (unlink(s->model.name) && errno != ENOENT) return fail_errno(b, "replace", s->model.name);
    if (rename(s->data.temporary, s->data.name)) return fail_errno(b, "rename to", s->data.name);
  }
  if (rename(s->model.temporary, s->model.name)) return fail_errno(b, "rename to", s->model.name);
  return fsync(s->folder) ? fail_errno(b, "sync the folder of", s->model.name) : SDX_OK;
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
  save s = {.model.fd = -1, .data.fd = -1, .folder = -1};
  if (build_failed(b)) return b->err.status;
  if (build_check(b) == SDX_OK && open_folder(b, &s, path) == SDX_OK && write_model(b, &s, path) == SDX_OK &&
      close_file(&s.model) == SDX_OK && (!s.data.temporary || close_file(&s.data) == SDX_OK))
    publish(b, &s);
  if (s.folder >= 0) close(s.folder);
  drop_file(&s.model, !build_failed(b));
  drop_file(&s.data, !build_failed(b));
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
