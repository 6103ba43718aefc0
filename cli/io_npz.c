// SPDX-License-Identifier: Apache-2.0
// NumPy's .npz: a zip archive with one .npy per array.
#include <archive.h>
#include <archive_entry.h>
#include <stdlib.h>
#include <string.h>

#include "cli/io.h"

// Arrays of test data and features; a zip that unpacks to more is taken for a bomb.
static const int64_t max_entry_bytes = (int64_t)4 << 30;

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
static char *unpack(struct archive *zip, size_t *size, why *w) {
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
    if ((int64_t)used > max_entry_bytes) {
      free(bytes);
      return why_set(w, "unpacks to more than 4 GiB");
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
  if (!ok) why_set(w, "not a .npz file (a zip archive of .npy files)");
  while (ok && (code = archive_read_next_header(zip, &entry)) == ARCHIVE_OK) {
    const char *path = archive_entry_pathname(entry);
    if (!path || !path_has_suffix(path, ".npy")) continue;
    why inner = {0};
    size_t length = 0;
    char *npy = unpack(zip, &length, &inner);
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

bool npz_write(const char *path, const named_values *list, why *w) {
  struct archive *zip = archive_write_new();
  bool ok = zip && !archive_write_set_format_zip(zip) && !archive_write_zip_set_compression_store(zip) &&
            !archive_write_open_filename(zip, path);
  if (!ok)
    why_set(w, "cannot write %s: %.400s", path,
            zip && archive_error_string(zip) ? archive_error_string(zip) : "out of memory");
  for (size_t i = 0; i < list->count && ok; i++) {
    size_t size;
    char *npy = npy_write(list->at[i].value, &size, w);
    struct archive_entry *entry = archive_entry_new();
    ok = npy && entry;
    if (ok) {
      char *name = xformat("%s.npy", list->at[i].name);
      archive_entry_set_pathname_utf8(entry, name);
      archive_entry_set_size(entry, (la_int64_t)size);
      archive_entry_set_filetype(entry, AE_IFREG);
      archive_entry_set_perm(entry, 0644);
      ok = !archive_write_header(zip, entry) && archive_write_data(zip, npy, size) == (la_ssize_t)size;
      if (!ok)
        why_set(w, "cannot write %s: %.400s", path, archive_error_string(zip) ? archive_error_string(zip) : "unknown");
      free(name);
    }
    archive_entry_free(entry);
    free(npy);
  }
  if (zip && archive_write_close(zip) && ok) {
    why_set(w, "cannot write %s: %.400s", path, archive_error_string(zip) ? archive_error_string(zip) : "unknown");
    ok = false;
  }
  archive_write_free(zip);
  return ok;
}
