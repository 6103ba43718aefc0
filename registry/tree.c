// SPDX-License-Identifier: Apache-2.0
// Registered files under their own names again: in the store for who reads them here, copies for who takes them away.
// Either way every byte is checked against its digest first: a damaged model is not served.
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "registry/handle.h"
#include "support/files.h"

sdx_status tree_link(const registry *r, const registry_file *files, size_t count, int folder, fault *f) {
  for (size_t i = 0; i < count; i++) {
    if (folder_make_parents(folder, files[i].path, 0700, f)) return f->status;
    if (linkat(r->store.blobs, digest_hex(files[i].blob.digest), folder, files[i].path, 0))
      return fault_errno(f, errno, "%s: cannot link %s", r->store.path, files[i].path);
  }
  return SDX_OK;
}

// What names the whole of the files: the one file or folder they lie in, or "". NULL: no memory.
static char *top_of(const registry_file *files, size_t count) {
  size_t length = count ? strcspn(files[0].path, "/") : 0;
  for (size_t i = 1; i < count && length; i++)
    if (strcspn(files[i].path, "/") != length || strncmp(files[i].path, files[0].path, length) != 0) length = 0;
  return count ? strndup(files[0].path, length) : strdup("");
}

// ---- the files of a row ------------------------------------------------------------------------

typedef struct file_list {
  registry_file *at;
  size_t count;
} file_list;

static void list_free(file_list *list) {
  for (size_t i = 0; i < list->count; i++) free((char *)list->at[i].path);
  free(list->at);
}

static sdx_status list_read(registry *r, const asset_key *key, file_list *list, fault *f) {
  *list = (file_list){0};
  sqlite3_stmt *s =
      database_query(&r->db, f, "SELECT path, digest, size, media_type FROM files WHERE asset = ?1", "i", key->id);
  while (database_row(&r->db, s, f)) {
    registry_file *more = realloc(list->at, (list->count + 1) * sizeof *more);
    char *path = strdup(database_text(s, 0));
    if (more) list->at = more;
    if (!more || !path) {
      free(path);
      fault_no_memory(f);
      break;
    }
    bool onnx = !strcmp(database_text(s, 3), ONNX_MEDIA_TYPE);
    list->at[list->count] = (registry_file){
        .path = path, .media_type = onnx ? ONNX_MEDIA_TYPE : "", .blob.size = (uint64_t)sqlite3_column_int64(s, 2)};
    snprintf(list->at[list->count++].blob.digest, DIGEST_BYTES, "%s", database_text(s, 1));
  }
  sqlite3_finalize(s);
  return f->status;
}

static sdx_status check_file(const registry_file *file, int fd, fault *f) {
  char digest[DIGEST_BYTES];
  uint64_t size;
  if (store_digest(fd, digest, &size, f)) return fault_place(f, "%s", file->path);
  if (size == file->blob.size && !strcmp(digest, file->blob.digest)) return SDX_OK;
  fault_set(f, SDX_IO_ERROR, "%s is damaged: its bytes are not those that were registered", file->path);
  return fault_hint(f, "'sardonyx workspace verify' lists everything that is damaged");
}

// ---- trees -------------------------------------------------------------------------------------

static bool copy_out(int from, int to, uint64_t size) {
  if (!ioctl(to, FICLONE, from)) return true;
  while (size) {
    ssize_t done = copy_file_range(from, NULL, to, NULL, size, 0);
    if (done <= 0) break;
    size -= (uint64_t)done;
  }
  return !size;
}

// A file that has another name as well is refused as external data: only the model itself may be a link.
static sdx_status place_file(const registry *r, const registry_file *file, int folder, fault *f) {
  if (!strcmp(file->media_type, ONNX_MEDIA_TYPE)) return tree_link(r, file, 1, folder, f);
  if (folder_make_parents(folder, file->path, 0700, f)) return f->status;
  int from = store_open_blob(&r->store, file->blob.digest, NULL, f);
  int to = from < 0 ? -1 : openat(folder, file->path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0444);
  if (from >= 0 && (to < 0 || !copy_out(from, to, file->blob.size) || fsync(to)))
    fault_errno(f, errno, "%s: cannot copy %s", r->store.path, file->path);
  if (to >= 0) close(to);
  if (from >= 0) close(from);
  return f->status;
}

static sdx_status make_tree(registry *r, const asset_key *key, const file_list *list, int models, const char *version,
                            fault *f) {
  registry_change *c;
  if (registry_begin(r, &c, f)) return f->status;
  int tree = folder_open(change_folder(c), "tree", 0700, f);
  for (size_t i = 0; i < list->count && !f->status; i++) place_file(r, &list->at[i], tree, f);
  if (!f->status && !folder_sync(tree, f) && renameat(change_folder(c), "tree", models, version) && errno != EEXIST &&
      errno != ENOTEMPTY)
    fault_errno(f, errno, "%s: cannot place the files of %s:%s", r->store.path, key->name, version);
  if (tree >= 0) close(tree);
  registry_end(c);
  return f->status;
}

// Whether every file of a tree is there with the bytes it was registered with.
static sdx_status check_tree(const file_list *list, int tree, fault *f) {
  for (size_t i = 0; i < list->count && !f->status; i++) {
    int fd = openat(tree, list->at[i].path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
    if (fd < 0) return fault_errno(f, errno, "%s", list->at[i].path);
    check_file(&list->at[i], fd, f);
    close(fd);
  }
  return f->status;
}

static sdx_status open_tree(registry *r, const asset_key *key, const file_list *list, fault *f) {
  char version[24];
  snprintf(version, sizeof version, "%lld", (long long)key->version);
  int models = folder_open(r->store.models, key->name, 0700, f);
  for (int turn = 0; turn < 2 && models >= 0 && !f->status; turn++) {
    fault damaged = {0};
    int tree = openat(models, version, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
    bool good = tree >= 0 && !check_tree(list, tree, &damaged);
    if (tree >= 0) close(tree);
    if (good) break;
    if (turn) *f = damaged;  // the blobs are no better
    else if (!tree_remove(models, version, f)) make_tree(r, key, list, models, version, f);
  }
  if (models >= 0) close(models);
  return f->status;
}

sdx_status registry_model_folder(registry *r, const char *reference, char **path, fault *f) {
  asset_key key;
  file_list list = {0};
  *path = NULL;
  if (!asset_find(r, ASSET_MODEL, reference, &key, f) && !list_read(r, &key, &list, f) &&
      !open_tree(r, &key, &list, f)) {
    *path = path_format("%s/models/%s/%lld", r->store.path, key.name, (long long)key.version);
    if (!*path) fault_no_memory(f);
  }
  list_free(&list);
  return f->status;
}

sdx_status registry_model_path(registry *r, const char *reference, char **path, fault *f) {
  asset_key key;
  file_list list = {0};
  char *folder = NULL, *top = NULL;
  *path = NULL;
  if (!registry_model_folder(r, reference, &folder, f) && !asset_find(r, ASSET_MODEL, reference, &key, f) &&
      !list_read(r, &key, &list, f)) {
    top = top_of(list.at, list.count);
    *path = top ? path_format("%s%s%s", folder, *top ? "/" : "", top) : NULL;
    if (!*path) fault_no_memory(f);
  }
  list_free(&list);
  free(folder);
  free(top);
  return f->status;
}

// ---- copies ------------------------------------------------------------------------------------

static sdx_status download(const registry *r, const registry_file *file, int folder, bool replace, fault *f) {
  char *other = path_format("%s.%d.new", file->path, (int)getpid());
  int from = other ? store_open_blob(&r->store, file->blob.digest, NULL, f) : -1, to = -1;
  if (!other) fault_no_memory(f);
  if (from >= 0 && !check_file(file, from, f) && !folder_make_parents(folder, file->path, 0755, f)) {
    to = openat(folder, other, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
    if (to < 0 || !copy_out(from, to, file->blob.size)) fault_errno(f, errno, "cannot write %s", file->path);
    else if (replace ? renameat(folder, other, folder, file->path)
                     : renameat2(folder, other, folder, file->path, RENAME_NOREPLACE))
      fault_errno(f, errno, "cannot place %s", file->path);
  }
  if (to >= 0 && f->status) unlinkat(folder, other, 0);
  if (to >= 0) close(to);
  if (from >= 0) close(from);
  free(other);
  return f->status;
}

sdx_status registry_download_model(registry *r, const char *reference, const char *folder, bool replace, fault *f) {
  asset_key key;
  file_list list = {0};
  int fd = -1;
  if (!asset_find(r, ASSET_MODEL, reference, &key, f) && !list_read(r, &key, &list, f))
    fd = folder_open(AT_FDCWD, folder, 0755, f);
  for (size_t i = 0; i < list.count && fd >= 0 && !f->status && !replace; i++)
    if (!faccessat(fd, list.at[i].path, F_OK, AT_SYMLINK_NOFOLLOW)) {
      fault_set(f, SDX_CONFLICT, "%s/%s exists already", folder, list.at[i].path);
      fault_hint(f, "name another folder, or replace what is there with --force");
    }
  for (size_t i = 0; i < list.count && fd >= 0 && !f->status; i++) {
    registry_progress(r, list.at[i].path, i, list.count);
    download(r, &list.at[i], fd, replace, f);
  }
  if (fd >= 0) close(fd);
  list_free(&list);
  return f->status;
}
