// SPDX-License-Identifier: Apache-2.0
// External data; see external.h. The kernel does the path check while it opens (openat2 beneath, no
// symbolic links); where openat2 is missing, the path is walked folder by folder with O_NOFOLLOW.
// There is never a check of a name followed by an open of that name.
#include "onnx/external.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "onnx/sha1.h"

enum { MAX_LOCATION = 4096 };

void external_gate_init(external_gate *gate, const char *dir, bool allow_hard_links, text *warnings) {
  *gate = (external_gate){
      .dir = dir, .allow_hard_links = allow_hard_links, .warnings = warnings, .dir_fd = -1, .file_fd = -1};
}

static void close_file(external_gate *gate) {
  if (gate->file_fd >= 0) close(gate->file_fd);
  gate->file_fd = -1;
  gate->has_sha1 = false;
}

void external_gate_deinit(external_gate *gate) {
  close_file(gate);
  if (gate->dir_fd >= 0) close(gate->dir_fd);
  gate->dir_fd = -1;
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

enum { OPEN_FLAGS = O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC };

// openat2 is missing: one folder at a time, no link followed. `path` has no '..' (location_fault).
static int open_walk(int dir, char *path) {
  int at = dir;
  for (char *part = path;;) {
    char *slash = strchr(part, '/');
    if (slash) *slash = 0;
    int flags = slash ? O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC : OPEN_FLAGS | O_NOFOLLOW;
    int next = openat(at, part, flags);
    int reason = errno;
    if (at != dir) close(at);
    errno = reason;
    if (next < 0 || !slash) return next;
    at = next;
    part = slash + 1;
  }
}

static int open_beneath(int dir, char *path) {
  struct open_how how = {.flags = OPEN_FLAGS, .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
  for (int tries = 0;; tries++) {
    long fd = syscall(SYS_openat2, dir, path, &how, sizeof how);
    if (fd >= 0) return (int)fd;
    if (errno == ENOSYS || errno == EPERM) return open_walk(dir, path);  // old kernel, or a seccomp filter
    if ((errno != EINTR && errno != EAGAIN) || tries == 16) return -1;
  }
}

static sdx_status fail_hint(str location, sdx_status status, const char *wrong, const char *hint, error *err) {
  error_at(err, at_file(location), status, "%s", wrong);
  error_hint(err, "%s", hint);
  return status;
}

static sdx_status fail_open(str location, int reason, error *err) {
  switch (reason) {
    case ENOENT:
    case ENOTDIR:
      error_at(err, at_file(location), SDX_NOT_FOUND, "is not in the model's folder");
      error_code(err, "missing-file");
      return SDX_NOT_FOUND;
    case ELOOP:
    case EXDEV:
      return fail_hint(location, SDX_FORBIDDEN, "is reached through a symbolic link",
                       "put the file itself into the model's folder, or name the folder that holds it by option "
                       "external_data_dir",
                       err);
    case ENXIO:  // a socket, or a pipe without writer
      return error_at(err, at_file(location), SDX_FORBIDDEN, "is not a regular file");
    default: {
      char text[64];
      return error_at(err, at_file(location), SDX_IO_ERROR, "cannot be opened: %s",
                      strerror_r(reason, text, sizeof text));
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

static sdx_status open_file(external_gate *gate, str location, error *err) {
  if (gate->file_fd >= 0 && str_equal(gate->file_name, location)) return SDX_OK;
  const char *fault = location_fault(location);
  if (fault)
    return error_at(err, at_file(location), SDX_FORBIDDEN, "%s, expected a path inside the model's folder", fault);
  if (!gate->dir)
    return fail_hint(location, SDX_FORBIDDEN, "holds data, but the model was loaded from bytes, without a folder",
                     "name the folder by option external_data_dir", err);
  close_file(gate);
  if (gate->dir_fd < 0) gate->dir_fd = open(*gate->dir ? gate->dir : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (gate->dir_fd < 0) return error_set(err, SDX_NOT_FOUND, "the folder for external data cannot be opened");
  char path[MAX_LOCATION + 1];
  memcpy(path, location.at, location.size);
  path[location.size] = 0;
  int fd = open_beneath(gate->dir_fd, path);
  if (fd < 0) return fail_open(location, errno, err);
  struct stat info;
  sdx_status status = SDX_OK;
  if (fstat(fd, &info) != 0) {
    status = error_at(err, at_file(location), SDX_IO_ERROR, "cannot be examined");
  } else if (!S_ISREG(info.st_mode)) {
    status = error_at(err, at_file(location), SDX_FORBIDDEN, "is not a regular file");
  } else if (info.st_nlink != 1 && !gate->allow_hard_links) {
    status =
        error_at(err, at_file(location), SDX_FORBIDDEN, "has %llu names (hard links), so it may belong to someone else",
                 (unsigned long long)info.st_nlink);
    error_hint(err, "copy it, or set option allow_hard_links=1");
  }
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
