// SPDX-License-Identifier: Apache-2.0
// A script worker from the host's side (worker.h).
#include "script/worker.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host.h"
#include "support/files.h"
#include "support/process.h"

enum { ASK_MS = 20000, ASK_BYTES = 1 << 20, MOST_PATHS = 200, HEADER = 12, OPEN_FILES = 256 };
static const uint64_t standard_memory = (uint64_t)4 << 30, standard_body = (uint64_t)64 << 20,
                      file_bytes = (uint64_t)100 << 20;

struct script_worker {
  pid_t pid;
  int socket;
  uint64_t body_bytes;
};

// ---- Python ------------------------------------------------------------------------------------

json_t *script_python(const char *python, fault *f) {
  static const char program_text[] =
      "import sys, json, os\n"
      "print(json.dumps({'executable': sys.executable, 'real': os.path.realpath(sys.executable), 'prefix': sys.prefix,"
      "'base_prefix': sys.base_prefix, 'version': '.'.join(map(str, sys.version_info[:3])), 'path': sys.path}))";
  const char *arguments[] = {python ? python : "python3", "-I", "-B", "-c", program_text, NULL};
  process_output o;
  if (process_run((program){.arguments = arguments, .pass = -1}, NULL, 0, ASK_BYTES, ASK_MS, &o, f)) {
    fault_hint(f, "--python names another one");
    return NULL;
  }
  json_t *said = o.code == 0 ? json_loadb(o.out, o.out_size, 0, NULL) : NULL;
  if (!json_is_string(json_object_get(said, "real")))
    fault_set(f, SDX_NOT_SUPPORTED, "%s is not a Python that works: %.200s", arguments[0], o.err);
  process_output_free(&o);
  if (!f->status) return said;
  json_decref(said);
  return NULL;
}

char *script_programs(const char *command, fault *f) {
  static const char *const places[] = {"share/sardonyx/script", "../share/sardonyx/script"};
  const char *slash = strrchr(command, '/');
  char *path = NULL;
  for (size_t i = 0; i < 2 && (!path || access(path, R_OK)); i++) {
    free(path);
    path = path_format("%.*s%s", slash ? (int)(slash - command + 1) : 0, command, places[i]);
  }
  if (path && !access(path, R_OK)) return path;
  fault_set(f, SDX_NOT_FOUND, "the Python side of script workers is not there: %s", path ? path : "");
  fault_hint(f, "'make install' puts it into share/sardonyx/script");
  free(path);
  return NULL;
}

// ---- the process -------------------------------------------------------------------------------

typedef struct path_list {
  const char *at[MOST_PATHS + 1];
  size_t count;
} path_list;

static void add_path(path_list *list, const char *path) {
  if (path && *path == '/' && strcmp(path, "/") && list->count < MOST_PATHS) list->at[list->count++] = path;
}

static const char *text_of(const json_t *object, const char *key) {
  return json_string_value(json_object_get(object, key));
}

// `site`: the packages of an image, beside the programs.
static void fill_paths(const script_options *o, const char *site, path_list *read, path_list *run) {
  size_t i;
  json_t *path;
  for (i = 0; sandbox_system_read[i]; i++) add_path(read, sandbox_system_read[i]);
  for (i = 0; sandbox_system_run[i]; i++) add_path(run, sandbox_system_run[i]);
  for (i = 0; o->read && o->read[i]; i++) add_path(read, o->read[i]);
  add_path(run, text_of(o->python, "real"));
  add_path(read, text_of(o->python, "prefix"));
  // /usr as a whole is read: its lib and share are where interpreters and packages keep what they need.
  add_path(read, text_of(o->python, "base_prefix"));
  json_array_foreach(json_object_get(o->python, "path"), i, path) add_path(read, json_string_value(path));
  add_path(read, o->programs);
  add_path(read, site);
}

enum { OWN_VARIABLES = 4 };

bool script_sets(const char *variable) {
  static const char *const own[OWN_VARIABLES] = {"HOME", "TMPDIR", "LANG", "PATH"};
  size_t name = strcspn(variable, "=");
  for (size_t i = 0; i < OWN_VARIABLES; i++)
    if (strlen(own[i]) == name && !strncmp(variable, own[i], name)) return true;
  return false;
}

// free() the list; the texts stay whose they are. Of two of one name Python takes the first.
static const char **environment_of(const script_options *o, const char *home, const char *temporary) {
  const char *const own[OWN_VARIABLES] = {home, temporary, "LANG=C.UTF-8", "PATH=/usr/local/bin:/usr/bin:/bin"};
  size_t more = 0;
  while (o->environment && o->environment[more]) more++;
  const char **list = calloc(OWN_VARIABLES + more + 1, sizeof *list);
  if (!list) return NULL;
  memcpy(list, own, sizeof own);
  if (more) memcpy(list + OWN_VARIABLES, o->environment, more * sizeof *list);
  return list;
}

static sdx_status start(const script_options *o, int theirs, pid_t *pid, fault *f) {
  path_list read = {0}, run = {0};
  char *site = path_format("%s/../../../site", o->programs);
  fill_paths(o, site, &read, &run);
  const char *write_list[] = {o->scratch, NULL};
  sandbox box = {.read = read.at,
                 .run = run.at,
                 .write = write_list,
                 .network = o->network,
                 .memory_bytes = o->memory_bytes ? o->memory_bytes : standard_memory,
                 .cpu_seconds = o->cpu_seconds,
                 .file_bytes = file_bytes,
                 .open_files = OPEN_FILES};
  char *script = path_format("%s/sardonyx_worker.py", o->programs), *home = path_format("HOME=%s", o->scratch),
       *temporary = path_format("TMPDIR=%s", o->scratch);
  const char **environment = environment_of(o, home, temporary);
  const char *arguments[] = {text_of(o->python, "executable"), "-I", "-B", script, NULL};
  program p = {.arguments = arguments,
               .environment = environment,
               .folder = o->scratch,
               .box = &box,
               .in = -1,
               .out = o->log,
               .err = o->log,
               .pass = theirs};
  if (!site || !script || !home || !temporary || !environment) fault_no_memory(f);
  else process_start(&p, pid, f);
  free(environment);
  free(site);
  free(script);
  free(home);
  free(temporary);
  return f->status;
}

sdx_status script_start(const script_options *o, script_worker **worker, fault *f) {
  int pair[2] = {-1, -1};
  script_worker *w = *worker = calloc(1, sizeof *w);
  if (!w) return fault_no_memory(f);
  w->pid = -1;
  w->body_bytes = o->body_bytes ? o->body_bytes : standard_body;
  if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair)) fault_errno(f, errno, "socketpair");
  w->socket = pair[0];
  if (!f->status) start(o, pair[1], &w->pid, f);
  if (pair[1] >= 0) close(pair[1]);
  if (!f->status) return SDX_OK;
  script_stop(w);
  *worker = NULL;
  return f->status;
}

void script_stop(script_worker *w) {
  if (!w) return;
  if (w->socket >= 0) close(w->socket);
  if (w->pid > 0) process_end(w->pid);
  free(w);
}

int script_descriptor(const script_worker *w) { return w->socket; }

// ---- frames ------------------------------------------------------------------------------------

static sdx_status send_all(script_worker *w, const void *bytes, size_t size, fault *f) {
  const char *at = bytes;
  while (size) {
    ssize_t done = send(w->socket, at, size, MSG_NOSIGNAL);
    if (done < 0 && errno == EINTR) continue;
    if (done < 0) return fault_errno(f, errno, "the script worker ended");
    at += done;
    size -= (size_t)done;
  }
  return SDX_OK;
}

static void put_number(unsigned char *at, uint64_t number, size_t bytes) {
  for (size_t i = 0; i < bytes; i++) at[i] = (unsigned char)(number >> (8 * i));
}

static uint64_t get_number(const unsigned char *at, size_t bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes; i++) number |= (uint64_t)at[i] << (8 * i);
  return number;
}

sdx_status script_send(script_worker *w, const json_t *head, const void *body, size_t size, fault *f) {
  unsigned char header[HEADER];
  char *text = json_dumps(head, JSON_COMPACT);
  if (!text) return fault_no_memory(f);
  size_t length = strlen(text);
  put_number(header, length, 4);
  put_number(header + 4, size, 8);
  if (length > SCRIPT_HEAD_BYTES) fault_set(f, SDX_LIMIT_EXCEEDED, "a frame's head of %zu bytes", length);
  else if (!send_all(w, header, HEADER, f) && !send_all(w, text, length, f)) send_all(w, body, size, f);
  free(text);
  return f->status;
}

// How it ended, where that is known.
static sdx_status ended(script_worker *w, fault *f) {
  int status = 0;
  for (int wait = 0; wait < 100 && w->pid > 0; wait++) {
    if (waitpid(w->pid, &status, WNOHANG) == w->pid) {
      w->pid = -1;
      if (WIFSIGNALED(status)) {
        fault_set(f, SDX_IO_ERROR, "the script worker was ended by signal %d (%s)", WTERMSIG(status),
                  strsignal(WTERMSIG(status)));
        if (WTERMSIG(status) == SIGXCPU) fault_hint(f, "it used more CPU time than it may");
        return f->status;
      }
      return fault_set(f, SDX_IO_ERROR, "the script worker ended by itself, exit code %d", WEXITSTATUS(status));
    }
    usleep(1000);
  }
  return fault_set(f, SDX_IO_ERROR, "the script worker closed its channel");
}

static sdx_status receive_all(script_worker *w, void *bytes, size_t size, uint64_t end_ns, fault *f) {
  char *at = bytes;
  while (size) {
    struct pollfd polled = {w->socket, POLLIN, 0};
    uint64_t now = clock_ns();
    int ready = now >= end_ns ? 0 : poll(&polled, 1, (int)((end_ns - now) / 1000000 + 1));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) return fault_set(f, SDX_DEADLINE_EXCEEDED, "the script worker does not answer in time");
    ssize_t got = ready < 0 ? -1 : recv(w->socket, at, size, 0);
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got <= 0) return ended(w, f);
    at += got;
    size -= (size_t)got;
  }
  return SDX_OK;
}

sdx_status script_receive(script_worker *w, int timeout_ms, json_t **head, char **body, size_t *size, fault *f) {
  unsigned char header[HEADER];
  uint64_t end = clock_ns() + (uint64_t)timeout_ms * 1000000;
  *head = NULL;
  *body = NULL;
  if (receive_all(w, header, HEADER, end, f)) return f->status;
  uint64_t head_size = get_number(header, 4), body_size = get_number(header + 4, 8);
  if (head_size > SCRIPT_HEAD_BYTES || body_size > w->body_bytes)
    return fault_set(f, SDX_LIMIT_EXCEEDED,
                     "the script worker sends a frame of %llu and %llu bytes; at most %d and %llu are taken",
                     (unsigned long long)head_size, (unsigned long long)body_size, SCRIPT_HEAD_BYTES,
                     (unsigned long long)w->body_bytes);
  char *text = malloc(head_size + 1), *bytes = malloc(body_size + 1);
  if (!text || !bytes) fault_no_memory(f);
  else if (!receive_all(w, text, head_size, end, f) && !receive_all(w, bytes, body_size, end, f)) {
    bytes[body_size] = 0;
    *head = json_loadb(text, head_size, JSON_REJECT_DUPLICATES, NULL);
    if (!json_is_string(json_object_get(*head, "type")))
      fault_set(f, SDX_INVALID_ARGUMENT, "the script worker sends a frame that is none");
  }
  free(text);
  if (!f->status) {
    *body = bytes;
    *size = body_size;
    return SDX_OK;
  }
  json_decref(*head);
  *head = NULL;
  free(bytes);
  return f->status;
}
