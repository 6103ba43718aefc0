// SPDX-License-Identifier: Apache-2.0
// Loads and runs each file of the hostile corpus in one process and holds what happens against what
// must happen: status, message, time, memory, and that a good model still gives its bits afterwards.
//
//   hostile_driver GOOD_MODEL < manifest      a line: name path expect message seconds limit_mb options
//   hostile_driver --sweep FILE...            every truncation and every flipped bit of small files
//   hostile_driver --batch GOOD_MODEL < cases many models with data, in one stream (see batch)
#include <dirent.h>
#include <regex.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/host.h"
#include "sardonyx/sardonyx.h"
#include "tests/process.h"

typedef struct outcome {
  sdx_status status;
  char message[1200];
} outcome;

static double now(void) { return (double)clock_ns() / 1e9; }

static sdx_value *input_for(const sdx_io *io) {
  int64_t shape[64];
  if (!io->dtype || io->rank > 64) return NULL;
  for (size_t i = 0; i < io->rank; i++) shape[i] = io->shape[i] < 0 ? 1 : io->shape[i];
  sdx_value *v = sdx_tensor_create(io->dtype, io->rank, shape);
  if (v && io->dtype == SDX_FLOAT)
    for (size_t i = 0; i < sdx_tensor_count(v); i++) ((float *)sdx_tensor_data(v))[i] = (float)(i % 7) - 3;
  return v;
}

static void execute(sdx_session *s, outcome *o) {
  sdx_run *r = NULL;
  o->status = sdx_run_create(s, &r);
  if (o->status != SDX_OK) return;
  for (size_t i = 0; i < sdx_session_input_count(s); i++) {
    sdx_value *v = input_for(sdx_session_input(s, i));
    sdx_run_set_input(r, i, v);
    sdx_value_release(v);
  }
  o->status = sdx_run_execute(r);
  snprintf(o->message, sizeof o->message, "%s", sdx_run_error(r));
  sdx_run_destroy(r);
}

static void *read_file(const char *path, size_t *size) {
  FILE *f = fopen(path, "rbe");
  if (!f) return NULL;
  fseek(f, 0, SEEK_END);
  *size = (size_t)ftell(f);
  rewind(f);
  char *at = malloc(*size + 1);
  *size = fread(at, 1, *size, f);
  fclose(f);
  return at;
}

static void load_and_run(const char *path, char *options, outcome *o) {
  sdx_options *settings = sdx_options_create();
  bool as_bytes = false;
  for (char *word = strtok(options, ","); word; word = strtok(NULL, ",")) {
    char *equals = strchr(word, '=');
    if (!equals) as_bytes = true;
    else {
      *equals = 0;
      sdx_options_set(settings, word, equals + 1);
    }
  }
  sdx_session *s = NULL;
  size_t size = 0;
  void *bytes = as_bytes ? read_file(path, &size) : NULL;
  o->status =
      as_bytes ? sdx_session_load_bytes(bytes, size, false, settings, &s) : sdx_session_load_file(path, settings, &s);
  snprintf(o->message, sizeof o->message, "%s", sdx_session_error(s));
  if (o->status == SDX_OK) execute(s, o);
  sdx_session_destroy(s);
  sdx_options_destroy(settings);
  free(bytes);
}

// No pointer, no source file, no control character, no size that went below zero or past 64 bits may reach a message.
static bool leaks(const char *message) {
  static regex_t pattern;
  static bool ready;
  static const char leaked[] =
      "0x[0-9a-f]{6,}|\\.c:[0-9]+|[[:cntrl:]]|root:x:0|"
      "18446744073[0-9]{9}|-[0-9.]+ (bytes|elements|[KMGTPE]iB)";
  if (!ready) ready = regcomp(&pattern, leaked, REG_EXTENDED | REG_NOSUB) == 0;
  return regexec(&pattern, message, 0, NULL, 0) == 0;
}

static bool matches(const char *message, const char *wanted) {
  regex_t pattern;
  if (!*wanted) return true;
  if (regcomp(&pattern, wanted, REG_EXTENDED | REG_NOSUB | REG_ICASE) != 0) return false;
  bool found = regexec(&pattern, message, 0, NULL, 0) == 0;
  regfree(&pattern);
  return found;
}

static int open_files(void) {
  int n = 0;
  DIR *d = opendir("/proc/self/fd");
  while (d && readdir(d)) n++;
  if (d) closedir(d);
  return n;
}

static void reset_peak(void) {
  FILE *f = fopen("/proc/self/clear_refs", "we");
  if (!f) return;
  fputs("5", f);
  fclose(f);
}

typedef struct good_model {
  sdx_session *session;
  sdx_run *run;
  unsigned char bits[256];
  size_t bytes;
} good_model;

static bool still_good(good_model *g) {
  if (sdx_run_execute(g->run) != SDX_OK) return false;
  sdx_value *y = sdx_run_output(g->run, 0);
  if (!g->bytes) {
    g->bytes = sdx_tensor_bytes(y) < sizeof g->bits ? sdx_tensor_bytes(y) : sizeof g->bits;
    memcpy(g->bits, sdx_tensor_data(y), g->bytes);
  }
  return memcmp(g->bits, sdx_tensor_data(y), g->bytes) == 0;
}

static bool judge(char *fields[7], good_model *good, char *why, size_t size) {
  outcome o = {0};
  int files = open_files();
  reset_peak();
  long before = process_kb("VmHWM:");
  double start = now();
  load_and_run(fields[1], fields[6], &o);
  double seconds = now() - start, limit = strtod(fields[4], NULL) * (process_sanitized() ? 10 : 1);
  long grown = process_kb("VmHWM:") - before;
  const char *expect = fields[2];
  snprintf(why, size, "%s: %.300s", sdx_status_name(o.status), o.message);
  if (strcmp(expect, "OK") == 0 && o.status != SDX_OK) return false;
  if (strcmp(expect, "E") == 0 && o.status == SDX_OK) return snprintf(why, size, "was accepted"), false;
  if (o.status != SDX_OK && (!o.message[0] || leaks(o.message) || !matches(o.message, fields[3]))) return false;
  if (seconds > limit) return snprintf(why, size, "took %.2f s of %.2f", seconds, limit), false;
  if (!process_sanitized() && grown > strtol(fields[5], NULL, 10) * 1024)
    return snprintf(why, size, "took %ld MB of %s", grown / 1024, fields[5]), false;
  if (open_files() != files) return snprintf(why, size, "left a file open"), false;
  if (!still_good(good)) return snprintf(why, size, "the good model no longer gives its bits"), false;
  return true;
}

static void try_bytes(const sdx_options *options, const unsigned char *at, size_t size, size_t *bad) {
  sdx_session *s = NULL;
  outcome o = {.status = sdx_session_load_bytes(at, size, true, options, &s)};
  snprintf(o.message, sizeof o.message, "%s", sdx_session_error(s));
  if (o.status == SDX_OK) execute(s, &o);
  if (o.status != SDX_OK && (!o.message[0] || leaks(o.message))) {
    printf("    unclear message: %s\n", o.message);
    ++*bad;
  }
  sdx_session_destroy(s);
}

static bool sweep(const char *path) {
  sdx_options *options = sdx_options_create();
  sdx_options_set(options, "run_timeout_ms", "500");
  sdx_options_set(options, "run_memory_limit_bytes", "67108864");
  sdx_options_set(options, "memory_limit_bytes", "268435456");
  size_t size, cases = 0, bad = 0;
  unsigned char *at = read_file(path, &size);
  unsigned char *copy = malloc(size + 1);
  for (size_t cut = 0; cut < size; cut++, cases++) {
    unsigned char *exact = malloc(cut + 1);  // so that a sanitizer sees one byte too far
    memcpy(exact, at, cut);
    try_bytes(options, exact, cut, &bad);
    free(exact);
  }
  for (size_t bit = 0; bit < size * 8; bit++, cases++) {
    memcpy(copy, at, size);
    copy[bit / 8] ^= (unsigned char)(1u << bit % 8);
    try_bytes(options, copy, size, &bad);
  }
  printf("%s sweep %s: %zu cases, %zu unclear\n", bad ? "FAILED" : "ok", path, cases, bad);
  free(at);
  free(copy);
  sdx_options_destroy(options);
  return bad == 0;
}

// ---- many small cases in one stream ---------------------------------------------------------------

// A number of 4 bytes and that many bytes; NULL at the end of the stream.
static char *read_block(size_t *size) {
  unsigned char head[4];
  if (fread(head, 1, 4, stdin) != 4) return NULL;
  *size = head[0] | (size_t)head[1] << 8 | (size_t)head[2] << 16 | (size_t)head[3] << 24;
  char *at = malloc(*size + 1);
  *size = fread(at, 1, *size, stdin);
  at[*size] = 0;
  return at;
}

static void set_input(sdx_session *s, sdx_run *r, size_t i, const char *bytes, size_t size) {
  const sdx_io *io = i < sdx_session_input_count(s) ? sdx_session_input(s, i) : NULL;
  sdx_value *v = NULL;
  if (io) sdx_value_from_pb(bytes, size, io->type, &v, NULL, 0);
  if (v) sdx_run_set_input(r, i, v);
  sdx_value_release(v);
}

static void run_case(const sdx_options *options, outcome *o) {
  size_t size = 0, count;
  char *model = read_block(&size), *inputs = read_block(&count);
  sdx_session *s = NULL;
  sdx_run *r = NULL;
  o->status = sdx_session_load_bytes(model, size, false, options, &s);
  snprintf(o->message, sizeof o->message, "%s", sdx_session_error(s));
  if (o->status == SDX_OK) o->status = sdx_run_create(s, &r);
  for (size_t i = 0, n = strtoul(inputs, NULL, 10); i < n; i++) {
    char *bytes = read_block(&size);
    if (r) set_input(s, r, i, bytes, size);
    free(bytes);
  }
  if (r) {
    o->status = sdx_run_execute(r);
    snprintf(o->message, sizeof o->message, "%s", sdx_run_error(r));
  }
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  free(inputs);
  free(model);
}

// Each case: its name, the model, the number of inputs as text, the inputs as TensorProto. Whatever happens
// must be a result or a message that names the node ('n', or one in its bodies) or an input or output of it, in time;
// a name on stderr tells which case ended the process.
static void batch(good_model *good, int *passed, int *failed) {
  sdx_options *options = sdx_options_create();
  sdx_options_set(options, "threads", "1");
  sdx_options_set(options, "run_timeout_ms", "1000");
  sdx_options_set(options, "load_timeout_ms", "3000");
  sdx_options_set(options, "run_memory_limit_bytes", "67108864");
  sdx_options_set(options, "memory_limit_bytes", "268435456");
  size_t size;
  for (char *name; (name = read_block(&size)); free(name)) {
    fprintf(stderr, "CASE %s\n", name);
    outcome o = {0};
    double start = now();
    alarm(60);  // what hangs ends the process and is named
    run_case(options, &o);
    double seconds = now() - start;
    const char *why = NULL;
    bool located =
        o.status == SDX_DEADLINE_EXCEEDED ||
        matches(o.message, "node [0-9 ]*'|(input|output|name|value)[^']* '([nio][0-9/]*|nowhere)'|cycle of .* '");
    if (o.status != SDX_OK && (!o.message[0] || leaks(o.message))) why = "unclear message";
    else if (o.status != SDX_OK && !located) why = "the message names no place";
    else if (o.status == SDX_INTERNAL) why = "internal error";
    else if (seconds > (process_sanitized() ? 20 : 4)) why = "too slow";
    else if (!still_good(good)) why = "the good model no longer gives its bits";
    why ? ++*failed : ++*passed;
    if (why) printf("FAILED %s: %s (%.2f s): %s: %s\n", name, why, seconds, sdx_status_name(o.status), o.message);
    else if (getenv("SHOW_MESSAGES")) printf("%s: %s: %s\n", name, sdx_status_name(o.status), o.message);
    fflush(stdout);
  }
  alarm(0);
  sdx_options_destroy(options);
}

int main(int argc, char **argv) {
  int passed = 0, failed = 0;
  if (argc > 2 && strcmp(argv[1], "--sweep") == 0) {
    for (int i = 2; i < argc; i++) sweep(argv[i]) ? passed++ : failed++;
  } else if (argc == 2 || (argc == 3 && strcmp(argv[1], "--batch") == 0)) {
    good_model good = {0};
    if (sdx_session_load_file(argv[argc - 1], NULL, &good.session) != SDX_OK ||
        sdx_run_create(good.session, &good.run) != SDX_OK)
      return printf("%s\n", sdx_session_error(good.session)), 2;
    sdx_value *x = input_for(sdx_session_input(good.session, 0));
    sdx_run_set_input(good.run, 0, x);
    sdx_value_release(x);
    char line[16384], why[700];
    if (argc == 3) batch(&good, &passed, &failed);
    while (fgets(line, sizeof line, stdin)) {
      line[strcspn(line, "\n")] = 0;
      char *fields[7], *rest = line;
      for (int i = 0; i < 7; i++) fields[i] = rest ? strsep(&rest, "\t") : "";
      bool ok = judge(fields, &good, why, sizeof why);
      ok ? passed++ : failed++;
      if (!ok) printf("FAILED %s: expected %s /%s/, got %s\n", fields[0], fields[2], fields[3], why);
      fflush(stdout);
    }
    sdx_run_destroy(good.run);
    sdx_session_destroy(good.session);
  } else {
    return printf("usage: hostile_driver GOOD_MODEL < manifest | --sweep FILE...\n"), 2;
  }
  printf("%d passed, %d failed\n", passed, failed);
  return failed != 0;
}
