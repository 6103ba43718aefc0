// SPDX-License-Identifier: Apache-2.0
// One server process (replica.h). The probe is a process of its own, so that a server that hangs holds up nobody but
// itself.
#include "deploy/replica.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host.h"
#include "deploy/launch.h"
#include "support/files.h"
#include "support/http.h"
#include "support/process.h"
#include "support/token.h"

enum { PROBE_PAUSE_US = 2000, SAMPLE_BYTES = 64 << 20, END_MS = 30000 };
static const char error_mark[] = "sardonyx: error: ";

const char *replica_state_name(replica_state state) {
  static const char *const names[] = {"starting", "ready", "serving", "draining"};
  return names[state];
}

// ---- the probe -----------------------------------------------------------------------------------

static long ask(http *h, const replica_plan *plan, const char *socket, const char *path, const char *body, size_t size,
                http_answer *answer) {
  char url[64], authorization[TOKEN_LONGEST + 16];
  fault f = {0};
  snprintf(url, sizeof url, "http://localhost%s", path);
  snprintf(authorization, sizeof authorization, "Bearer %s", plan->credential ? plan->credential : "");
  http_call call = {.method = body ? "POST" : "GET",
                    .url = url,
                    .unix_socket = socket,
                    .authorization = plan->credential ? authorization : NULL,
                    .content_type = body ? "application/json" : NULL,
                    .sends = body != NULL,
                    .send_bytes = body,
                    .send_size = size};
  return http_do(h, &call, answer, &f) ? 0 : answer->status;
}

static void wait_ready(http *h, const replica_plan *plan, const char *socket, fault *f) {
  uint64_t end = clock_ns() + plan->start_ms * (uint64_t)1000000;
  for (long status = 0; status != 200;) {
    http_answer answer;
    status = ask(h, plan, socket, "/health/ready", NULL, 0, &answer);
    if (status) http_answer_free(&answer);
    if (clock_ns() > end) {
      fault_set(f, SDX_DEADLINE_EXCEEDED, "the server was not ready within %u s", plan->start_ms / 1000);
      return;
    }
    if (status != 200) usleep(PROBE_PAUSE_US);
  }
}

static void send_sample(http *h, const replica_plan *plan, const char *socket, fault *f) {
  size_t size;
  http_answer answer;
  char *body = file_load(AT_FDCWD, plan->sample, SAMPLE_BYTES, &size, f);
  if (!body) return;
  long status = ask(h, plan, socket, "/score", body, size, &answer);
  if (!status) fault_set(f, SDX_CONFLICT, "the sample is not answered");
  else if (status != 200)
    fault_set(f, SDX_CONFLICT, "the sample is answered with status %ld: %.400s", status,
              answer.body ? answer.body : "");
  if (status) http_answer_free(&answer);
  free(body);
}

static void probe(const replica_plan *plan, const char *socket, int tell) {
  fault f = {0};
  http *h;
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (!http_open(&h, &f)) wait_ready(h, plan, socket, &f);
  if (!f.status && plan->sample) send_sample(h, plan, socket, &f);
  if (f.status && write(tell, f.message, strlen(f.message)) < 0) _exit(2);
  _exit(f.status ? 1 : 0);
}

static sdx_status start_probe(replica *r, const replica_plan *plan, const char *socket, fault *f) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return fault_errno(f, errno, "pipe");
  r->probe = fork();
  if (r->probe == 0) probe(plan, socket, ends[1]);
  int error = errno;
  close(ends[1]);
  r->found = ends[0];
  if (r->probe > 0) return SDX_OK;
  r->probe = 0;
  return fault_errno(f, error, "fork");
}

// Who listens on the socket of a replica; 0: nobody. Engines pass signals on to a container, but not reliably, so its
// server is sent them itself.
static pid_t listener_of(unsigned number) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  struct ucred who = {0};
  socklen_t size = sizeof who;
  snprintf(name.sun_path, sizeof name.sun_path, "%u.sock", number);
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && !connect(fd, (struct sockaddr *)&name, sizeof name))
    getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &size);
  if (fd >= 0) close(fd);
  return who.pid;
}

bool replica_judge(replica *r, int status) {
  r->probe = 0;
  ssize_t got = read(r->found, r->error, sizeof r->error - 1);
  if (got > 0) r->error[got] = 0;
  if (status) {
    if (!r->error[0]) snprintf(r->error, sizeof r->error, "the probe of the server ended early");
    return false;
  }
  r->state = REPLICA_READY;
  pid_t listener = listener_of(r->number);
  if (listener > 0) r->server = listener;
  return true;
}

// ---- the server ----------------------------------------------------------------------------------

// The words of a program and `more` behind them (NULL: none), with the number of the start where they ask for it.
static char **numbered(const char *const *words, const char *const *more, unsigned number, fault *f) {
  size_t mark = sizeof REPLICA_MARK - 1, count = 0, extra = 0;
  while (words[count]) count++;
  while (more && more[extra]) extra++;
  char **list = calloc(count + extra + 1, sizeof *list);
  if (!list) fault_no_memory(f);
  for (size_t i = 0; list && i < count + extra && !f->status; i++) {
    const char *word = i < count ? words[i] : more[i - count];
    size_t size = strlen(word);
    bool asks = size > mark && !strcmp(word + size - mark, REPLICA_MARK);
    list[i] = asks ? path_format("%.*s%u", (int)(size - mark), word, number) : strdup(word);
    if (!list[i]) fault_no_memory(f);
  }
  return list;
}

static sdx_status run_server(replica *r, const replica_plan *plan, char *const *words, int shared, fault *f) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC)) return fault_errno(f, errno, "pipe");
  program p = {.arguments = (const char *const *)words,
               .environment = plan->environment,
               .in = -1,
               .out = ends[1],
               .err = ends[1],
               .pass = shared};
  process_start(&p, &r->pid, f);
  r->server = r->pid;
  close(ends[1]);
  fcntl(ends[0], F_SETFL, O_NONBLOCK);
  r->said = ends[0];
  return f->status;
}

static sdx_status start_server(replica *r, const replica_plan *plan, const char *socket, int shared, fault *f) {
  const char *const own[] = {"--unix", socket, shared >= 0 ? "--listen-fd" : NULL, "3", NULL};
  char **words = numbered(plan->arguments, own, r->number, f);
  if (plan->end && !f->status) r->end = numbered(plan->end, NULL, r->number, f);
  if (!f->status) run_server(r, plan, words, shared, f);
  launch_words_free(words);
  return f->status;
}

replica *replica_start(const replica_plan *plan, unsigned number, int shared, fault *f) {
  replica *r = calloc(1, sizeof *r);
  char socket[32];
  if (!r) {
    fault_no_memory(f);
    return NULL;
  }
  *r = (replica){.revision = plan->revision, .number = number, .said = -1, .found = -1, .started_ns = clock_ns()};
  snprintf(socket, sizeof socket, "%u.sock", number);
  unlink(socket);
  if (!start_server(r, plan, socket, shared, f) && !start_probe(r, plan, socket, f)) return r;
  replica_destroy(r);
  return NULL;
}

void replica_reload(const replica *r) {
  if (r->state != REPLICA_STARTING) kill(r->server, SIGHUP);
}

void replica_release(replica *r) {
  kill(r->server, SIGUSR1);
  r->state = REPLICA_SERVING;
  r->served_ns = clock_ns();
}

void replica_drain(replica *r) {
  // One that serves nobody yet may be busy with loading, or hang.
  if (r->state != REPLICA_DRAINING) kill(r->server, r->state == REPLICA_STARTING ? SIGKILL : SIGTERM);
  r->state = REPLICA_DRAINING;
}

static void take_line(replica *r, const char *line, size_t size, replica_take take, void *context) {
  size_t mark = sizeof error_mark - 1;
  bool marked = size > mark && !strncmp(line, error_mark, mark);
  size_t skip = marked ? mark : 0;
  if (marked || !r->marked) snprintf(r->error, sizeof r->error, "%.*s", (int)(size - skip), line + skip);
  r->marked |= marked;
  take(context, r, line, size);
}

bool replica_read(replica *r, replica_take take, void *context) {
  ssize_t got = read(r->said, r->line + r->line_size, sizeof r->line - r->line_size);
  if (got < 0) return errno == EAGAIN || errno == EINTR;
  r->line_size += (size_t)got;
  char *at = r->line, *end = r->line + r->line_size;
  for (char *next; (next = memchr(at, '\n', (size_t)(end - at))); at = next + 1)
    take_line(r, at, (size_t)(next - at), take, context);
  // What has no end is cut: at the end of the stream, and where it is longer than a line may be.
  if (at < end && (!got || (at == r->line && r->line_size == sizeof r->line))) {
    take_line(r, at, (size_t)(end - at), take, context);
    at = end;
  }
  r->line_size = (size_t)(end - at);
  memmove(r->line, at, r->line_size);
  return got > 0;
}

void replica_destroy(replica *r) {
  if (!r) return;
  if (r->probe) {
    kill(r->probe, SIGKILL);
    waitpid(r->probe, NULL, 0);
  }
  if (r->pid > 0) process_end(r->pid);
  if (r->pid > 0 && r->end) {
    process_output o;
    fault ignored = {0};
    program p = {.arguments = (const char *const *)r->end, .pass = -1};
    if (!process_run(p, NULL, 0, 4096, END_MS, &o, &ignored)) process_output_free(&o);
  }
  group_remove(&r->group);
  launch_words_free(r->end);
  if (r->said >= 0) close(r->said);
  if (r->found >= 0) close(r->found);
  char socket[32];
  snprintf(socket, sizeof socket, "%u.sock", r->number);
  unlink(socket);
  free(r);
}
