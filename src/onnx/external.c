// SPDX-License-Identifier: Apache-2.0
// External data; see external.h. A location is judged as text first, then walked part by part (links.h); there is
// never a check of a name followed by an open of that name.
#include "onnx/external.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/file_kind.h"
#include "onnx/sha1.h"

enum { MAX_LOCATION = 4096 };

void external_gate_init(external_gate *gate, const import_options *options, text *warnings) {
  *gate = (external_gate){
      .dir = options->external_dir,
      .model = options->file,
      .allow_hard_links = options->allow_hard_links || (options->file && options->file->names > 1),
      .warnings = warnings,
      .file_fd = -1,
  };
}

static void close_file(external_gate *gate) {
  if (gate->file_fd >= 0) close(gate->file_fd);
  gate->file_fd = -1;
  gate->has_sha1 = false;
}

void external_gate_deinit(external_gate *gate) {
  close_file(gate);
  while (gate->folder_count) close(gate->folders[--gate->folder_count]);
}

// ---- keys -------------------------------------------------------------------------------------------

// Digits only: no sign, no space, no prefix.
static sdx_status parse_number(const char *key, str text, uint64_t *number, error *err) {
  uint64_t n = 0;
  bool good = text.size > 0;
  for (size_t i = 0; good && i < text.size; i++) {
    unsigned digit = (unsigned)(text.at[i] - '0');
    good = digit <= 9 && !__builtin_mul_overflow(n, 10u, &n) && !__builtin_add_overflow(n, digit, &n);
  }
  if (!good || n > INT64_MAX)
    return error_set(err, SDX_INVALID_MODEL, "external_data: %s '%.*s' is not a number from 0 to 2^63-1", key,
                     STR_ARG(text));
  *number = n;
  return SDX_OK;
}

static bool is_hex(char c) { return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F'); }

// What is wrong with a location, NULL if nothing is. Purely lexical; opening does the rest.
static const char *location_fault(str l) {
  if (l.size == 0) return "is empty";
  if (l.size > MAX_LOCATION) return "is longer than 4096 bytes";
  if (memchr(l.at, 0, l.size)) return "holds a NUL byte";
  if (l.at[0] == '/') return "is an absolute path";
  if (l.size > 1 && l.at[1] == ':' && ((l.at[0] | 32) >= 'a' && (l.at[0] | 32) <= 'z')) return "names a drive";
  if (memchr(l.at, '\\', l.size)) return "holds a backslash";
  for (size_t i = 0; i + 2 < l.size; i++)
    if (l.at[i] == '%' && is_hex(l.at[i + 1]) && is_hex(l.at[i + 2])) return "is percent-encoded";
  for (size_t from = 0; from <= l.size;) {
    const char *slash = memchr(l.at + from, '/', l.size - from);
    size_t to = slash ? (size_t)(slash - l.at) : l.size;
    str part = {l.at + from, to - from};
    if (str_is(part, "..")) return "leaves the model's folder by '..'";
    if (part.size == 0 || (!slash && str_is(part, "."))) return "does not name a file";
    from = to + 1;
  }
  return NULL;
}

static sdx_status take_once(bool *has, str key, error *err) {
  if (*has) return error_set(err, SDX_INVALID_MODEL, "external_data: key '%.*s' is given twice", STR_ARG(key));
  *has = true;
  return SDX_OK;
}

sdx_status external_ref_set(external_gate *gate, external_ref *ref, str key, str value, error *err) {
  if (str_is(key, "location")) {
    SDX_TRY(take_once(&ref->has_location, key, err));
    ref->location = value;
  } else if (str_is(key, "offset")) {
    SDX_TRY(take_once(&ref->has_offset, key, err));
    SDX_TRY(parse_number("offset", value, &ref->offset, err));
  } else if (str_is(key, "length")) {
    SDX_TRY(take_once(&ref->has_length, key, err));
    SDX_TRY(parse_number("length", value, &ref->length, err));
  } else if (str_is(key, "checksum")) {
    SDX_TRY(take_once(&ref->has_checksum, key, err));
    ref->checksum = value;
  } else if (gate && gate->warnings) {
    text_format(gate->warnings, "external_data: unknown key '%.*s' is ignored\n", STR_ARG(key));
  }
  return SDX_OK;
}

// ---- opening ----------------------------------------------------------------------------------------

static void add_folder(external_gate *gate, int fd) {
  if (fd < 0) return;
  if (links_folder_id(fd, &gate->roots[gate->folder_count])) gate->folders[gate->folder_count++] = fd;
  else close(fd);
}

// The folder where the links of the model's name end. Only while they end at the file that was loaded: else somebody
// changed them, and could point them to a folder of his choice.
static void add_real_folder(external_gate *gate) {
  link_seen link;
  struct stat info;
  int folder;
  int fd = links_open(AT_FDCWD, gate->model->path, NULL, 0, &link, &folder);
  if (fd < 0) return;
  if (link.any && fstat(fd, &info) == 0 && info.st_dev == gate->model->device && info.st_ino == gate->model->inode)
    add_folder(gate, folder);
  else close(folder);
  close(fd);
}

// What is told of a file that is not to be had, beside what is wrong.
static sdx_status advise(sdx_status status, const char *hint, error *err) {
  error_code(err, status == SDX_NOT_FOUND ? "missing-file" : "forbidden-file");
  error_hint(err, "%s", hint);
  return status;
}

static sdx_status open_folders(external_gate *gate, str location, error *err) {
  if (gate->folder_count) return SDX_OK;
  if (!gate->dir && !gate->model)
    return advise(error_at(err, at_file(location), SDX_FORBIDDEN,
                           "holds data, but the model was loaded from bytes, without a folder"),
                  "name the folder by option external_data_dir", err);
  if (gate->dir) add_folder(gate, links_open_folder(AT_FDCWD, *gate->dir ? gate->dir : "."));
  if (gate->dir && !gate->folder_count)
    return error_at(err, at_option("external_data_dir"), SDX_NOT_FOUND,
                    "names the folder '%.200s', which cannot be opened: %s", gate->dir, strerror(errno));
  if (!gate->model) return SDX_OK;
  char folder[LINKS_PATH];
  const char *slash = strrchr(gate->model->path, '/');
  int size = slash ? (int)(slash - gate->model->path) + 1 : 0;
  if ((size_t)snprintf(folder, sizeof folder, "%.*s", size, gate->model->path) < sizeof folder)
    add_folder(gate, links_open_folder(AT_FDCWD, size ? folder : "."));
  add_real_folder(gate);
  return gate->folder_count ? SDX_OK
                            : error_set(err, SDX_NOT_FOUND, "the folder of the model file cannot be opened any more");
}

static sdx_status fail_open(str location, const link_seen *link, int reason, error *err) {
  error_part file = at_file(location);
  switch (reason) {
    case ENOENT:
    case ENOTDIR:
      if (link->any)
        error_at(err, file, SDX_NOT_FOUND, "is not there: the symbolic link '%s' -> '%.300s' leads nowhere", link->name,
                 link->target);
      return advise(error_at(err, file, SDX_NOT_FOUND, "is not in the model's folder"), "", err);
    case EXDEV:
      return advise(error_at(err, file, SDX_FORBIDDEN,
                             "is reached through the symbolic link '%s' -> '%.300s', which leads out of the model's "
                             "folder",
                             link->name, link->target),
                    "put the file itself there, or name the folder that holds it by option external_data_dir", err);
    case ELOOP:
      return advise(error_at(err, file, SDX_FORBIDDEN,
                             "is not there: symbolic links like '%s' -> '%.300s' lead around in a circle", link->name,
                             link->target),
                    "", err);
    case ENXIO:  // a socket, or a pipe without writer
      return advise(error_at(err, file, SDX_FORBIDDEN, "is not a regular file"), "", err);
    default: {
      char text[64];
      return error_at(err, file, SDX_IO_ERROR, "cannot be opened: %s", strerror_r(reason, text, sizeof text));
    }
  }
}

static void note_file(external_gate *gate, str location) {
  if (!gate->files) return;
  for (size_t at = 0; at < gate->files->size; at += strlen(gate->files->at + at) + 1)
    if (str_is(location, gate->files->at + at)) return;
  text_str(gate->files, location);
  text_append(gate->files, "", 1);
}

// Looks through the folders; a link that leads nowhere in one of them says more than a name that is in none.
static sdx_status find_file(external_gate *gate, str location, int *fd, error *err) {
  char path[MAX_LOCATION + 1];
  link_seen link, dangling = {0};
  memcpy(path, location.at, location.size);
  path[location.size] = 0;
  for (size_t i = 0; i < gate->folder_count; i++) {
    *fd = links_open(gate->folders[i], path, gate->roots, gate->folder_count, &link, NULL);
    if (*fd >= 0) return SDX_OK;
    if (errno != ENOENT && errno != ENOTDIR) return fail_open(location, &link, errno, err);
    if (link.any) dangling = link;
  }
  return fail_open(location, &dangling, ENOENT, err);
}

static sdx_status check_file(const external_gate *gate, str location, int fd, struct stat *info, error *err) {
  char head[1024];
  error_part file = at_file(location);
  if (fstat(fd, info) != 0) return error_at(err, file, SDX_IO_ERROR, "cannot be examined");
  if (!S_ISREG(info->st_mode)) return advise(error_at(err, file, SDX_FORBIDDEN, "is not a regular file"), "", err);
  if (info->st_nlink != 1 && !gate->allow_hard_links)
    return advise(error_at(err, file, SDX_FORBIDDEN,
                           "has %llu names (hard links) and the model has one, so it may belong to someone else",
                           (unsigned long long)info->st_nlink),
                  "copy it, or set option allow_hard_links=1", err);
  ssize_t size = pread(fd, head, sizeof head, 0);
  const file_kind *kind = size > 0 ? file_kind_of(head, (size_t)size) : NULL;
  if (kind && kind->role == FILE_STAND_IN)
    return advise(error_at(err, file, SDX_NOT_FOUND, "is %s", kind->what), kind->advice, err);
  return SDX_OK;
}

static sdx_status open_file(external_gate *gate, str location, error *err) {
  if (gate->file_fd >= 0 && str_equal(gate->file_name, location)) return SDX_OK;
  const char *fault = location_fault(location);
  if (fault)
    return advise(
        error_at(err, at_file(location), SDX_FORBIDDEN, "%s, expected a path inside the model's folder", fault), "",
        err);
  SDX_TRY(open_folders(gate, location, err));
  close_file(gate);
  int fd;
  struct stat info;
  SDX_TRY(find_file(gate, location, &fd, err));
  sdx_status status = check_file(gate, location, fd, &info, err);
  if (status != SDX_OK) {
    close(fd);
    return status;
  }
  gate->file_fd = fd;
  gate->file_name = location;
  note_file(gate, location);
  gate->file_size = (uint64_t)info.st_size;
  return SDX_OK;
}

// ---- reading ----------------------------------------------------------------------------------------

static sdx_status read_fully(external_gate *gate, uint64_t offset, void *target, size_t bytes, error *err) {
  for (size_t done = 0; done < bytes;) {
    size_t piece = bytes - done < (size_t)1 << 30 ? bytes - done : (size_t)1 << 30;
    ssize_t n = pread(gate->file_fd, (char *)target + done, piece, (off_t)(offset + done));
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) {
      error_at(err, at_file(gate->file_name), SDX_IO_ERROR, "ended or failed while it was read");
      error_offset(err, offset + done);
      return SDX_IO_ERROR;
    }
    done += (size_t)n;
  }
  return SDX_OK;
}

sdx_status external_hash(external_gate *gate, str location, hash *h, error *err) {
  unsigned char block[16384];
  SDX_TRY(open_file(gate, location, err));
  for (uint64_t at = 0; at < gate->file_size;) {
    size_t piece = gate->file_size - at < sizeof block ? (size_t)(gate->file_size - at) : sizeof block;
    SDX_TRY(read_fully(gate, at, block, piece, err));
    hash_add(h, block, piece);
    at += piece;
  }
  return SDX_OK;
}

// The checksum is of the whole file, so it is taken once per file.
static sdx_status check_sha1(external_gate *gate, str wanted, error *err) {
  if (!gate->has_sha1) {
    unsigned char block[16384];
    sha1 h;
    sha1_init(&h);
    for (uint64_t at = 0; at < gate->file_size;) {
      size_t piece = gate->file_size - at < sizeof block ? (size_t)(gate->file_size - at) : sizeof block;
      SDX_TRY(read_fully(gate, at, block, piece, err));
      sha1_add(&h, block, piece);
      at += piece;
    }
    sha1_end(&h, gate->sha1);
    gate->has_sha1 = true;
  }
  bool same = wanted.size == 2 * sizeof gate->sha1;
  for (size_t i = 0; same && i < wanted.size; i++) {
    unsigned nibble = gate->sha1[i / 2] >> (i % 2 ? 0 : 4) & 15;
    same = (wanted.at[i] | 32) == ("0123456789abcdef"[nibble] | 32);
  }
  if (!same)
    return error_at(err, at_file(gate->file_name), SDX_INVALID_MODEL, "does not have the SHA-1 checksum '%.*s'",
                    STR_ARG(wanted));
  return SDX_OK;
}

sdx_status external_open(external_gate *gate, const external_ref *ref, size_t bytes, error *err) {
  if (!ref->has_location) return error_set(err, SDX_INVALID_MODEL, "external_data has no key 'location'");
  if (ref->has_length && ref->length != bytes)
    return error_set(err, SDX_INVALID_MODEL, "external_data: length is %llu where type and dims need %zu bytes",
                     (unsigned long long)ref->length, bytes);
  SDX_TRY(open_file(gate, ref->location, err));
  if (bytes > gate->file_size || ref->offset > gate->file_size - bytes) {
    error_at(err, at_file(ref->location), SDX_INVALID_MODEL, "has %llu bytes; %zu bytes at offset %llu are not in it",
             (unsigned long long)gate->file_size, bytes, (unsigned long long)ref->offset);
    error_offset(err, ref->offset);
    return SDX_INVALID_MODEL;
  }
  return ref->has_checksum ? check_sha1(gate, ref->checksum, err) : SDX_OK;
}

sdx_status external_read(external_gate *gate, const external_ref *ref, void *target, size_t bytes, error *err) {
  return read_fully(gate, ref->offset, target, bytes, err);
}
