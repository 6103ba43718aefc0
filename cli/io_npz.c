// SPDX-License-Identifier: Apache-2.0
// NumPy's .npz: a zip archive with one .npy per array.
#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cli/files.h"
#include "cli/io.h"
#include "cli/table.h"

// A zip can hold a thousand times its size in zeros: what unpacks to more than this is taken for a bomb.
enum { FREE_BYTES = 16 << 20, TIMES_FILE = 64 };

void named_add(named_values *list, const char *name, sdx_value *value) {
  list->at = xrealloc(list->at, (list->count + 1) * sizeof *list->at);
  list->at[list->count].name = xstrdup(name);
  list->at[list->count++].value = value;
}

sdx_value *named_find(const named_values *list, const char *name) {
  for (size_t i = 0; i < list->count; i++)
    if (!strcmp(list->at[i].name, name)) return list->at[i].value;
  return NULL;
}

void named_clear(named_values *list) {
  for (size_t i = 0; i < list->count; i++) {
    free(list->at[i].name);
    sdx_value_release(list->at[i].value);
  }
  free(list->at);
  *list = (named_values){0};
}

// One entry, unpacked. Sizes in the archive are hints only.
static char *unpack(struct archive *zip, size_t most, size_t *size, why *w) {
  char described[32];
  size_t capacity = 1 << 16, used = 0;
  char *bytes = malloc(capacity);
  while (bytes) {
    la_ssize_t got = archive_read_data(zip, bytes + used, capacity - used);
    if (got < 0) {
      const char *text = archive_error_string(zip);
      free(bytes);
      return why_set(w, "damaged: %s", text ? text : "unpacking failed");
    }
    if (!got) {
      *size = used;
      return bytes;
    }
    used += (size_t)got;
    if (used > most) {
      free(bytes);
      return why_set(w, "unpacks to more than %s, %d times the archive; numpy.savez keeps such arrays unpacked",
                     bytes_describe((double)most, described), TIMES_FILE);
    }
    if (used == capacity) {
      char *more = realloc(bytes, capacity *= 2);
      if (!more) free(bytes);
      bytes = more;
    }
  }
  return why_set(w, "not enough memory to unpack it");
}

bool npz_read(const void *bytes, size_t size, named_values *out, why *w) {
  struct archive *zip = archive_read_new();
  struct archive_entry *entry;
  bool ok = zip && !archive_read_support_format_zip(zip) && !archive_read_open_memory(zip, bytes, size);
  int code = ARCHIVE_OK;
  size_t most = FREE_BYTES + TIMES_FILE * size;
  if (!ok) why_set(w, "not a .npz file (a zip archive of .npy files)");
  while (ok && (code = archive_read_next_header(zip, &entry)) == ARCHIVE_OK) {
    const char *path = archive_entry_pathname(entry);
    if (!path || !path_has_suffix(path, ".npy")) continue;
    why inner = {0};
    size_t length = 0;
    char *npy = unpack(zip, most, &length, &inner);
    most -= length;
    sdx_value *v = npy ? npy_read(npy, length, &inner) : NULL;
    free(npy);
    ok = v != NULL;
    if (!ok) {
      why_set(w, "array '%s': %.400s", path, inner.text);
    } else {
      char *name = xformat("%.*s", (int)(strlen(path) - 4), path);
      named_add(out, name, v);
      free(name);
    }
  }
  if (ok && code != ARCHIVE_EOF) {
    const char *text = archive_error_string(zip);
    why_set(w, "not a .npz file: %.400s", text ? text : "unreadable archive");
    ok = false;
  }
  archive_read_free(zip);
  if (!ok) named_clear(out);
  return ok;
}

static void archive_why(struct archive *zip, why *w) {
  int error = archive_errno(zip);
  const char *text = archive_error_string(zip);
  why_set(w, "%.400s", error > 0 ? strerror(error) : text ? text : "unknown failure");
}

static bool add_array(struct archive *zip, const struct named_value *v, why *w) {
  size_t size;
  char *npy = npy_write(v->value, &size, w), *name = xformat("%s.npy", v->name);
  struct archive_entry *entry = npy ? archive_entry_new() : NULL;
  bool ok = entry != NULL;
  if (ok) {
    archive_entry_set_pathname_utf8(entry, name);
    archive_entry_set_size(entry, (la_int64_t)size);
    archive_entry_set_filetype(entry, AE_IFREG);
    archive_entry_set_perm(entry, 0644);
    ok = !archive_write_header(zip, entry) && archive_write_data(zip, npy, size) == (la_ssize_t)size;
    if (!ok) archive_why(zip, w);
  }
  archive_entry_free(entry);
  free(name);
  free(npy);
  return ok;
}

bool npz_write(const char *path, const named_values *list, why *w) {
  output o;
  if (!output_open(&o, path, true, w)) return false;
  struct archive *zip = archive_write_new();
  why inner = {"out of memory"};
  bool ok = zip && !archive_write_set_format_zip(zip) && !archive_write_zip_set_compression_store(zip) &&
            !archive_write_set_bytes_in_last_block(zip, 1) && !archive_write_open_fd(zip, o.fd);
  for (size_t i = 0; i < list->count && ok; i++) ok = add_array(zip, &list->at[i], &inner);
  if (zip && archive_write_close(zip) && ok) {
    archive_why(zip, &inner);
    ok = false;
  }
  if (!ok && zip && archive_errno(zip) == EPIPE && is_standard_stream(path)) end_by_broken_pipe();
  archive_write_free(zip);
  if (!ok) why_set(w, "cannot write %s: %.500s", is_standard_stream(path) ? "to standard output" : path, inner.text);
  return output_close(&o, ok, w);
}
