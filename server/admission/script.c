// SPDX-License-Identifier: Apache-2.0
// Workers of a scoring script (script.h). A thread waits for two things: a call in the lane (an eventfd that counts
// them), and its worker's socket, where prints come and where the end of a worker is seen at once. So an idle worker
// that is killed is replaced before the next call needs it. A worker that does not come up is tried again after a pause
// that doubles.
#include "server/admission/script.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/host.h"
#include "script/worker.h"
#include "server/log.h"
#include "server/monitor/collect.h"
#include "server/script_reply.h"
#include "server/script_setup.h"
#include "support/files.h"
#include "support/json.h"

enum { SLICE_MS = 50, FIRST_PAUSE_MS = 100, LONGEST_PAUSE_MS = 10000, MOST_WORKERS = 4, IDLE_FRAME_MS = 1000 };
enum { READY_US = 2000 };

typedef struct slot {
  script_pool *pool;
  pthread_t thread;
  script_worker *worker;  // NULL: none that is ready
  char *scratch;          // its folder
  int64_t calls;
  bool tried;  // once, with whatever outcome
} slot;

struct script_pool {
  admission base;
  server *srv;
  script_setup setup;
  model_entry entry;
  pthread_mutex_t lock;  // of what follows
  lane lane;
  bool stop, described;
  char *takes, *gives;  // schemas; written once, before the first worker is ready
  slot *slots;
  size_t count;
  int waiting;                 // eventfd: as many as calls in the lane, or more
  atomic_size_t ready, tried;  // workers past init(); threads that have tried once
  atomic_uint_fast64_t restarts;
};

// ---- waiting for frames --------------------------------------------------------------------------

static bool stopping(script_pool *p) {
  pthread_mutex_lock(&p->lock);
  bool stop = p->stop;
  pthread_mutex_unlock(&p->lock);
  return stop;
}

static bool cut_short(slot *s, call *c) {
  if (!c) return stopping(s->pool);
  pthread_mutex_lock(&c->lock);
  bool cut = c->cancel_status == 503;
  pthread_mutex_unlock(&c->lock);
  return cut;
}

// Until a frame begins or the worker ends. `c` NULL: while it starts.
static sdx_status await(slot *s, script_worker *w, call *c, uint64_t end_ns, fault *f) {
  struct pollfd polled = {script_descriptor(w), POLLIN, 0};
  for (;;) {
    uint64_t now = clock_ns();
    if (cut_short(s, c)) return fault_set(f, SDX_CANCELLED, "the server is shutting down");
    if (now >= end_ns) return fault_set(f, SDX_DEADLINE_EXCEEDED, "the script does not answer in time");
    uint64_t left = (end_ns - now) / 1000000 + 1;
    if (poll(&polled, 1, left < SLICE_MS ? (int)left : SLICE_MS) > 0) return SDX_OK;
  }
}

// A print, or rows of the script's collector.
static void take_note(slot *s, const call *c, const json_t *head, const char *body, size_t size) {
  collector *to = s->pool->srv->collector;
  if (!strcmp(text_of(head, "type"), "log")) script_log(head, c ? c->id : "");
  else if (to) collect_frame(to, c, head, body, size);
}

// The next frame that is no note. NULL: the worker is to be stopped.
static json_t *next_frame(slot *s, script_worker *w, call *c, uint64_t end_ns, char **body, size_t *size, fault *f) {
  json_t *head;
  while (!await(s, w, c, end_ns, f)) {
    uint64_t now = clock_ns();
    int left = now < end_ns ? (int)((end_ns - now) / 1000000 + 1) : 1;
    if (script_receive(w, left, &head, body, size, f)) return NULL;
    const char *type = json_string_value(json_object_get(head, "type"));
    if (strcmp(type, "log") && strcmp(type, "collect")) return head;
    take_note(s, c, head, *body, *size);
    json_decref(head);
    free(*body);
  }
  return NULL;
}

// ---- life of a worker ----------------------------------------------------------------------------

static sdx_status make_scratch(slot *s, fault *f) {
  const char *temporary = getenv("TMPDIR");
  s->scratch = path_format("%s/sardonyx-script-XXXXXX", temporary && *temporary == '/' ? temporary : "/tmp");
  if (!s->scratch) return fault_no_memory(f);
  if (mkdtemp(s->scratch)) return SDX_OK;
  fault_errno(f, errno, "cannot make the folder %s", s->scratch);
  free(s->scratch);
  s->scratch = NULL;
  return f->status;
}

static void drop_worker(slot *s, script_worker *w) {
  fault ignored = {0};
  script_stop(w);
  if (s->worker) atomic_fetch_sub(&s->pool->ready, 1);
  s->worker = NULL;
  if (s->scratch) tree_remove(AT_FDCWD, s->scratch, &ignored);
  free(s->scratch);
  s->scratch = NULL;
}

static void note_ready(script_pool *p, const json_t *head) {
  const json_t *schema = json_object_get(head, "schema"), *takes = json_object_get(schema, "input"),
               *gives = json_object_get(schema, "output");
  pthread_mutex_lock(&p->lock);
  if (!p->described) {
    p->described = true;
    p->takes = json_is_object(takes) ? json_dumps(takes, JSON_COMPACT) : NULL;
    p->gives = json_is_object(gives) ? json_dumps(gives, JSON_COMPACT) : NULL;
  }
  pthread_mutex_unlock(&p->lock);
  atomic_fetch_add(&p->ready, 1);
}

static sdx_status begin(slot *s, script_worker *w, fault *f) {
  script_pool *p = s->pool;
  char *body;
  size_t size;
  if (script_send(w, p->setup.start, NULL, 0, f)) return f->status;
  uint64_t end = clock_ns() + (uint64_t)p->srv->limits.script_start_ms * 1000000;
  json_t *head = next_frame(s, w, NULL, end, &body, &size, f);
  if (!head) return f->status;
  const char *type = json_string_value(json_object_get(head, "type"));
  if (!strcmp(type, "ready")) {
    note_ready(p, head);
  } else if (!strcmp(type, "failed")) {
    const json_t *error = json_object_get(head, "error");
    const char *phase = json_string_value(json_object_get(head, "phase")),
               *kind = json_string_value(json_object_get(error, "type")),
               *words = json_string_value(json_object_get(error, "message"));
    script_log_error(error, "");
    fault_set(f, SDX_INVALID_ARGUMENT, "%s fails in line %lld: %s: %.300s",
              phase && !strcmp(phase, "init") ? "init()" : "loading the script",
              (long long)json_integer_value(json_object_get(error, "line")), kind ? kind : "", words ? words : "");
  } else {
    fault_set(f, SDX_INVALID_ARGUMENT, "the script worker begins with a frame that is none");
  }
  json_decref(head);
  free(body);
  return f->status;
}

static bool start_worker(slot *s) {
  script_pool *p = s->pool;
  const limits *l = &p->srv->limits;
  fault f = {0};
  script_worker *w = NULL;
  if (!make_scratch(s, &f)) {
    script_options o = {.python = p->setup.python,
                        .programs = p->setup.programs,
                        .read = (const char *const *)p->setup.read,
                        .environment = (const char *const *)p->setup.environment,
                        .scratch = s->scratch,
                        .network = p->srv->config->script.network,
                        .memory_bytes = (uint64_t)l->script_memory_bytes,
                        .body_bytes = (uint64_t)l->max_response_bytes,
                        .log = STDERR_FILENO};
    if (!script_start(&o, &w, &f)) begin(s, w, &f);
  }
  if (!f.status) {
    s->worker = w;
    return true;
  }
  if (f.status != SDX_CANCELLED) log_line("error", "%s: %s%s%s", p->entry.path, f.message, *f.hint ? "; " : "", f.hint);
  drop_worker(s, w);
  return false;
}

// ---- one call ------------------------------------------------------------------------------------

static bool decode(call *c) {
  const str *encoding = http_request_header(&c->x.request, "content-encoding");
  http_problem problem = {0};
  if (!encoding || coding_decode(coding_from_name(*encoding), &c->x.request.body, c->x.body_limit, &problem))
    return true;
  call_error(c, problem.status, "%s", problem.message);
  return false;
}

static sdx_status send_call(slot *s, call *c, fault *f) {
  json_t *head = script_request(c, ++s->calls);
  if (!head) return fault_no_memory(f);
  http_body *body = &c->x.request.body;
  script_send(s->worker, head, body->at, body->size, f);
  json_decref(head);
  return f->status;
}

static void lose_worker(slot *s, const fault *f, const char *id) {
  if (!s->worker) return;
  log_line("error", *id ? "[%s] %s: %s" : "%s%s: %s", id, s->pool->entry.path, f->message);
  drop_worker(s, s->worker);
  atomic_fetch_add(&s->pool->restarts, 1);
}

static void answer(slot *s, call *c) {
  char *body = NULL;
  size_t size = 0;
  fault f = {0};
  json_t *head = NULL;
  c->run_ns = c->done_ns = clock_ns();
  if (send_call(s, c, &f) && f.status == SDX_IO_ERROR) {  // it ended before it saw the call
    lose_worker(s, &f, "");
    f = (fault){0};
    if (start_worker(s)) send_call(s, c, &f);
    else fault_set(&f, SDX_IO_ERROR, "no worker of the script comes up");
  }
  if (!f.status) head = next_frame(s, s->worker, c, c->deadline_ns, &body, &size, &f);
  c->done_ns = clock_ns();
  if (head && (json_integer_value(json_object_get(head, "id")) != s->calls || !script_reply(c, head, body, size)))
    fault_set(&f, SDX_INVALID_ARGUMENT, "the script worker sends a frame that is none");
  json_decref(head);
  free(body);
  if (!f.status) return;
  if (f.status == SDX_CANCELLED) call_retry(c, 503, "the server is shutting down");
  else if (f.status == SDX_DEADLINE_EXCEEDED) script_reply_late(c);
  else script_reply_lost(c);
  lose_worker(s, &f, c->id);
}

static void serve(slot *s, call *c) {
  model_metrics *m = &s->pool->entry.metrics;
  uint64_t now = clock_ns();
  c->waited_ns = now - c->queued_ns;
  histogram_seconds(&m->phases[METRIC_QUEUE], c->waited_ns, call_trace(c));
  if (now >= c->deadline_ns) {
    script_reply_late(c);
  } else if (decode(c)) {
    answer(s, c);
    histogram_seconds(&m->phases[METRIC_COMPUTE], c->done_ns - c->run_ns, call_trace(c));
    if (c->x.response.status < 400) atomic_store_explicit(&m->last_ms, clock_wall_ns() / 1000000, memory_order_relaxed);
  }
  exchange_post(&c->x);
}

// ---- the threads ---------------------------------------------------------------------------------

static call *take_call(script_pool *p, bool *stop) {
  eventfd_t one;
  if (eventfd_read(p->waiting, &one)) one = 0;
  pthread_mutex_lock(&p->lock);
  call *c = lane_take(&p->lane);
  if (c) p->lane.running++;
  *stop = p->stop && !c;
  pthread_mutex_unlock(&p->lock);
  return c;
}

// A pause that ends early when the server does.
static void pause_ms(script_pool *p, int64_t ms) {
  for (uint64_t end = clock_ns() + (uint64_t)ms * 1000000; clock_ns() < end && !stopping(p);) usleep(SLICE_MS * 1000);
}

// Prints between two calls, and the end of the worker.
static void read_idle(slot *s) {
  char *body;
  size_t size;
  json_t *head;
  fault f = {0};
  if (script_receive(s->worker, IDLE_FRAME_MS, &head, &body, &size, &f)) {
    lose_worker(s, &f, "");
    return;
  }
  take_note(s, NULL, head, body, size);
  json_decref(head);
  free(body);
}

static void leave_lane(script_pool *p) {
  pthread_mutex_lock(&p->lock);
  p->lane.running--;
  pthread_mutex_unlock(&p->lock);
}

static void *tend(void *context) {
  slot *s = context;
  script_pool *p = s->pool;
  int64_t pause = FIRST_PAUSE_MS;
  bool stop = false;
  while (!stop) {
    if (!s->worker && stopping(p)) break;
    if (!s->worker) {
      bool good = start_worker(s);
      if (!s->tried) atomic_fetch_add(&p->tried, 1);
      s->tried = true;
      if (!good) pause_ms(p, pause);
      pause = good ? FIRST_PAUSE_MS : pause * 2 < LONGEST_PAUSE_MS ? pause * 2 : LONGEST_PAUSE_MS;
      continue;
    }
    struct pollfd polled[] = {{script_descriptor(s->worker), POLLIN, 0}, {p->waiting, POLLIN, 0}};
    if (poll(polled, 2, -1) < 0) continue;
    if (polled[0].revents) {
      read_idle(s);
    } else {
      call *c = take_call(p, &stop);
      if (c) serve(s, c);
      if (c) leave_lane(p);
    }
  }
  drop_worker(s, s->worker);
  return NULL;
}

// ---- the policy ----------------------------------------------------------------------------------

static bool submit(admission *a, call *c) {
  script_pool *p = (script_pool *)a;
  size_t most = (size_t)p->srv->limits.max_queue;
  c->queued_ns = clock_ns();
  c->priority = c->asked;
  pthread_mutex_lock(&p->lock);
  bool taken = (!p->lane.waiting && p->lane.running < p->count) || p->lane.waiting < most;
  if (taken) {
    exchange_wait(&c->x, c->deadline_ns);  // before a worker can see it
    taken = lane_add(&p->lane, c);
  }
  pthread_mutex_unlock(&p->lock);
  if (taken) {
    eventfd_write(p->waiting, 1);
    return false;
  }
  atomic_fetch_add(&p->srv->refused_queue, 1);
  call_retry(c, 503, "%zu calls wait for the script already (limit max-queue)", most);
  return true;
}

static bool withdraw(admission *a, call *c) {
  script_pool *p = (script_pool *)a;
  pthread_mutex_lock(&p->lock);
  bool waits = c->lane != NULL;
  if (waits) lane_remove(&p->lane, c);
  pthread_mutex_unlock(&p->lock);
  return waits;
}

static void refuse_rest(script_pool *p) {
  bool stop;
  for (call *c; (c = take_call(p, &stop));) {
    call_retry(c, 503, "the server is shutting down");
    exchange_post(&c->x);
  }
}

static void destroy(admission *a) {
  script_pool *p = (script_pool *)a;
  pthread_mutex_lock(&p->lock);
  p->stop = true;
  pthread_mutex_unlock(&p->lock);
  if (p->waiting >= 0) eventfd_write(p->waiting, p->count + 1);
  for (size_t i = 0; i < p->count; i++) pthread_join(p->slots[i].thread, NULL);
  refuse_rest(p);
  lane_deinit(&p->lane);
  script_setup_deinit(&p->setup);
  model_metrics_deinit(&p->entry.metrics);
  pthread_mutex_destroy(&p->lock);
  if (p->waiting >= 0) close(p->waiting);
  free(p->takes);
  free(p->gives);
  free(p->slots);
  free(p);
}

static bool asked_to_end(void) {
  sigset_t set;
  sigpending(&set);
  return sigismember(&set, SIGTERM) || sigismember(&set, SIGINT);
}

// Until a worker is ready, or none came up, or the server is asked to end.
static bool wait_ready(script_pool *p) {
  while (!atomic_load(&p->ready) && atomic_load(&p->tried) < p->count && !asked_to_end()) usleep(READY_US);
  return atomic_load(&p->ready) > 0;
}

static bool start_threads(script_pool *p) {
  size_t cpus = host_cpus(), wanted = (size_t)p->srv->limits.script_workers;
  if (!wanted) wanted = cpus < MOST_WORKERS ? cpus : MOST_WORKERS;
  p->slots = calloc(wanted, sizeof *p->slots);
  p->waiting = eventfd(0, EFD_SEMAPHORE | EFD_NONBLOCK | EFD_CLOEXEC);
  pthread_mutex_lock(&p->lock);  // the threads see how many they are
  for (size_t i = 0; p->slots && p->waiting >= 0 && i < wanted; i++) {
    p->slots[i] = (slot){.pool = p};
    if (pthread_create(&p->slots[i].thread, NULL, tend, &p->slots[i])) break;
    p->count++;
  }
  pthread_mutex_unlock(&p->lock);
  if (!p->count) log_line("error", "cannot start the script: memory, threads or descriptors are exhausted");
  return p->count > 0;
}

script_pool *script_pool_create(server *srv) {
  script_pool *p = calloc(1, sizeof *p);
  fault f = {0};
  if (!p) return NULL;
  p->base = (admission){"script", submit, withdraw, destroy};
  p->srv = srv;
  p->waiting = -1;
  p->lane.name = "the script";
  p->entry.path = srv->config->script.path;
  p->entry.alone = true;
  snprintf(p->entry.name, sizeof p->entry.name, "script");
  model_metrics_init(&p->entry.metrics);
  pthread_mutex_init(&p->lock, NULL);
  uint64_t start = clock_ns();
  if (script_setup_init(&p->setup, srv->config, &srv->models, &f))
    log_line("error", "%s%s%s", f.message, *f.hint ? "; " : "", f.hint);
  else if (start_threads(p) && wait_ready(p)) {
    log_line("info", "script '%s' ready in %.1f ms", p->entry.path, (double)(clock_ns() - start) / 1e6);
    return p;
  }
  destroy(&p->base);
  return NULL;
}

admission *script_pool_admission(script_pool *p) { return &p->base; }
model_entry *script_pool_entry(script_pool *p) { return &p->entry; }
size_t script_pool_ready(script_pool *p) { return atomic_load(&p->ready); }
size_t script_pool_waiting(script_pool *p) { return atomic_load(&p->lane.waiting); }
uint64_t script_pool_restarts(script_pool *p) { return atomic_load(&p->restarts); }
const char *script_pool_schema(const script_pool *p, bool request) { return request ? p->takes : p->gives; }
