// SPDX-License-Identifier: Apache-2.0
// The supervisor (supervisor.h): one thread that waits for signals, questions and what its processes print, and after
// each of these compares what is wanted with what there is (`reconcile`):
//   an update     starts all replicas of the candidate; once all have scored the sample, they take clients, old ones
//                 drain, and the candidate is the revision in force. One that fails takes back the candidate alone.
//   a crash       starts another one, at once if the one that died had served a second, else after a pause that doubles
//   a trial       the same, but it stays behind the old one, which sends it a share of its requests (`write_split`)
//   a stop        drops first packets of new clients, drains, ends
#include "deploy/supervisor.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host.h"
#include "deploy/control.h"
#include "deploy/journal.h"
#include "deploy/launch.h"
#include "deploy/replica.h"
#include "deploy/service.h"
#include "support/files.h"
#include "support/json.h"
#include "support/sockets.h"

enum {
  MOST_REPLICAS = 128,
  FIRST_PAUSE_MS = 100,
  LONGEST_PAUSE_MS = 30000,
  PROVEN_MS = 1000,
  SPLIT_READ_MS = 1000,
  RECORD_MS = 1000,
  CERTIFICATES_MS = 2000,
  CERTIFICATE_BYTES = 1 << 20
};
static const uint64_t ms = 1000000;

typedef struct supervisor {
  const registry_options *options;
  const char *name;
  char *path;                                          // of its folder; the current one is RUN_FOLDER in it
  int folder, lock, control, signals, listener, door;  // door: for servers in containers, else -1
  json_t *settings, *secrets;
  bool gone, ending;  // the service was deleted; the supervisor was asked to end
  launch *launches[MOST_REPLICAS];
  size_t launch_count;
  replica *replicas[MOST_REPLICAS];
  size_t count;
  unsigned starts;
  uint64_t again_ns;  // no start before
  unsigned pause_ms;
  char *split;                  // what SPLIT_FILE says
  uint64_t split_read_ns;       // by then all servers know
  struct stat certificates[2];  // as they were when they were copied
  uint64_t certificates_ns;     // of the next look at them; 0: none
  char trouble[REPLICA_TEXT];   // why the last start of the revision in force failed; "" once one serves
  journal log;
} supervisor;

static sdx_status look(supervisor *s, fault *f);

static int64_t setting(const supervisor *s, const char *key) { return number_of(s->settings, key); }

// ---- the registry --------------------------------------------------------------------------------

static registry *open_registry(const supervisor *s, fault *f) {
  registry *r;
  return registry_open(s->options, &r, f) ? NULL : r;
}

// Writes what has changed by itself: revisions, errors, the port.
// `candidate`: only while that is still the one (0: always).
static void record(supervisor *s, json_t *changes, int64_t candidate) {
  fault f = {0};
  registry *r = open_registry(s, &f);
  if (r) registry_change_service(r, s->name, changes, NULL, candidate, &f);
  registry_close(r);
  json_decref(changes);
  if (f.status) journal_write(&s->log, "supervisor: cannot write to the registry: %s", f.message);
  // What could not be written is tried again, and so is the start that it was to end: not at once.
  if (f.status && f.status != SDX_CONFLICT) s->again_ns = clock_ns() + RECORD_MS * ms;
  f = (fault){0};
  look(s, &f);
}

static void write_keys(supervisor *s) {
  fault f = {0};
  char keys[600], token[300];
  snprintf(keys, sizeof keys, "%s\n%s\n", text_of(s->secrets, "primary"), text_of(s->secrets, "secondary"));
  snprintf(token, sizeof token, "%s\n", text_of(s->secrets, "token"));
  if (file_replace(AT_FDCWD, KEYS_FILE, keys, strlen(keys), 0600, &f) ||
      file_replace(AT_FDCWD, TOKEN_KEY_FILE, token, strlen(token), 0600, &f))
    journal_write(&s->log, "supervisor: %s", f.message);
  for (size_t i = 0; i < s->count; i++) replica_reload(s->replicas[i]);
}

static bool same_file(const struct stat *a, const struct stat *b) {
  return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

// To where servers, in containers, too, find them; they see by themselves that a copy has changed.
static void copy_certificates(supervisor *s) {
  static const char *const keys[] = {"tls_cert", "tls_key"}, *const names[] = {TLS_CERT_FILE, TLS_KEY_FILE};
  bool any = *text_of(s->settings, keys[0]) != 0;
  s->certificates_ns = any ? clock_ns() + CERTIFICATES_MS * ms : 0;
  for (int i = 0; any && i < 2; i++) {
    fault f = {0};
    struct stat now;
    size_t size;
    const char *path = text_of(s->settings, keys[i]);
    if (stat(path, &now) || same_file(&now, &s->certificates[i])) continue;
    char *text = file_load(AT_FDCWD, path, CERTIFICATE_BYTES, &size, &f);
    if (text && !file_replace(AT_FDCWD, names[i], text, size, 0600, &f)) s->certificates[i] = now;
    if (f.status) journal_write(&s->log, "supervisor: %s", f.message);
    if (text) explicit_bzero(text, size);
    free(text);
  }
}

// Whether servers are started with other words than before.
static bool other_door(const json_t *before, const json_t *now) {
  static const char *const keys[] = {"auth", "tls_cert", "tls_key", "cors_origins"};
  bool other = false;
  for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
    json_t *a = json_object_get(before, keys[i]), *b = json_object_get(now, keys[i]);
    other |= (a || b) && !json_equal(a, b);
  }
  return other;
}

static void forget_launches(supervisor *s) {
  while (s->launch_count) launch_destroy(s->launches[--s->launch_count]);
}

static sdx_status look(supervisor *s, fault *f) {
  json_t *settings = NULL, *secrets = NULL;
  registry *r = open_registry(s, f);
  if (r) registry_get_service(r, s->name, &settings, &secrets, f);
  if (f->status == SDX_NOT_FOUND && s->settings) {  // the service, or the whole workspace
    s->gone = true;
    *f = (fault){0};
  } else if (!f->status) {
    bool keys = !json_equal(s->secrets, secrets);
    if (other_door(s->settings, settings)) forget_launches(s);
    json_decref(s->settings);
    json_decref(s->secrets);
    s->settings = json_incref(settings);
    s->secrets = json_incref(secrets);
    if (keys) write_keys(s);
    copy_certificates(s);
  }
  json_decref(settings);
  json_decref(secrets);
  registry_close(r);
  return f->status;
}

// ---- starting ------------------------------------------------------------------------------------

static const launch *launch_of(supervisor *s, int64_t revision, fault *f) {
  for (size_t i = 0; i < s->launch_count; i++)
    if (s->launches[i]->revision == revision) return s->launches[i];
  if (s->launch_count == MOST_REPLICAS) launch_destroy(s->launches[--s->launch_count]);
  registry *r = open_registry(s, f);
  launch *l = r ? launch_create(r, s->name, revision, s->path, s->settings, f) : NULL;
  registry_close(r);
  if (l) s->launches[s->launch_count++] = l;
  return l;
}

// Where no control group may be made the limits are not kept, and the log says so.
static void limit(supervisor *s, const launch *l, replica *r) {
  fault f = {0};
  char name[NAME_BYTES + 64];
  if (l->cpus <= 0 && !l->memory_bytes) return;
  snprintf(name, sizeof name, "sardonyx-%s-%d-%u", s->name, (int)getpid(), r->number);
  if (group_create(name, l->cpus, l->memory_bytes, r->pid, &r->group, &f))
    journal_write(&s->log, "supervisor: revision %lld runs without its limits: %s", (long long)r->revision, f.message);
}

static bool start(supervisor *s, int64_t revision, fault *f) {
  const launch *l = launch_of(s, revision, f);
  if (!l) return false;
  int64_t seconds = setting(s, "start_seconds");
  char *credential = service_credential(s->name, s->settings, s->secrets, seconds + 60);
  replica_plan plan = {.revision = revision,
                       .arguments = (const char *const *)l->arguments,
                       .environment = (const char *const *)l->environment,
                       .end = (const char *const *)l->end,
                       .sample = l->sample,
                       .credential = credential,
                       .start_ms = (unsigned)seconds * 1000};
  replica *r = replica_start(&plan, s->starts++, l->fetches ? -1 : s->listener, f);
  free(credential);
  if (!r) return false;
  s->replicas[s->count++] = r;
  limit(s, l, r);
  journal_write(&s->log, "supervisor: revision %lld starts as process %d", (long long)revision, (int)r->pid);
  return true;
}

static size_t count_of(const supervisor *s, int64_t revision, replica_state least, replica_state most) {
  size_t count = 0;
  for (size_t i = 0; i < s->count; i++) {
    const replica *r = s->replicas[i];
    count += r->revision == revision && r->state >= least && r->state <= most;
  }
  return count;
}

static void give_up(supervisor *s, int64_t revision, const char *code, const char *message) {
  const char *line = strstr(message, " in line ");
  json_t *error = json_pack("{s:s,s:s}", "code", code, "message", message);
  if (!error) error = json_pack("{s:s,s:s}", "code", code, "message", "(not UTF-8)");
  if (line && atoi(line + 9) > 0) json_object_set_new(error, "line", json_integer(atoi(line + 9)));
  bool candidate = revision == setting(s, "candidate");
  journal_write(&s->log, "supervisor: revision %lld is given up: %s", (long long)revision, message);
  for (size_t i = 0; i < s->count; i++)
    if (s->replicas[i]->revision == revision) replica_drain(s->replicas[i]);
  json_t *changes = json_pack("{s:n,s:o}", candidate ? "candidate" : "trial", "error", error);
  record(s, changes, candidate ? revision : 0);
}

static void start_failed(supervisor *s, int64_t revision, const char *code, const char *message) {
  if (revision == setting(s, "candidate") || revision == setting(s, "trial")) {
    give_up(s, revision, code, message);
    return;
  }
  fault ignored = {0};
  look(s, &ignored);  // it may be that it is not wanted any more
  snprintf(s->trouble, sizeof s->trouble, "%s", message);
  s->pause_ms = s->pause_ms ? s->pause_ms * 2 : FIRST_PAUSE_MS;
  if (s->pause_ms > LONGEST_PAUSE_MS) s->pause_ms = LONGEST_PAUSE_MS;
  s->again_ns = clock_ns() + s->pause_ms * ms;
  journal_write(&s->log, "supervisor: revision %lld: %s; the next try is in %u ms", (long long)revision, message,
                s->pause_ms);
}

// ---- reconciling ---------------------------------------------------------------------------------

static size_t wanted(const supervisor *s) {
  if (s->gone || s->ending || !json_is_true(json_object_get(s->settings, "running"))) return 0;
  int64_t replicas = setting(s, "replicas");
  return replicas > MOST_REPLICAS / 4 ? MOST_REPLICAS / 4 : (size_t)replicas;
}

static void bring_up(supervisor *s, int64_t revision) {
  while (revision && clock_ns() >= s->again_ns && s->count < MOST_REPLICAS &&
         count_of(s, revision, REPLICA_STARTING, REPLICA_SERVING) < wanted(s)) {
    fault f = {0};
    if (!start(s, revision, &f)) {
      start_failed(s, revision, "StartFailed", f.message);
      return;
    }
  }
}

static void promote(supervisor *s) {
  int64_t candidate = setting(s, "candidate"), revision = setting(s, "revision");
  for (size_t i = 0; i < s->count; i++)
    if (s->replicas[i]->revision == candidate && s->replicas[i]->state == REPLICA_READY)
      replica_release(s->replicas[i]);
  json_t *changes = json_pack("{s:n,s:n,s:I}", "candidate", "error", "revision", (json_int_t)candidate);
  if (revision && revision != candidate) json_object_set_new(changes, "previous", json_integer(revision));
  record(s, changes, candidate);
  s->trouble[0] = 0;
  journal_write(&s->log, "supervisor: revision %lld is in force", (long long)candidate);
}

// Whether one that was on trial may still get requests of the others: until they have read that it is over, or ended.
static bool still_asked(const supervisor *s, const replica *r) {
  if (r->state != REPLICA_READY) return false;
  bool others = false;
  for (size_t i = 0; i < s->count; i++) others |= s->replicas[i]->state >= REPLICA_SERVING;
  return others && (clock_ns() < s->split_read_ns || !wanted(s));
}

// Of the revision in force all that are ready serve; of what is not wanted, all drains.
static void settle(supervisor *s, int64_t revision, int64_t candidate) {
  size_t kept = 0;
  for (size_t i = 0; i < s->count; i++) {
    replica *r = s->replicas[i];
    bool in_force = r->revision == revision && r->state != REPLICA_DRAINING && kept < wanted(s);
    kept += in_force;
    bool coming = r->revision == candidate || r->revision == setting(s, "trial");
    if (in_force && r->state == REPLICA_READY) replica_release(r);
    else if (!in_force && (!coming || !wanted(s)) && !still_asked(s, r)) replica_drain(r);
  }
}

// Where the servers find whom they share their requests with (server/split.h); they read it again where it has changed.
static void write_split(supervisor *s) {
  fault f = {0};
  char *text = NULL;
  size_t size = 0;
  int64_t trial = setting(s, "trial");
  FILE *to = open_memstream(&text, &size);
  if (!to) return;
  if (count_of(s, trial, REPLICA_READY, REPLICA_READY))
    fprintf(to, "%lld %lld %lld\n", (long long)setting(s, "revision"), (long long)trial,
            (long long)setting(s, "percent"));
  for (size_t i = 0; i < s->count; i++)
    if (s->replicas[i]->revision == trial && s->replicas[i]->state == REPLICA_READY)
      fprintf(to, "%u.sock\n", s->replicas[i]->number);
  fclose(to);
  if (text && (!s->split || strcmp(text, s->split) != 0) && !file_replace(AT_FDCWD, SPLIT_FILE, text, size, 0600, &f)) {
    for (size_t i = 0; i < s->count; i++) replica_reload(s->replicas[i]);
    s->split_read_ns = clock_ns() + SPLIT_READ_MS * ms;
    free(s->split);
    s->split = text;
    text = NULL;
  }
  free(text);
}

static void close_door(supervisor *s) {
  if (s->listener >= 0) socket_refuse_new(s->listener);
}

static void reconcile(supervisor *s) {
  int64_t candidate = setting(s, "candidate");
  if (!wanted(s)) close_door(s);
  bring_up(s, setting(s, "revision"));
  if (candidate != setting(s, "revision")) bring_up(s, candidate);
  if (setting(s, "revision")) bring_up(s, setting(s, "trial"));
  candidate = setting(s, "candidate");  // it may have been given up
  if (candidate && wanted(s) && count_of(s, candidate, REPLICA_READY, REPLICA_SERVING) >= wanted(s)) promote(s);
  write_split(s);  // before those on trial end, and once they are ready
  settle(s, setting(s, "revision"), setting(s, "candidate"));
}

// ---- events --------------------------------------------------------------------------------------

static void take_line(void *context, const replica *r, const char *line, size_t size) {
  supervisor *s = context;
  journal_write(&s->log, "%lld.%u: %.*s", (long long)r->revision, r->number, (int)size, line);
}

static void remove_at(supervisor *s, size_t i) {
  replica_destroy(s->replicas[i]);
  memmove(&s->replicas[i], &s->replicas[i + 1], (s->count - i - 1) * sizeof *s->replicas);
  s->count--;
}

static void replica_ended(supervisor *s, size_t i, int status) {
  replica *r = s->replicas[i];
  while (replica_read(r, take_line, s) && r->line_size < sizeof r->line) {
    struct pollfd more = {r->said, POLLIN, 0};
    if (poll(&more, 1, 0) <= 0) break;
  }
  replica_state state = r->state;
  bool signaled = WIFSIGNALED(status), proven = r->served_ns && clock_ns() - r->served_ns > PROVEN_MS * ms;
  char how[REPLICA_TEXT + 64];
  const char *error = state < REPLICA_SERVING || r->marked ? r->error : "";
  snprintf(how, sizeof how, signaled ? "the server was ended by signal %d%s%s" : "the server ended with code %d%s%s",
           signaled ? WTERMSIG(status) : WEXITSTATUS(status), *error ? ": " : "", error);
  int64_t revision = r->revision;
  r->pid = 0;
  if (state < REPLICA_SERVING && r->error[0]) snprintf(how, sizeof how, "%s", r->error);
  remove_at(s, i);
  if (state == REPLICA_DRAINING) return;
  journal_write(&s->log, "supervisor: revision %lld: %s", (long long)revision, how);
  if (proven) s->pause_ms = 0;
  else start_failed(s, revision, "StartFailed", how);
}

static void probe_ended(supervisor *s, size_t i, int status) {
  replica *r = s->replicas[i];
  if (replica_judge(r, status)) {
    replica_reload(r);  // it may have read its keys before they changed, when it could not be told
    return;
  }
  char error[REPLICA_TEXT];
  int64_t revision = r->revision;
  snprintf(error, sizeof error, "%s", r->error);
  bool counts = r->state == REPLICA_STARTING;
  remove_at(s, i);
  if (counts) start_failed(s, revision, "SampleFailed", error);
}

static void reap(supervisor *s) {
  for (size_t i = s->count; i-- > 0;) {
    int status;
    replica *r = s->replicas[i];
    // A server that ended takes its probe along: what it said counts.
    if (waitpid(r->pid, &status, WNOHANG) == r->pid) replica_ended(s, i, status);
    else if (r->probe && waitpid(r->probe, &status, WNOHANG) == r->probe) probe_ended(s, i, status);
  }
}

static void take_signals(supervisor *s) {
  struct signalfd_siginfo info;
  while (read(s->signals, &info, sizeof info) == sizeof info)
    if (info.ssi_signo == SIGTERM || info.ssi_signo == SIGINT) s->ending = true;
  reap(s);
}

// Whether servers that are to end still accept: each removes its socket when it does not any more.
static bool old_ones_accept(const supervisor *s) {
  for (size_t i = 0; i < s->count; i++) {
    char socket[32];
    snprintf(socket, sizeof socket, "%u.sock", s->replicas[i]->number);
    if (s->replicas[i]->state == REPLICA_DRAINING && !access(socket, F_OK)) return true;
  }
  return false;
}

static const char *state_name(const supervisor *s) {
  if (s->gone || !json_is_true(json_object_get(s->settings, "running"))) return "Stopped";
  int64_t revision = setting(s, "revision");
  int64_t trial = setting(s, "trial");
  bool trying = trial && count_of(s, trial, REPLICA_READY, REPLICA_READY) < wanted(s);
  if (setting(s, "candidate") || trying || old_ones_accept(s)) return "Transitioning";
  if (!revision) return "Failed";
  if (count_of(s, revision, REPLICA_SERVING, REPLICA_SERVING) >= wanted(s)) return "Healthy";
  return s->trouble[0] ? "Unhealthy" : "Transitioning";
}

static json_t *state_json(const supervisor *s) {
  json_t *list = json_array();
  for (size_t i = 0; i < s->count; i++) {
    const replica *r = s->replicas[i];
    json_array_append_new(
        list, json_pack("{s:I,s:i,s:s,s:o}", "revision", (json_int_t)r->revision, "pid", (int)r->pid, "state",
                        replica_state_name(r->state), "socket", json_sprintf(RUN_FOLDER "/%u.sock", r->number)));
  }
  json_t *state = json_pack("{s:s,s:i,s:o}", "state", state_name(s), "pid", (int)getpid(), "processes", list);
  if (s->trouble[0]) json_object_set_new(state, "trouble", json_string(s->trouble));
  return state;
}

static json_t *answer(void *context, const char *word) {
  supervisor *s = context;
  fault f = {0};
  if (!strcmp(word, "look")) {
    if (look(s, &f)) journal_write(&s->log, "supervisor: %s", f.message);
    s->again_ns = s->pause_ms = 0;
    reconcile(s);
  }
  return state_json(s);
}

// ---- life ----------------------------------------------------------------------------------------

static int wait_ms(const supervisor *s) {
  uint64_t now = clock_ns(), next = s->again_ns ? s->again_ns : UINT64_MAX;
  if (s->split_read_ns > now && s->split_read_ns < next) next = s->split_read_ns;
  if (s->certificates_ns && s->certificates_ns < next) next = s->certificates_ns;
  return next == UINT64_MAX ? -1 : next <= now ? 0 : (int)((next - now) / ms + 1);
}

static void wait_event(supervisor *s) {
  enum { OWN = 3 };
  struct pollfd polled[OWN + MOST_REPLICAS] = {{s->signals, POLLIN, 0}, {s->control, POLLIN, 0}, {s->door, POLLIN, 0}};
  size_t count = s->count;
  for (size_t i = 0; i < count; i++) polled[OWN + i] = (struct pollfd){s->replicas[i]->said, POLLIN, 0};
  if (poll(polled, OWN + count, wait_ms(s)) < 0) return;
  if (s->again_ns && clock_ns() >= s->again_ns) s->again_ns = 0;
  if (s->certificates_ns && clock_ns() >= s->certificates_ns) copy_certificates(s);
  for (size_t i = 0; i < count; i++)
    if (polled[OWN + i].revents && !replica_read(s->replicas[i], take_line, s)) {
      close(s->replicas[i]->said);
      s->replicas[i]->said = -1;
    }
  if (polled[0].revents) take_signals(s);
  if (polled[1].revents) control_take(s->control, answer, s);
  if (polled[2].revents) socket_hand_over(s->door, s->listener);
}

// Nothing runs, and nothing is to be started.
static bool over(const supervisor *s) {
  return !s->count && (!wanted(s) || (!setting(s, "revision") && !setting(s, "candidate")));
}

static sdx_status listen_at(supervisor *s, fault *f) {
  int port = (int)setting(s, "port");
  s->listener = socket_listen(text_of(s->settings, "host"), port, &port, f);
  if (s->listener < 0 && json_is_false(json_object_get(s->settings, "port_fixed"))) {
    // Somebody else has the port that was free once.
    *f = (fault){0};
    s->listener = socket_listen(text_of(s->settings, "host"), 0, &port, f);
  }
  if (s->listener >= 0 && port != setting(s, "port")) record(s, json_pack("{s:i}", "port", port), 0);
  return f->status;
}

// Who started this process waits until its output ends (service_supervise). Nothing is printed there.
static void tell_starter(void) {
  int null = open("/dev/null", O_WRONLY | O_CLOEXEC);
  if (null >= 0) dup2(null, STDOUT_FILENO);
  if (null >= 0) close(null);
}

static sdx_status open_all(supervisor *s, fault *f) {
  s->folder = folder_open(AT_FDCWD, s->path, 0700, f);
  if (s->folder < 0) return f->status;
  if ((s->lock = control_lock(s->folder)) < 0)
    return fault_set(f, SDX_CONFLICT, "service '%s' is supervised already", s->name);
  tell_starter();
  launch_sweep(s->folder, s->path, s->settings);
  int inner = folder_open(s->folder, RUN_FOLDER, 0700, f);
  if (inner < 0 || fchdir(inner)) return fault_errno(f, errno, "%s", s->path);
  close(inner);
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigaddset(&set, SIGCHLD);
  sigprocmask(SIG_BLOCK, &set, NULL);
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);  // the terminal it may have been started from
  s->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
  if (s->signals < 0 || journal_open(&s->log, s->folder, f)) return fault_errno(f, errno, "cannot start");
  if (!strcmp(text_of(s->settings, "target"), "container") && (s->door = socket_door(DOOR_FILE, f)) < 0)
    return f->status;
  // In this order: what is changed from now on is asked for on the socket, what was changed before is seen.
  s->control = control_open(s->folder, f);
  return s->control < 0 ? f->status : look(s, f);
}

static void close_all(supervisor *s) {
  while (s->count) remove_at(s, s->count - 1);
  forget_launches(s);
  fault ignored = {0};
  if (s->control >= 0) unlinkat(s->folder, "control", 0);
  if (s->gone) tree_remove(AT_FDCWD, s->path, &ignored);
  journal_close(&s->log);
  int all[] = {s->control, s->signals, s->listener, s->door, s->folder, s->lock};
  for (size_t i = 0; i < sizeof all / sizeof *all; i++)
    if (all[i] >= 0) close(all[i]);
  json_decref(s->settings);
  json_decref(s->secrets);
  free(s->path);
  free(s->split);
}

sdx_status supervisor_run(const registry_options *options, const char *name, fault *f) {
  supervisor s = {.options = options,
                  .name = name,
                  .folder = -1,
                  .lock = -1,
                  .control = -1,
                  .signals = -1,
                  .listener = -1,
                  .door = -1};
  registry *r;
  json_t *settings = NULL;
  if (registry_open(options, &r, f)) return f->status;
  if (!registry_get_service(r, name, &settings, NULL, f)) s.path = service_folder(r, name);
  s.settings = settings;
  registry_close(r);
  if (!f->status && !open_all(&s, f)) {
    if (listen_at(&s, f)) give_up(&s, setting(&s, "candidate"), "AddressInUse", f->message);
    else
      for (reconcile(&s); !over(&s); reconcile(&s)) wait_event(&s);
  }
  close_all(&s);
  return f->status;
}
