// SPDX-License-Identifier: Apache-2.0
// `sardonyx service top`: requests, failures, latency, queue and alerts of each model, from /metrics, again and again.
// Numbers are those of the time between two looks; the first look of --once is held against the start of the server.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/engine.h"
#include "cli/files.h"
#include "cli/table.h"
#include "cli/workspace.h"
#include "deploy/service.h"
#include "support/http.h"
#include "support/json.h"

enum { HISTORY = 30, BUCKETS = 32, MOST_ROWS = 1000, TOKEN_SECONDS = 43200, LOOK_TIMEOUT_MS = 10000 };

typedef struct look {
  double requests, failed, waiting, alerts, uptime;
  double bounds[BUCKETS], buckets[BUCKETS];  // of the latency, cumulative
  size_t bucket_count;
} look;

typedef struct row {
  char model[140], version[24];
  look now, before;
  double rates[HISTORY];
  size_t rate_count;
} row;

typedef struct top {
  row *rows;
  size_t count;
  double uptime, before;
} top;

static const cli_option options[] = {
    OPTION("url", ARG_TEXT, "URL", "a server by its address instead of a service by its name: http://localhost:8080"),
    OPTION("key-file", ARG_TEXT, "FILE", "the key for it"),
    OPTION("interval", ARG_NUMBER, "SECONDS", "between two looks (default 2)", .min = 0.1, .max = 3600),
    OPTION_FLAG("once", "print once, of the time since the server started"),
    WORKSPACE_OPTIONS,
    {0}};

// ---- reading -------------------------------------------------------------------------------------

// The value of a label; false: there is none.
static bool label_of(const char *labels, const char *name, char *to, size_t size) {
  char key[32];
  snprintf(key, sizeof key, "%s=\"", name);
  const char *at = strstr(labels, key);
  if (!at) return *to = 0, false;
  at += strlen(key);
  snprintf(to, size, "%.*s", (int)strcspn(at, "\""), at);
  return true;
}

static row *row_of(top *t, const char *labels) {
  char model[140], version[24];
  if (!label_of(labels, "model", model, sizeof model) || !*model) return NULL;
  label_of(labels, "version", version, sizeof version);
  for (size_t i = 0; i < t->count; i++)
    if (!strcmp(t->rows[i].model, model) && !strcmp(t->rows[i].version, version)) return &t->rows[i];
  if (t->count == MOST_ROWS) return NULL;
  t->rows = xrealloc(t->rows, (t->count + 1) * sizeof *t->rows);
  row *r = &t->rows[t->count++];
  memset(r, 0, sizeof *r);
  memcpy(r->model, model, sizeof model);
  memcpy(r->version, version, sizeof version);
  return r;
}

static void take_bucket(look *l, const char *labels, double value) {
  char bound[32];
  if (!label_of(labels, "le", bound, sizeof bound) || l->bucket_count == BUCKETS) return;
  l->bounds[l->bucket_count] = strcmp(bound, "+Inf") ? strtod(bound, NULL) : INFINITY;
  l->buckets[l->bucket_count++] = value;
}

static void take_line(top *t, char *line) {
  static const char requests[] = "sardonyx_requests_total{", buckets[] = "sardonyx_request_seconds_bucket{",
                    waiting[] = "sardonyx_queue_length{", alert[] = "sardonyx_alert{",
                    uptime[] = "sardonyx_uptime_seconds ";
  char *space = strrchr(line, ' '), code[16];
  double value = space ? strtod(space, NULL) : 0;
  if (!strncmp(line, uptime, strlen(uptime))) t->uptime = value;
  bool of_requests = !strncmp(line, requests, strlen(requests)), of_buckets = !strncmp(line, buckets, strlen(buckets)),
       of_queue = !strncmp(line, waiting, strlen(waiting)), of_alert = !strncmp(line, alert, strlen(alert));
  row *r = of_requests || of_buckets || of_queue || of_alert ? row_of(t, line) : NULL;
  if (!r) return;
  if (of_queue) r->now.waiting += value;
  if (of_alert) r->now.alerts += value;
  if (of_buckets) take_bucket(&r->now, line, value);
  if (!of_requests) return;
  r->now.requests += value;
  if (label_of(line, "code", code, sizeof code) && *code == '5') r->now.failed += value;
}

static void take_page(top *t, char *page) {
  t->before = t->uptime;
  for (size_t i = 0; i < t->count; i++) t->rows[i].before = t->rows[i].now, t->rows[i].now = (look){0};
  for (char *line = page; line;) {
    char *next = strchr(line, '\n');
    if (next) *next++ = 0;
    if (*line && *line != '#') take_line(t, line);
    line = next;
  }
}

// ---- what it comes to ----------------------------------------------------------------------------

static double milliseconds(const row *r, double share) {
  double total = r->now.requests - r->before.requests, from = 0, below = 0;
  for (size_t i = 0; i < r->now.bucket_count; i++) {
    double bound = r->now.bounds[i], until = r->now.buckets[i] - (r->before.bucket_count ? r->before.buckets[i] : 0);
    if (until >= share * total && until > below)
      return 1e3 * (isinf(bound) ? from : from + (bound - from) * (share * total - below) / (until - below));
    from = bound;
    below = until;
  }
  return 0;
}

static double seconds_of(const top *t) { return t->uptime > t->before ? t->uptime - t->before : 1; }

static void spark(const row *r, char to[HISTORY * 3 + 1]) {
  static const char *const levels[] = {"▁", "▂", "▃", "▄", "▅", "▆", "▇", "█"};
  double most = 0;
  for (size_t i = 0; i < r->rate_count; i++) most = r->rates[i] > most ? r->rates[i] : most;
  *to = 0;
  for (size_t i = 0; i < r->rate_count; i++)
    to += snprintf(to, 4, "%s", levels[most > 0 ? (size_t)(7 * r->rates[i] / most) : 0]);
}

static void note_rates(top *t) {
  for (size_t i = 0; i < t->count; i++) {
    row *r = &t->rows[i];
    if (r->rate_count == HISTORY) memmove(r->rates, r->rates + 1, --r->rate_count * sizeof *r->rates);
    r->rates[r->rate_count++] = (r->now.requests - r->before.requests) / seconds_of(t);
  }
}

static void print_json(const top *t) {
  json_t *list = json_array();
  for (size_t i = 0; i < t->count; i++) {
    const row *r = &t->rows[i];
    double requests = r->now.requests - r->before.requests, failed = r->now.failed - r->before.failed;
    json_array_append_new(
        list, json_pack("{s:s,s:s,s:f,s:f,s:f,s:f,s:f,s:f,s:f}", "model", r->model, "version", r->version, "seconds",
                        seconds_of(t), "requests_per_second", requests / seconds_of(t), "failed_ratio",
                        requests > 0 ? failed / requests : 0, "p50_ms", milliseconds(r, 0.5), "p99_ms",
                        milliseconds(r, 0.99), "waiting", r->now.waiting, "alerts", r->now.alerts));
  }
  json_print(list);
}

static void print_table(const top *t, bool history) {
  table *rows = table_create(
      history ? "model<|version<|requests/s>|failed>|p50 ms>|p99 ms>|waiting>|alerts>|requests/s over time<"
              : "model<|version<|requests/s>|failed>|p50 ms>|p99 ms>|waiting>|alerts>");
  for (size_t i = 0; i < t->count; i++) {
    const row *r = &t->rows[i];
    double requests = r->now.requests - r->before.requests, failed = r->now.failed - r->before.failed;
    char line[HISTORY * 3 + 1];
    table_cell(rows, "%s", r->model);
    table_cell(rows, "%s", r->version);
    table_cell(rows, "%.1f", requests / seconds_of(t));
    table_cell(rows, "%.1f %%", requests > 0 ? 100 * failed / requests : 0);
    table_cell(rows, "%.3g", milliseconds(r, 0.5));
    table_cell(rows, "%.3g", milliseconds(r, 0.99));
    table_cell(rows, "%.0f", r->now.waiting);
    table_cell(rows, "%.0f", r->now.alerts);
    spark(r, line);
    if (history) table_cell(rows, "%s", line);
  }
  table_print(rows);
  table_destroy(rows);
  fflush(stdout);
}

// ---- the command ---------------------------------------------------------------------------------

typedef struct place {
  char *url, *authorization;
} place;

// What is sent behind "Bearer"; NULL: nothing is asked for, or a fault.
static char *credential_of(registry *r, const json_t *service, fault *f) {
  const char *auth = text_of(service, "auth"), *name = text_of(service, "name");
  json_t *secret = NULL;
  if (!strcmp(auth, "key")) service_keys(r, name, SERVICE_KEEP, NULL, &secret, f);
  if (!strcmp(auth, "token")) service_token(r, name, TOKEN_SECONDS, &secret, f);
  char *credential = secret ? xformat("Bearer %s", text_of(secret, *auth == 'k' ? "primary" : "token")) : NULL;
  json_decref(secret);
  return credential;
}

static int find_service(const args *a, place *p) {
  int code = CLI_OK;
  fault f = {0};
  json_t *service = NULL;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (!service_show(r, a->words[0], &service, &f)) {
    const char *uri = text_of(service, "scoring_uri"), *host = strstr(uri, "://");
    const char *path = host ? strchr(host + 3, '/') : NULL;
    if (path) p->url = xformat("%.*s/metrics", (int)(path - uri), uri);
    else code = cli_error(CLI_FAILED, "service '%s' does not run yet", a->words[0]);
    p->authorization = credential_of(r, service, &f);
  }
  if (f.status) code = fault_report(&f);
  json_decref(service);
  registry_close(r);
  return code;
}

static int find_server(const args *a, place *p) {
  const char *url = args_text(a, "url", NULL), *file = args_text(a, "key-file", NULL);
  size_t size = strlen(url);
  why w;
  while (size && url[size - 1] == '/') size--;
  p->url = xformat("%.*s/metrics", (int)size, url);
  char *key = file ? file_read(file, &size, &w) : NULL;
  if (file && !key) return cli_error(CLI_FAILED, "%s", w.text);
  if (key) p->authorization = xformat("Bearer %.*s", (int)strcspn(key, "\r\n"), key);
  free(key);
  return CLI_OK;
}

static int look_once(http *h, const place *p, top *t) {
  http_answer answer;
  fault f = {0};
  const http_call call = {
      .method = "GET", .url = p->url, .authorization = p->authorization, .timeout_ms = LOOK_TIMEOUT_MS};
  if (http_do(h, &call, &answer, &f)) return fault_report(&f);
  int code = CLI_OK;
  if (answer.status == 200 && answer.body) take_page(t, answer.body);
  else code = cli_error(CLI_FAILED, "%s answers with status %ld", p->url, answer.status);
  if (answer.status == 401) cli_hint("--key-file FILE holds the key");
  http_answer_free(&answer);
  return code;
}

static int watch(const args *a, const place *p) {
  fault f = {0};
  http *h;
  top t = {0};
  bool once = args_has(a, "once") || args_has(a, "json");
  if (http_open(&h, &f)) return fault_report(&f);
  int code = look_once(h, p, &t);
  if (!code && args_has(a, "json")) print_json(&t);
  else if (!code && once) print_table(&t, false);
  while (!code && !once) {
    usleep((useconds_t)(1e6 * args_number(a, "interval", 2)));
    if ((code = look_once(h, p, &t))) break;
    note_rates(&t);
    if (isatty(STDOUT_FILENO)) printf("\033[H\033[2J");  // from the top of an empty screen
    print_table(&t, true);
  }
  http_close(h);
  free(t.rows);
  return code;
}

static int run(const args *a) {
  place p = {0};
  bool url = args_has(a, "url");
  if (url == (a->word_count > 0))
    return cli_error(CLI_USAGE, "service top: expected the NAME of a service, or --url URL");
  int code = url ? find_server(a, &p) : find_service(a, &p);
  if (!code) code = watch(a, &p);
  free(p.url);
  free(p.authorization);
  return code;
}

CLI_COMMAND(service_top) = {
    "service top",
    "Show what the models of a service do, again and again",
    "NAME | --url URL [options]",
    "Requests a second, the share that failed, latency, how many wait, alerts, and how requests came over time. Of a\n"
    "service with several replicas it shows the one that answers. --json and --once show what was since its start.\n\n"
    "Examples:\n"
    "  sardonyx service top digits\n"
    "  sardonyx service top --url http://localhost:8080 --once\n"
    "  sardonyx service top digits --json\n",
    options,
    0,
    1,
    run,
};
