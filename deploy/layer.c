// SPDX-License-Identifier: Apache-2.0
// Layers (layer.h). The archive is made twice: once for its digest, and once more, compressed, if it is not there.
#include "deploy/layer.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <locale.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <zlib.h>
#include <zstd.h>

#include "support/files.h"

enum { PIECE = 1 << 18, GZIP_LEVEL = 5, ZSTD_LEVEL = 6, SAMPLE = 1 << 20 };

typedef struct entry {
  char *path;
  mode_t type, mode;
  char *from;  // file to read, target of a link
  void *bytes;
  registry_blob blob;
  uint64_t size;
  size_t order;  // in which it was added
} entry;

struct layer {
  entry *at;
  size_t count, room;
};

layer *layer_create(void) { return calloc(1, sizeof(layer)); }

static void entry_free(entry *e) {
  free(e->path);
  free(e->from);
  free(e->bytes);
}

void layer_destroy(layer *l) {
  if (!l) return;
  for (size_t i = 0; i < l->count; i++) entry_free(&l->at[i]);
  free(l->at);
  free(l);
}

int64_t layer_epoch(void) {
  const char *text = getenv("SOURCE_DATE_EPOCH");
  char *end;
  long long seconds = text ? strtoll(text, &end, 10) : 0;
  return text && *text && !*end && seconds >= 0 ? seconds : 0;
}

// ---- entries -----------------------------------------------------------------------------------

// Takes e's memory.
static sdx_status add(layer *l, entry e, fault *f) {
  if (!e.path) fault_no_memory(f);
  else if (!path_beneath(e.path)) fault_set(f, SDX_INVALID_ARGUMENT, "'%.200s' cannot be a path of an image", e.path);
  if (!f->status && l->count == l->room) {
    size_t room = l->room * 2 + 64;
    entry *more = realloc(l->at, room * sizeof *more);
    if (!more) {
      fault_no_memory(f);
    } else {
      l->at = more;
      l->room = room;
    }
  }
  e.order = l->count;
  if (f->status) entry_free(&e);
  else l->at[l->count++] = e;
  return f->status;
}

sdx_status layer_add_folder(layer *l, const char *path, mode_t mode, fault *f) {
  return add(l, (entry){.path = strdup(path), .type = S_IFDIR, .mode = mode}, f);
}

sdx_status layer_add_bytes(layer *l, const char *path, mode_t mode, const void *bytes, size_t size, fault *f) {
  void *copy = malloc(size + 1);
  if (!copy) return fault_no_memory(f);
  memcpy(copy, bytes, size);
  return add(l, (entry){.path = strdup(path), .type = S_IFREG, .mode = mode, .bytes = copy, .size = size}, f);
}

sdx_status layer_add_file(layer *l, const char *path, mode_t mode, const char *from, fault *f) {
  struct stat info;
  char *copy = strdup(from);
  if (!copy) return fault_no_memory(f);
  if (stat(from, &info)) fault_errno(f, errno, "%s", from);
  else if (!S_ISREG(info.st_mode)) fault_set(f, SDX_INVALID_ARGUMENT, "%s is not a regular file", from);
  if (!f->status)
    return add(
        l, (entry){.path = strdup(path), .type = S_IFREG, .mode = mode, .from = copy, .size = (uint64_t)info.st_size},
        f);
  free(copy);
  return f->status;
}

sdx_status layer_add_blob(layer *l, const char *path, mode_t mode, const registry_blob *blob, fault *f) {
  return add(l, (entry){.path = strdup(path), .type = S_IFREG, .mode = mode, .blob = *blob, .size = blob->size}, f);
}

sdx_status layer_add_link(layer *l, const char *path, const char *target, fault *f) {
  char *copy = strdup(target);
  if (!copy) return fault_no_memory(f);
  return add(l, (entry){.path = strdup(path), .type = S_IFLNK, .mode = 0777, .from = copy}, f);
}

static int by_path(const void *a, const void *b) { return strcmp(((const entry *)a)->path, ((const entry *)b)->path); }

static int by_path_and_order(const void *a, const void *b) {
  int order = by_path(a, b);
  size_t x = ((const entry *)a)->order, y = ((const entry *)b)->order;
  return order ? order : (x > y) - (x < y);
}

static sdx_status add_parents(layer *l, const char *path, size_t sorted, fault *f) {
  char *parent = strdup(path), *slash;
  if (!parent) return fault_no_memory(f);
  while (!f->status && (slash = strrchr(parent, '/'))) {
    *slash = 0;
    entry key = {.path = parent};
    if (bsearch(&key, l->at, sorted, sizeof key, by_path)) break;  // and so are those above
    layer_add_folder(l, parent, 0755, f);
  }
  free(parent);
  return f->status;
}

static void sort(layer *l) {
  size_t kept = 0;
  qsort(l->at, l->count, sizeof *l->at, by_path_and_order);
  for (size_t i = 0; i < l->count; i++) {
    if (i + 1 < l->count && !strcmp(l->at[i].path, l->at[i + 1].path)) entry_free(&l->at[i]);
    else l->at[kept++] = l->at[i];
  }
  l->count = kept;
}

static sdx_status arrange(layer *l, fault *f) {
  if (!l->count) return SDX_OK;
  sort(l);
  size_t sorted = l->count;
  for (size_t i = 0; i < sorted && !f->status; i++) add_parents(l, l->at[i].path, sorted, f);
  sort(l);
  return f->status;
}

// ---- bytes on their way ------------------------------------------------------------------------

typedef struct sink {
  layer_compression how;
  digest_state *plain, *packed;
  uint64_t size;  // of what was written
  int fd;         // -1: only the digest of the archive is wanted
  z_stream gzip;
  ZSTD_CCtx *zstd;
  char *piece;
} sink;

static bool sink_open(sink *s, layer_compression how, int fd) {
  *s = (sink){.how = how, .fd = fd, .plain = digest_create(), .packed = digest_create(), .piece = malloc(PIECE)};
  bool good = s->plain && s->packed && s->piece;
  if (good && fd >= 0 && how == LAYER_GZIP)
    good = deflateInit2(&s->gzip, GZIP_LEVEL, Z_DEFLATED, 15 + 16, 9, Z_DEFAULT_STRATEGY) == Z_OK;
  if (good && fd >= 0 && how == LAYER_ZSTD) {
    s->zstd = ZSTD_createCCtx();
    good = s->zstd && !ZSTD_isError(ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, ZSTD_LEVEL));
  }
  return good;
}

static void sink_free(sink *s) {
  digest_destroy(s->plain);
  digest_destroy(s->packed);
  if (s->fd >= 0 && s->how == LAYER_GZIP) deflateEnd(&s->gzip);
  ZSTD_freeCCtx(s->zstd);
  free(s->piece);
}

static bool put(sink *s, const void *bytes, size_t size) {
  digest_add(s->packed, bytes, size);
  s->size += size;
  return file_write_all(s->fd, bytes, size);
}

static bool put_gzip(sink *s, const void *bytes, size_t size, bool last) {
  s->gzip.next_in = (Bytef *)bytes;
  s->gzip.avail_in = (uInt)size;
  do {
    s->gzip.next_out = (Bytef *)s->piece;
    s->gzip.avail_out = PIECE;
    if (deflate(&s->gzip, last ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR) return false;
    if (!put(s, s->piece, PIECE - s->gzip.avail_out)) return false;
  } while (s->gzip.avail_out == 0);
  return true;
}

static bool put_zstd(sink *s, const void *bytes, size_t size, bool last) {
  ZSTD_inBuffer in = {bytes, size, 0};
  for (;;) {
    ZSTD_outBuffer out = {s->piece, PIECE, 0};
    size_t left = ZSTD_compressStream2(s->zstd, &out, &in, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left) || !put(s, s->piece, out.pos)) return false;
    if (last ? !left : in.pos == in.size) return true;
  }
}

static bool sink_put(sink *s, const void *bytes, size_t size, bool last) {
  digest_add(s->plain, bytes, size);
  if (s->fd < 0) return true;
  if (s->how == LAYER_GZIP) return put_gzip(s, bytes, size, last);
  if (s->how == LAYER_ZSTD) return put_zstd(s, bytes, size, last);
  return put(s, bytes, size);
}

// ---- the archive -------------------------------------------------------------------------------

static la_ssize_t take(struct archive *a, void *context, const void *bytes, size_t size) {
  if (sink_put(context, bytes, size, false)) return (la_ssize_t)size;
  archive_set_error(a, errno ? errno : EIO, "cannot write a layer");
  return -1;
}

static sdx_status archive_failed(struct archive *a, const char *path, fault *f) {
  int error = archive_errno(a);
  if (error > 0) return fault_errno(f, error, "%s", path);
  return fault_set(f, SDX_IO_ERROR, "%s: %s", path, archive_error_string(a));
}

static sdx_status copy_data(struct archive *a, const entry *e, const registry *r, fault *f) {
  int fd = e->from ? open(e->from, O_RDONLY | O_CLOEXEC) : registry_open_blob(r, e->blob.digest, NULL, f);
  char *piece = malloc(PIECE);
  uint64_t left = e->size;
  ssize_t got = 0;
  if (fd < 0 && !f->status) fault_errno(f, errno, "%s", e->from);
  if (!piece) fault_no_memory(f);
  while (!f->status && left && (got = read(fd, piece, left < PIECE ? (size_t)left : PIECE)) > 0) {
    if (archive_write_data(a, piece, (size_t)got) != got) archive_failed(a, e->path, f);
    left -= (uint64_t)got;
  }
  if (!f->status && left)
    fault_set(f, SDX_IO_ERROR, "%s became shorter while it was read", e->from ? e->from : e->path);
  free(piece);
  if (fd >= 0) close(fd);
  return f->status;
}

static sdx_status write_entry(struct archive *a, const entry *e, const registry *r, fault *f) {
  struct archive_entry *header = archive_entry_new();
  if (!header) return fault_no_memory(f);
  archive_entry_copy_pathname(header, e->path);
  archive_entry_set_filetype(header, e->type);
  archive_entry_set_perm(header, e->mode);
  archive_entry_set_mtime(header, layer_epoch(), 0);
  archive_entry_set_size(header, e->type == S_IFREG ? (la_int64_t)e->size : 0);
  if (e->type == S_IFLNK) archive_entry_copy_symlink(header, e->from);
  if (archive_write_header(a, header) != ARCHIVE_OK) archive_failed(a, e->path, f);
  archive_entry_free(header);
  if (f->status || e->type != S_IFREG) return f->status;
  if (!e->bytes) return copy_data(a, e, r, f);
  return archive_write_data(a, e->bytes, e->size) == (la_ssize_t)e->size ? SDX_OK : archive_failed(a, e->path, f);
}

// libarchive reads names in the thread's locale; ours are UTF-8 whatever the user's is.
static sdx_status write_archive(const layer *l, const registry *r, sink *s, fault *f) {
  locale_t utf8 = newlocale(LC_CTYPE_MASK, "C.UTF-8", (locale_t)0), before = utf8 ? uselocale(utf8) : (locale_t)0;
  struct archive *a = archive_write_new();
  if (!a) return fault_no_memory(f);
  archive_write_set_format_pax_restricted(a);
  archive_write_set_options(a, "hdrcharset=UTF-8");
  archive_write_set_bytes_per_block(a, 0);
  if (archive_write_open(a, s, NULL, take, NULL) != ARCHIVE_OK) archive_failed(a, "layer", f);
  for (size_t i = 0; i < l->count && !f->status; i++) write_entry(a, &l->at[i], r, f);
  if (archive_write_close(a) != ARCHIVE_OK && !f->status) archive_failed(a, "layer", f);
  archive_write_free(a);
  if (utf8) {
    uselocale(before);
    freelocale(utf8);
  }
  if (!f->status && !sink_put(s, "", 0, true)) fault_errno(f, errno, "cannot write a layer");
  return f->status;
}

// Whether compressing pays: weights seldom get smaller, and everyone who starts the image would unpack them.
static bool compressible(const layer *l, const registry *r) {
  const entry *largest = NULL;
  for (size_t i = 0; i < l->count; i++)
    if (!largest || l->at[i].size > largest->size) largest = &l->at[i];
  if (!largest || largest->size < SAMPLE || largest->bytes) return true;
  fault ignored = {0};
  int fd = largest->from ? open(largest->from, O_RDONLY | O_CLOEXEC)
                         : registry_open_blob(r, largest->blob.digest, NULL, &ignored);
  size_t room = compressBound(SAMPLE);
  Bytef *plain = malloc(SAMPLE), *packed = malloc(room);
  uLongf size = room;
  bool pays = true;
  // From the middle: a file's beginning is often unlike the rest.
  if (fd >= 0 && plain && packed && pread(fd, plain, SAMPLE, (off_t)(largest->size - SAMPLE) / 2) == SAMPLE)
    pays = compress2(packed, &size, plain, SAMPLE, 1) != Z_OK || size < SAMPLE / 100 * 93;
  free(plain);
  free(packed);
  if (fd >= 0) close(fd);
  return pays;
}

static sdx_status write_blob(const layer *l, registry *r, registry_change *c, layer_compression how,
                             layer_result *result, fault *f) {
  registry_upload u;
  registry_blob blob;
  sink s;
  if (registry_create_blob(c, &u, f)) return f->status;
  if (!sink_open(&s, how, u.fd)) fault_no_memory(f);
  else write_archive(l, r, &s, f);
  if (!f->status) {
    digest_finish(s.packed, blob.digest);
    blob.size = s.size;
    memcpy(result->descriptor.digest, blob.digest, DIGEST_BYTES);
    result->descriptor.size = blob.size;
  }
  sink_free(&s);
  if (!f->status) return registry_seal_blob(c, &u, &blob, f);
  registry_drop_blob(c, &u);
  return f->status;
}

sdx_status layer_write(layer *l, registry *r, registry_change *c, layer_compression how, layer_result *result,
                       fault *f) {
  static const char *const types[] = {OCI_LAYER_GZIP, OCI_LAYER_ZSTD, OCI_LAYER_TAR};
  registry_blob blob;
  sink s;
  *result = (layer_result){0};
  if (arrange(l, f)) return f->status;
  if (!sink_open(&s, LAYER_PLAIN, -1)) fault_no_memory(f);
  else if (!write_archive(l, r, &s, f)) digest_finish(s.plain, result->diff_id);
  sink_free(&s);
  if (f->status) return f->status;
  if (!compressible(l, r)) how = LAYER_PLAIN;
  snprintf(result->descriptor.media_type, sizeof result->descriptor.media_type, "%s", types[how]);
  char path[DIGEST_BYTES + 8];
  snprintf(path, sizeof path, "layer/%s", result->diff_id);
  result->found = registry_find_file(r, path, types[how], &blob);
  if (!result->found) return write_blob(l, r, c, how, result, f);
  memcpy(result->descriptor.digest, blob.digest, DIGEST_BYTES);
  result->descriptor.size = blob.size;
  return SDX_OK;
}
