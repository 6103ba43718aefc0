// SPDX-License-Identifier: Apache-2.0
// Memory ends at the first, second, third ... allocation of everything a program may do with the engine, once
// for a moment and once for good. Each time there is a clean error, nothing leaks, and the next
// attempt, with memory, gives the same bits.
#include <stdlib.h>

#include "base/mem.h"
#include "tests/model.h"

enum { MOST_FAILURES = 400 };  // per scenario and mode; larger scenarios skip some

typedef struct outcome {
  sdx_status status;
  char message[1200];
  unsigned char result[4096];
  size_t bytes;
} outcome;

typedef struct scenario {
  const char *name, *model, *settings;
  void (*run)(const struct scenario *s, outcome *o);
} scenario;

static text model_text;
static sdx_session *session;  // of the scenarios that use one made while memory is plentiful

static void keep(outcome *o, const void *at, size_t bytes) {
  if (o->bytes + bytes > sizeof o->result) bytes = sizeof o->result - o->bytes;
  if (bytes) memcpy(o->result + o->bytes, at, bytes);
  o->bytes += bytes;
}

static void keep_value(outcome *o, const sdx_value *v) {
  size_t items = v ? sdx_value_item_count(v) : 0;
  if (!v) return;
  for (size_t i = 0; i < items; i++) keep_value(o, sdx_value_item(v, i));
  if (sdx_value_kind(v) != SDX_KIND_TENSOR) return;
  if (sdx_tensor_data(v)) keep(o, sdx_tensor_data(v), sdx_tensor_bytes(v));
  for (size_t i = 0; sdx_tensor_dtype(v) == SDX_STRING && i < sdx_tensor_count(v); i++) {
    size_t length;
    const char *at = sdx_tensor_string(v, i, &length);
    keep(o, at, length);
  }
}

static bool failed(outcome *o, sdx_status status, const char *message) {
  o->status = status;
  if (status != SDX_OK) snprintf(o->message, sizeof o->message, "%s", message);
  return status != SDX_OK;
}

// ---- what is done -----------------------------------------------------------------------------------

static void bind_and_run(sdx_session *s, outcome *o, int times) {
  sdx_run *r = NULL;
  if (failed(o, sdx_run_create(s, &r), "no run")) return;
  for (size_t i = 0; i < sdx_session_input_count(s); i++) {
    sdx_value *v = model_input(sdx_session_input(s, i), 2);
    if (!v) {
      failed(o, SDX_NO_MEMORY, "no input");
      sdx_run_destroy(r);
      return;
    }
    sdx_run_set_input(r, i, v);
    sdx_value_release(v);
  }
  for (int k = 0; k < times; k++)
    if (failed(o, sdx_run_execute(r), sdx_run_error(r))) break;
  for (size_t i = 0; i < sdx_session_output_count(s) && o->status == SDX_OK; i++) keep_value(o, sdx_run_output(r, i));
  sdx_run_destroy(r);
}

static sdx_session *load(const scenario *x, outcome *o) {
  sdx_options *options = sdx_options_create();
  sdx_session *s = NULL;
  bool ok = options && (!x->settings || sdx_options_set(options, x->settings, "1") == SDX_OK) &&
            sdx_options_set(options, "threads", "1") == SDX_OK;
  if (!ok) {
    failed(o, SDX_NO_MEMORY, "no options");
  } else if (!failed(o, sdx_session_load_bytes(model_text.at, model_text.size, false, options, &s), "no session")) {
    sdx_options_destroy(options);
    return s;
  } else if (s) {
    failed(o, o->status, sdx_session_error(s));
  }
  sdx_session_destroy(s);
  sdx_options_destroy(options);
  return NULL;
}

static void load_only(const scenario *x, outcome *o) { sdx_session_destroy(load(x, o)); }

static void load_and_run(const scenario *x, outcome *o) {
  sdx_session *s = load(x, o);
  if (s) bind_and_run(s, o, 2);
  sdx_session_destroy(s);
}

// One session that lives on while runs fail.
static void run_only(const scenario *x, outcome *o) { bind_and_run(session, o, 2); }

static void check(const scenario *x, outcome *o) {
  char *json = sdx_check_bytes(model_text.at, model_text.size, NULL);
  o->status = json ? SDX_OK : SDX_NO_MEMORY;
  if (json && strcmp(json, "[\n]\n") != 0) {  // memory ran out in the check itself and is reported as such
    if (json[strlen(json) - 2] != ']') fail_msg("half of a report: %s", json);
    o->status = SDX_NO_MEMORY;
  }
  if (o->status != SDX_OK) snprintf(o->message, sizeof o->message, "no report");
  sdx_string_free(json);
}

static void describe(const scenario *x, outcome *o) {
  static const char *const parts[] = {"summary", "graph", "plan"};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) {
    char *json = sdx_session_describe(session, parts[i]);
    if (failed(o, json && !strstr(json, "\"error\":") ? SDX_OK : SDX_NO_MEMORY, "no text")) {
      sdx_string_free(json);
      return;
    }
    keep(o, json, strlen(json));
    sdx_string_free(json);
  }
  char *profile = sdx_session_profile_json(session), *ops = sdx_describe_ops(), *kernels = sdx_describe_kernels();
  failed(o, profile && ops && kernels ? SDX_OK : SDX_NO_MEMORY, "no text");
  sdx_string_free(profile);
  sdx_string_free(ops);
  sdx_string_free(kernels);
}

static sdx_status twice(void *user, sdx_op_context *c) {
  const sdx_value *x = sdx_op_input(c, 0);
  if (!x) return SDX_NO_MEMORY;
  float *y = sdx_op_set_output(c, 0, SDX_FLOAT, sdx_tensor_rank(x), sdx_tensor_shape(x));
  if (!y) return SDX_NO_MEMORY;
  for (size_t i = 0; i < sdx_tensor_count(x); i++) y[i] = 2 * ((const float *)sdx_tensor_data(x))[i];
  return SDX_OK;
}

static void options(const scenario *x, outcome *o) {
  sdx_options *options = sdx_options_create();
  sdx_session *s = NULL;
  sdx_custom_op op = {.size = sizeof op,
                      .domain = "my",
                      .name = "Twice",
                      .min_inputs = 1,
                      .max_inputs = 1,
                      .min_outputs = 1,
                      .max_outputs = 1,
                      .compute = twice};
  bool ok = options && sdx_options_set(options, "external_data_dir", "/nowhere") == SDX_OK &&
            sdx_options_set(options, "disable_passes", "eliminate,remove_dead") == SDX_OK &&
            sdx_options_set_dim(options, "N", 3) == SDX_OK && sdx_options_add_op(options, &op) == SDX_OK;
  if (!failed(o, ok ? SDX_OK : SDX_NO_MEMORY, options ? sdx_options_error(options) : "no options") &&
      !failed(o, sdx_session_load_bytes(model_text.at, model_text.size, true, options, &s), "no session"))
    bind_and_run(s, o, 1);
  else if (s) failed(o, o->status, sdx_session_error(s));
  sdx_session_destroy(s);
  sdx_options_destroy(options);
}

static void values(const scenario *x, outcome *o) {
  static const int64_t shape[] = {2};
  sdx_value *words = sdx_tensor_create(SDX_STRING, 1, shape), *numbers = sdx_tensor_create(SDX_INT64, 1, shape);
  sdx_value *items[2] = {words, numbers}, *again = NULL, *sequence = NULL, *map = NULL;
  char *bytes = NULL;
  size_t size = 0;
  bool ok = words && numbers && sdx_tensor_set_string(words, 0, "a longer string than most", 25) == SDX_OK &&
            (sequence = sdx_sequence_create(2, items)) && (map = sdx_map_create(words, numbers)) &&
            (bytes = sdx_value_to_pb(words, "words", &size)) &&
            sdx_value_from_pb(bytes, size, "tensor(string)", &again, o->message, sizeof o->message) == SDX_OK;
  if (!failed(o, ok ? SDX_OK : SDX_NO_MEMORY, "no value"))
    keep_value(o, again), keep_value(o, sequence), keep_value(o, map);
  sdx_string_free(bytes);
  sdx_value_release(again);
  sdx_value_release(sequence);
  sdx_value_release(map);
  sdx_value_release(words);
  sdx_value_release(numbers);
}

// ---- with which models ------------------------------------------------------------------------------

static const char dynamic[] =
    "graph(%x: float[N,3]) -> (%y, %z, %u) {\n  const %zero: float[]{0}\n  const %all: int64[1]{-1}\n"
    "  const %w: float[3,4]{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}\n"
    "  %p = Greater(%x, %zero)\n  %i = NonZero(%p)\n  %t = Transpose<perm=[1, 0]>(%i)\n  %g = GatherND(%x, %t)\n"
    "  %c = Compress<axis=0>(%x, %q)\n  %q0 = ReduceMax<keepdims=0>(%x, %ax)\n  const %ax: int64[1]{1}\n"
    "  %q = Greater(%q0, %zero)\n  %m = MatMul(%c, %w)\n  %y = Relu(%m)\n  %r = Reshape(%g, %all)\n"
    "  %z, %k = TopK(%r, %one)\n  const %one: int64[1]{1}\n  %u = Unique(%r)\n}\n";

static const char bodies[] =
    "graph(%x: float[N,2], %flag: bool[]) -> (%y, %stack, %sum) {\n  const %trips: int64[]{3}\n"
    "  const %w: float[2,2]{1, 2, 3, 4}\n  %start = Neg(%x)\n"
    "  %last, %stack = Loop<body=graph body(%i: int64[], %c: bool[], %s: float) -> (%go, %next, %seen) {\n"
    "    outer %x = %x\n    outer %w = %w\n    %go = Identity(%c)\n    %m = MatMul(%s, %w)\n    %next = Add(%m, %x)\n"
    "    %seen = Abs(%next)\n  }>(%trips, _, %start)\n"
    "  %y = If<then_branch=graph t() -> (%r) {\n    outer %last = %last\n    %r = Concat<axis=0>(%last, %last)\n  }, "
    "else_branch=graph e() -> (%q) {\n    outer %last = %last\n    %q = Exp(%last)\n  }>(%flag)\n"
    "  %end, %sum = Scan<num_scan_inputs=1, body=graph step(%a, %b) -> (%d, %e) {\n    %d = Add(%a, %b)\n"
    "    %e = Mul(%d, %d)\n  }>(%begin, %x)\n  const %begin: float[2]{0, 1}\n}\n";

static const char sequences[] =
    "graph(%x: float[N,3]) -> (%y, %s, %h) {\n  const %at: int64[]{0}\n  const %words: string[2]{\"ab\", \"c\"}\n"
    "  %s = SplitToSequence<axis=1>(%x)\n  %e = SequenceAt(%s, %at)\n  %t = SequenceInsert(%s, %e)\n"
    "  %y = ConcatFromSequence<axis=0>(%t)\n  %c = Cast<to=8>(%x)\n  %f = Flatten<axis=0>(%c)\n"
    "  %h = Identity(%f)\n}\n";

static const char layers[] =
    "graph(%x: float[N,2,6,6]) -> (%y) {\n  const %0: float[]{-1}\n  const %step: float[]{0.01}\n"
    "  const %54: float[]{-0.465}\n  const %432: float[]{3.315}\n  %w0 = Range(%0, %54, %step)\n"
    "  %m0 = Range(%0, %432, %step)\n  const %ws: int64[4]{3, 2, 3, 3}\n  const %ms: int64[2]{108, -1}\n"
    "  %w = Reshape(%w0, %ws)\n  %m = Reshape(%m0, %ms)\n  const %s: float[3]{1, 2, 3}\n"
    "  const %v: float[3]{1, 4, 9}\n  const %b: float[4]{1, 2, 3, 4}\n"
    "  %a = Conv<pads=[1, 1, 1, 1]>(%x, %w)\n  %n = BatchNormalization(%a, %s, %s, %s, %v)\n  %r = Relu(%n)\n"
    "  %f = Flatten(%r)\n  %g = MatMul(%f, %m)\n  %h = Add(%g, %b)\n  %i = Sigmoid(%h)\n  %y = Mul(%h, %i)\n}\n";

static const char custom[] = "graph(%x: float[N,2]) -> (%y) {\n  %a = my::Twice(%x)\n  %y = Neg(%a)\n}\n";

static const scenario scenarios[] = {
    {"load", layers, NULL, load_only},
    {"load, run", layers, NULL, load_and_run},
    {"run", layers, NULL, run_only},
    {"load, run, every step traced", layers, "profile", load_and_run},
    {"load, run, shapes from data", dynamic, NULL, load_and_run},
    {"run, shapes from data", dynamic, NULL, run_only},
    {"load, run, bodies", bodies, NULL, load_and_run},
    {"run, bodies", bodies, NULL, run_only},
    {"load, run, sequences", sequences, NULL, load_and_run},
    {"run, sequences", sequences, NULL, run_only},
    {"check", bodies, NULL, check},
    {"describe", bodies, NULL, describe},
    {"options", custom, NULL, options},
    {"values", NULL, NULL, values},
    {"digits", NULL, NULL, load_and_run},
};

// ---- the torture ------------------------------------------------------------------------------------

static void attempt(const scenario *x, outcome *o) {
  memset(o, 0, offsetof(outcome, result));
  o->message[0] = 0;
  o->bytes = 0;
  x->run(x, o);
}

static void torture(const scenario *x, bool ever_after) {
  static outcome good, bad, again;
  attempt(x, &again);  // warms up what is made once per process or session
  mem_fail_at(UINT64_MAX, false);
  attempt(x, &good);
  uint64_t count = mem_fail_at(0, false), live = mem_live_count(), failures = 0;
  if (good.status != SDX_OK) fail_msg("%s: %s", x->name, good.message);
  uint64_t stride = count / MOST_FAILURES + 1;
  for (uint64_t n = 1; n <= count; n += stride) {
    mem_fail_at(n, ever_after);
    attempt(x, &bad);
    mem_fail_at(0, false);
    bool same = bad.bytes == good.bytes && memcmp(bad.result, good.result, good.bytes) == 0;
    if (bad.status == SDX_OK && !same)
      fail_msg("%s: without allocation %llu there is another result", x->name, (unsigned long long)n);
    if (bad.status != SDX_OK && bad.status != SDX_NO_MEMORY)
      fail_msg("%s: without allocation %llu: %s: %s", x->name, (unsigned long long)n, sdx_status_name(bad.status),
               bad.message);
    if (bad.status != SDX_OK && !bad.message[0])
      fail_msg("%s: without allocation %llu there is no message", x->name, (unsigned long long)n);
    failures += bad.status != SDX_OK;
    if (!session && mem_live_count() != live)
      fail_msg("%s: without allocation %llu, %lld blocks leak", x->name, (unsigned long long)n,
               (long long)(mem_live_count() - live));
    if (n % 8 != 1) continue;
    attempt(x, &again);
    if (again.status != SDX_OK || again.bytes != good.bytes || memcmp(again.result, good.result, good.bytes) != 0)
      fail_msg("%s: after the failure of allocation %llu: %s", x->name, (unsigned long long)n, again.message);
  }
  print_message("%-30s %llu allocations, %llu failures\n", x->name, (unsigned long long)count,
                (unsigned long long)failures);
  assert_true(failures > 0 || count == 0);
}

static text read_digits(void) {
  text t = {0};
  char part[4096];
  FILE *f = fopen("examples/digits/digits.onnx", "rbe");
  assert_non_null(f);
  for (size_t n; (n = fread(part, 1, sizeof part, f)) > 0;) text_append(&t, part, n);
  fclose(f);
  return t;
}

static void memory_ends_anywhere(void **state) {
  bool ever_after = *(const bool *)*state;
  for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++) {
    const scenario *x = &scenarios[i];
    uint64_t live = mem_live_count();
    if (x->run != values) model_text = x->model ? model_bytes(x->model) : read_digits();
    if (x->run == run_only || x->run == describe) {
      outcome o = {0};
      session = load(x, &o);
      if (!session) fail_msg("%s: %s", x->name, o.message);
    }
    torture(x, ever_after);
    sdx_session_destroy(session);
    text_deinit(&model_text);
    session = NULL;
    if (mem_live_count() != live) fail_msg("%s leaks %lld blocks", x->name, (long long)(mem_live_count() - live));
  }
}

int main(void) {
  static bool once = false, for_good = true;
  const struct CMUnitTest tests[] = {cmocka_unit_test_prestate(memory_ends_anywhere, &once),
                                     cmocka_unit_test_prestate(memory_ends_anywhere, &for_good)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
