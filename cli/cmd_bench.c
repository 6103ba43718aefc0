// SPDX-License-Identifier: Apache-2.0
// `sardonyx bench`: how long a model takes. Each row is measured in a process of its own, so that its
// peak memory and its first run are those of a fresh start. Ctrl-C ends the row that is measured, and what there is
// is printed; a second one ends all at once.
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/host.h"
#include "cli/engine.h"
#include "cli/files.h"
#include "cli/table.h"

static const cli_option options[] = {
    OPTION("threads", ARG_TEXT, "N,..", "thread counts to measure; 0 = all (default)", .letter = 't'),
    OPTION("seconds", ARG_NUMBER, "S", "how long to measure each (default 3)", .min = 0.01, .max = 86400),
    OPTION("batch", ARG_INT, "N", "size of the free first dimension (default 1)", .min = 1, .max = 1e9),
    OPTION("warmup", ARG_INT, "N", "runs before measuring (default 3)"),
    OPTION("random", ARG_MAYBE, "SEED", "seed of the random inputs (the default without files)"),
    OPTION("precision", ARG_TEXT, "P", "matrix products: highest (default), high, medium"),
    OPTION("dim", ARG_TEXT, "NAME=N", "fix a free dimension of the inputs, e.g. batch=4"),
    OPTION("option", ARG_TEXT, "K=V", "an engine option; '--option list' names all"),
    OPTION_FLAG("json", "machine-readable"),
    {0},
};

typedef struct measurement {
  int code;
  uint64_t runs;
  double median, p90, p99, least, per_second, load_ms, first_ms;  // milliseconds
  double peak_bytes;
} measurement;

static int by_size(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

// ---- being interrupted ---------------------------------------------------------------------------------

static volatile sig_atomic_t stopped;
static sdx_run *volatile measured;  // by this process
static volatile pid_t measuring;    // the process that does

// In the process that measures: what it has is enough, if it has anything.
static void stop_measuring(int unused) {
  (void)unused;
  stopped = true;
  if (!measured) _exit(CLI_FAILED);
  sdx_run_cancel(measured);
}

// In the one that prints. SA_RESETHAND: the next Ctrl-C ends it, and with it the other (PR_SET_PDEATHSIG).
static void interrupt(int unused) {
  (void)unused;
  stopped = true;
  if (measuring > 0) kill(measuring, SIGUSR1);
}

static double since_ms(uint64_t start) { return (double)(clock_ns() - start) / 1e6; }

// Runs until the time is over; times in ms, `*count` of them. NULL after printing.
static double *collect(const args *a, sdx_run *run, size_t *count) {
  size_t capacity = 1024;
  double *ms = xmalloc(capacity * sizeof *ms), limit = args_number(a, "seconds", 3) * 1e3;
  int64_t warmup = args_int(a, "warmup", 3);
  uint64_t start = clock_ns();
  *count = 0;
  do {
    uint64_t begin = clock_ns();
    if (sdx_run_execute(run)) {
      if (stopped) break;
      engine_run_failed(a, run);
      free(ms);
      return NULL;
    }
    if (warmup && warmup--) {
      start = clock_ns();
      continue;
    }
    if (*count == capacity) ms = xrealloc(ms, (capacity *= 2) * sizeof *ms);
    ms[(*count)++] = since_ms(begin);
  } while (!stopped && since_ms(start) < limit && *count < (1u << 24));
  return ms;
}

static void summarise(const args *a, double *ms, size_t runs, measurement *m) {
  double total = 0;
  for (size_t i = 0; i < runs; i++) total += ms[i];
  qsort(ms, runs, sizeof *ms, by_size);
  m->runs = runs;
  m->least = ms[0];
  m->median = ms[runs / 2];
  m->p90 = ms[(size_t)((double)(runs - 1) * 0.9)];
  m->p99 = ms[(size_t)((double)(runs - 1) * 0.99)];
  m->per_second = (double)args_int(a, "batch", 1) * (double)runs * 1e3 / total;
}

static int measure_session(const args *a, sdx_session *session, measurement *m) {
  size_t count = sdx_session_feed_count(session), runs = 0;
  sdx_value **inputs = xmalloc(count * sizeof *inputs + 1);
  sdx_run *run = NULL;
  double *ms = NULL;
  int code = CLI_FAILED;
  if (!engine_inputs(a, session, a->words + 1, a->word_count - 1, inputs, &code)) goto done;
  code = CLI_FAILED;
  sdx_status status = sdx_run_create(session, &run);
  for (size_t i = 0; i < count && !status; i++) status = sdx_run_set_input(run, i, inputs[i]);
  uint64_t start = clock_ns();
  measured = run;
  if (!status) status = sdx_run_execute(run);
  m->first_ms = since_ms(start);
  if (status) {
    if (stopped) code = CLI_OK;
    else if (run) engine_run_failed(a, run);
    else cli_error(CLI_FAILED, "%s", sdx_status_text(status));
    goto done;
  }
  ms = collect(a, run, &runs);
  if (!ms) goto done;
  if (runs) summarise(a, ms, runs, m);
  code = CLI_OK;
done:
  signal(SIGUSR1, SIG_IGN);  // from here on the run is no more
  free(ms);
  sdx_run_destroy(run);
  for (size_t i = 0; i < count; i++) sdx_value_release(inputs[i]);
  free(inputs);
  return code;
}

static void measure(const args *a, const char *threads, measurement *m) {
  args with = *a;  // the list of thread counts becomes one of them; random inputs are the default
  static const cli_option random_option = {.name = "random", .kind = ARG_MAYBE};
  static const cli_option threads_option = {.name = "threads", .kind = ARG_TEXT};
  with.found = xmalloc((a->found_count + 2) * sizeof *with.found);
  memcpy(with.found, a->found, a->found_count * sizeof *with.found);
  if (threads) {
    with.found[with.found_count].option = &threads_option;
    with.found[with.found_count++].value = threads;
  }
  if (!args_has(a, "random")) with.found[with.found_count++].option = &random_option;
  uint64_t start = clock_ns();
  sdx_session *session = engine_load(&with, a->words[0], &m->code);
  m->load_ms = since_ms(start);
  if (session) {
    m->code = measure_session(&with, session, m);
    sdx_session_destroy(session);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    m->peak_bytes = (double)usage.ru_maxrss * 1024;
  }
  free(with.found);
}

static void measure_here(const args *a, const char *threads, const sigset_t *mask, int end) {
  measurement mine = {0};
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  signal(SIGINT, SIG_IGN);  // the terminal sends it to both; the parent says when to stop
  signal(SIGUSR1, stop_measuring);
  sigprocmask(SIG_SETMASK, mask, NULL);
  measure(a, threads, &mine);
  ssize_t written = write(end, &mine, sizeof mine);
  fflush(stdout);
  _exit(written == (ssize_t)sizeof mine ? CLI_OK : CLI_FAILED);
}

// In a child process; false when it ended without a result.
static bool measure_apart(const args *a, const char *threads, measurement *m) {
  int ends[2];
  if (pipe(ends)) return false;
  fflush(stdout);
  sigset_t block, old;
  sigemptyset(&block);
  sigaddset(&block, SIGINT);
  sigaddset(&block, SIGUSR1);
  sigprocmask(SIG_BLOCK, &block, &old);  // until each process has its handlers
  measuring = fork();
  if (measuring == 0) measure_here(a, threads, &old, ends[1]);
  sigprocmask(SIG_SETMASK, &old, NULL);
  close(ends[1]);
  ssize_t got;
  do got = measuring > 0 ? read(ends[0], m, sizeof *m) : -1;
  while (got < 0 && errno == EINTR);
  bool ok = got == (ssize_t)sizeof *m;
  close(ends[0]);
  int status = 0;
  pid_t child = measuring;
  measuring = 0;
  while (child > 0 && waitpid(child, &status, 0) < 0 && errno == EINTR) continue;
  if (!ok && !stopped)
    cli_error(CLI_FAILED, "the measuring process ended early%s", WIFSIGNALED(status) ? " by a signal" : "");
  return ok;
}

static void add_row(table *t, const char *threads, const measurement *m) {
  char bytes[32];
  table_cell(t, "%s", threads && strcmp(threads, "0") ? threads : "all");
  table_cell(t, "%.4f", m->median);
  table_cell(t, "%.4f", m->p90);
  table_cell(t, "%.4f", m->p99);
  table_cell(t, "%.4f", m->least);
  table_cell(t, "%.1f", m->per_second);
  table_cell(t, "%.1f", m->load_ms);
  table_cell(t, "%.2f", m->first_ms);
  table_cell(t, "%s", bytes_describe(m->peak_bytes, bytes));
  table_cell(t, "%llu", (unsigned long long)m->runs);
}

static json_t *row_json(const char *threads, const measurement *m) {
  int64_t number = 0;
  if (threads) args_parse_int(threads, &number);
  return json_pack("{s:I,s:f,s:f,s:f,s:f,s:f,s:f,s:f,s:I,s:I}", "threads", (json_int_t)number, "median_ms", m->median,
                   "p90_ms", m->p90, "p99_ms", m->p99, "min_ms", m->least, "per_second", m->per_second, "load_ms",
                   m->load_ms, "first_run_ms", m->first_ms, "peak_rss_bytes", (json_int_t)m->peak_bytes, "runs",
                   (json_int_t)m->runs);
}

// Measures a row for each number of threads until one fails or the user has seen enough.
static int measure_rows(const args *a, const char *list, table *t, json_t *rows) {
  char threads[16] = "";
  int code = CLI_OK;
  for (size_t i = 0; !code && !stopped && (list ? args_list_item(list, i, threads, sizeof threads) : i == 0); i++) {
    measurement m = {0};
    code = measure_apart(a, list ? threads : NULL, &m) ? m.code : CLI_FAILED;
    if (code || !m.runs) break;
    add_row(t, list ? threads : NULL, &m);
    json_array_append_new(rows, row_json(list ? threads : NULL, &m));
  }
  return stopped ? CLI_INTERRUPTED : code;
}

static int bench(const args *a, const char *model, const char *list) {
  table *t = table_create("threads>|median ms>|p90>|p99>|least>|per second>|load ms>|first ms>|peak RSS>|runs>");
  json_t *rows = json_array();
  sigaction(SIGINT, &(struct sigaction){.sa_handler = interrupt, .sa_flags = SA_RESETHAND}, NULL);
  int code = measure_rows(a, list, t, rows);
  bool show = code == CLI_OK || code == CLI_INTERRUPTED;
  if (show && args_has(a, "json"))
    json_print(json_pack("{s:s,s:I,s:b,s:O}", "model", model, "batch", (json_int_t)args_int(a, "batch", 1),
                         "interrupted", code == CLI_INTERRUPTED, "rows", rows));
  else if (show && table_rows(t)) table_print(t);
  if (code == CLI_INTERRUPTED)
    cli_note("interrupted%s",
             table_rows(t) ? "; the last row is of the runs until then" : " before the first run ended");
  json_decref(rows);
  table_destroy(t);
  return code;
}

// Standard input is read before there are processes, so that each of them finds all of it.
static bool reopenable_words(const args *a, const char **words) {
  why w;
  for (size_t i = 0; i < a->word_count; i++) {
    const char *word = a->words[i], *equals = strrchr(word, '=');
    bool named = equals && is_standard_stream(equals + 1);
    char *path = i == 0                              ? engine_locate(word)
                 : named || is_standard_stream(word) ? file_reopenable("-", &w)
                                                     : xstrdup(word);
    if (!path && i) cli_error(CLI_FAILED, "%s", w.text);
    if (!path) return false;
    words[i] = named && i ? xformat("%.*s%s", (int)(equals + 1 - word), word, path) : path;
    if (words[i] != path) free(path);
  }
  return true;
}

static int run(const args *a) {
  const char *list = args_text(a, "threads", NULL);
  char threads[16] = "";
  int64_t number;
  for (size_t i = 0; args_list_item(list, i, threads, sizeof threads); i++)
    if (!args_parse_int(threads, &number) || number < 0 || number > 256)
      return cli_error(CLI_USAGE, "--threads %s: expected numbers from 0 to 256, separated by commas", list);
  args with = *a;
  with.words = xmalloc((a->word_count + 1) * sizeof *with.words);
  int code = reopenable_words(a, with.words) ? bench(&with, a->words[0], list) : CLI_FAILED;
  for (size_t i = 0; i < a->word_count; i++) free((char *)with.words[i]);
  free(with.words);
  return code;
}

CLI_COMMAND(bench) = {
    "bench",
    "Measure latency, throughput, load time and memory of a model",
    "MODEL [FILE | NAME=FILE ...] [options]",
    "Without files the inputs are random. Times are milliseconds of one run; 'per second' counts\n"
    "batch items. Peak RSS is that of a process that loads the model and runs it. Ctrl-C ends the measuring:\n"
    "what there is then is printed, and the exit code is 130.\n\n"
    "Examples:\n"
    "  sardonyx bench model.onnx --threads 1,2,4\n"
    "  sardonyx bench model.onnx --batch 8 --seconds 10 --json\n",
    options,
    1,
    SIZE_MAX,
    run,
};
