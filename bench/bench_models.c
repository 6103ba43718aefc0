// SPDX-License-Identifier: Apache-2.0
// Whole models against ONNX Runtime in this process: short slices of both engines alternate, so that a change of
// clock or a busy neighbour hits both; printed are the medians, the median of the paired ratios (rival's time /
// ours: above 1 we are faster) with quartiles, and the largest difference of the outputs relative to the largest
// output. Before that each engine loads the model and runs once in a process of its own: time and peak memory.
//
//   bench_models [--seconds S] [--threads N] [--free SIZE] [--cold 0] [--folder DIR] [MODEL.onnx ...]
//
// Without models: the convolutional networks below, those that are found in DIR (default ../shared/models).
// Free dimensions are SIZE (1), real inputs are normally distributed, integers small. --cold 0 leaves out the
// fresh processes.
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench/ort.h"
#include "bench/probe.h"
#include "sardonyx/sardonyx.h"

static const char *const standard[] = {
    "conformance/light/light_resnet50/model.onnx",
    "conformance/light/light_squeezenet/model.onnx",
    "conformance/light/light_shufflenet/model.onnx",
    "conformance/light/light_densenet121/model.onnx",
    "conformance/light/light_inception_v2/model.onnx",
    "vision/ultraface/version-RFB-320.onnx",
    "vision/yolox_nano/yolox_nano.onnx",
    "vision/fastestdet/FastestDet.onnx",
    "vision/super_resolution/super-resolution-10.onnx",
    "vision/style/candy.onnx",
    "vision/customvision/squeezenet_tensor_input.onnx",
    "seed/mnist-cntk/mnist-8.onnx",
};

enum { IO_MOST = 32, ROUNDS_MOST = 4000, ROUNDS_LEAST = 5 };
static const double slice = 0.02;

typedef struct contest {
  const char *path;
  int64_t free;  // size of dimensions that the model leaves open
  sdx_session *session;
  sdx_run *run;
  size_t input_count, output_count;
  ort_io inputs[IO_MOST], outputs[IO_MOST];  // of the rival; the inputs' memory is ours
  sdx_value *values[IO_MOST];
  ort_session *rival;
} contest;

static int complain(const char *path, const char *message) {
  fprintf(stderr, "%s: %s\n", path, message);
  return 1;
}

// idle: it will answer questions about the model only.
static int load_ours(contest *c, int threads, bool idle) {
  sdx_options *options = sdx_options_create();
  char number[16];
  snprintf(number, sizeof number, "%d", threads);
  sdx_options_set(options, "threads", number);
  if (idle) sdx_options_set(options, "optimize", "none"), sdx_options_set(options, "map_file", "1");
  sdx_status status = sdx_session_load_file(c->path, options, &c->session);
  sdx_options_destroy(options);
  if (status != SDX_OK) return complain(c->path, c->session ? sdx_session_error(c->session) : "no memory");
  c->input_count = sdx_session_input_count(c->session), c->output_count = sdx_session_output_count(c->session);
  if (c->input_count > IO_MOST || c->output_count > IO_MOST) return complain(c->path, "too many inputs or outputs");
  return sdx_run_create(c->session, &c->run) == SDX_OK ? 0 : complain(c->path, "no run");
}

static double normal(void) { return sqrt(-2 * log(1 - drand48())) * cos(6.283185307179586 * drand48()); }

static void fill(sdx_value *v) {
  void *x = sdx_tensor_data(v);
  for (size_t k = 0; k < sdx_tensor_count(v); k++) switch (sdx_tensor_dtype(v)) {
      case SDX_FLOAT:
        ((float *)x)[k] = (float)normal();
        break;
      case SDX_DOUBLE:
        ((double *)x)[k] = normal();
        break;
      case SDX_INT64:
        ((int64_t *)x)[k] = lrand48() % 8;
        break;
      default:
        break;
    }
}

// Random inputs; both engines read the same memory.
static int make_inputs(contest *c) {
  for (size_t i = 0; i < c->input_count; i++) {
    const sdx_io *io = sdx_session_input(c->session, i);
    int64_t shape[64];
    for (size_t d = 0; d < io->rank && d < 64; d++) shape[d] = io->shape[d] < 0 ? c->free : io->shape[d];
    sdx_value *v = sdx_tensor_create(io->dtype, io->rank, shape);
    if (!v) return complain(c->path, "an input is no tensor");
    fill(v);
    c->values[i] = v;
    c->inputs[i] =
        (ort_io){io->name, (int)io->dtype, sdx_tensor_shape(v), io->rank, sdx_tensor_data(v), sdx_tensor_bytes(v)};
    if (sdx_run_set_input(c->run, i, v) != SDX_OK) return complain(c->path, sdx_run_error(c->run));
  }
  return 0;
}

static int run_ours(contest *c) {
  return sdx_run_execute(c->run) == SDX_OK ? 0 : complain(c->path, sdx_run_error(c->run));
}

// The rival's outputs have the shapes of ours.
static int load_rival(contest *c, ort *o, int threads) {
  c->rival = ort_session_load(o, c->path, NULL, 0, threads);
  if (!c->rival) return 1;
  for (size_t i = 0; i < c->output_count; i++) {
    sdx_value *y = sdx_run_output(c->run, i);
    ort_io *to = &c->outputs[i];
    to->name = sdx_session_output(c->session, i)->name;
    if (sdx_value_kind(y) != SDX_KIND_TENSOR || sdx_tensor_dtype(y) == SDX_STRING) continue;  // the rival makes its own
    *to = (ort_io){sdx_session_output(c->session, i)->name,
                   (int)sdx_tensor_dtype(y),
                   sdx_tensor_shape(y),
                   sdx_tensor_rank(y),
                   NULL,
                   sdx_tensor_bytes(y)};
    to->data = calloc(1, to->bytes + 1);
  }
  return ort_bind(c->rival, c->inputs, c->input_count, c->outputs, c->output_count);
}

static double difference(const contest *c) {
  double worst = 0;
  for (size_t i = 0; i < c->output_count; i++) {
    sdx_value *v = sdx_run_output(c->run, i);
    if (sdx_value_kind(v) != SDX_KIND_TENSOR || sdx_tensor_dtype(v) != SDX_FLOAT) continue;
    const float *x = sdx_tensor_data(v), *y = c->outputs[i].data;
    double gap = 0, size = 1e-30;
    for (size_t k = 0; k < sdx_tensor_count(v); k++) {
      gap = fmax(gap, x[k] == y[k] ? 0 : fabs((double)x[k] - y[k]));
      size = fmax(size, fabs((double)y[k]));
    }
    worst = fmax(worst, gap / size);
  }
  return worst;
}

// Seconds of one run; negative: failed.
static double timed(contest *c, int rival) {
  double begin = clock_seconds(), now;
  int runs = 0;
  do {
    if (rival ? ort_run(c->rival) : run_ours(c)) return -1;
    runs++, now = clock_seconds();
  } while (now - begin < slice);
  return (now - begin) / runs;
}

static int duel(contest *c, const char *name, int threads, double seconds) {
  static double ours[ROUNDS_MOST], theirs[ROUNDS_MOST], ratios[ROUNDS_MOST];
  double until = clock_seconds() + seconds;
  int n = 0;
  for (; n < ROUNDS_MOST && (n < ROUNDS_LEAST || clock_seconds() < until); n++) {
    double first = timed(c, n & 1), second = timed(c, !(n & 1));
    if (first < 0 || second < 0) return 1;
    ours[n] = n & 1 ? second : first, theirs[n] = n & 1 ? first : second;
    ratios[n] = theirs[n] / ours[n];
  }
  printf("%-28s %3d %10.3f %10.3f %7.2f  (%.2f-%.2f) %9.1e", name, threads, quantile(ours, n, 0.5) * 1e3,
         quantile(theirs, n, 0.5) * 1e3, quantile(ratios, n, 0.5), quantile(ratios, n, 0.25), quantile(ratios, n, 0.75),
         difference(c));
  return 0;
}

static void finish(contest *c) {
  ort_session_free(c->rival);
  sdx_run_destroy(c->run);
  for (size_t i = 0; i < c->input_count; i++) sdx_value_release(c->values[i]);
  for (size_t i = 0; i < c->output_count; i++) free(c->outputs[i].data);
  sdx_session_destroy(c->session);
}

// ---- a fresh process -----------------------------------------------------------------------------

// In the child: load, one run. The rival needs the names and shapes of inputs: an idle session of ours knows them.
static int cold_child(const char *path, int64_t free_size, bool rival) {
  contest c = {.path = path, .free = free_size};
  double begin = clock_seconds();
  if (load_ours(&c, 1, rival) || make_inputs(&c)) return 1;
  if (!rival && run_ours(&c)) return 1;
  if (rival) {
    const char *why;
    begin = clock_seconds();
    ort *o = ort_load(&why);
    c.rival = o ? ort_session_load(o, path, NULL, 0, 1) : NULL;
    for (size_t i = 0; i < c.output_count; i++) c.outputs[i].name = sdx_session_output(c.session, i)->name;
    if (!c.rival || ort_bind(c.rival, c.inputs, c.input_count, c.outputs, c.output_count) || ort_run(c.rival)) return 1;
  }
  struct rusage used;
  getrusage(RUSAGE_SELF, &used);
  printf("%.1f %.0f\n", (clock_seconds() - begin) * 1e3, (double)used.ru_maxrss / 1024);
  return 0;
}

static int cold(const char *program, const contest *c, bool rival, double *ms, double *megabytes) {
  char command[8192];
  snprintf(command, sizeof command, "'%s' --child %s %lld '%s'", program, rival ? "rival" : "ours", (long long)c->free,
           c->path);
  FILE *child = popen(command, "r");
  if (!child) return complain(c->path, "no process");
  int fields = fscanf(child, "%lf %lf", ms, megabytes);
  return pclose(child) == 0 && fields == 2 ? 0 : complain(c->path, "the cold start failed");
}

// ---- all -----------------------------------------------------------------------------------------

// "resnet/model.onnx" is called resnet, others by their file.
static void name_of(const char *path, char *name, size_t size) {
  const char *slash = strrchr(path, '/'), *begin = slash ? slash + 1 : path;
  if (slash && strcmp(slash, "/model.onnx") == 0)
    for (begin = slash; begin > path && begin[-1] != '/';) begin--;
  snprintf(name, size, "%.*s", (int)strcspn(begin, "/"), begin);
  char *dot = strstr(name, ".onnx");
  if (dot) *dot = 0;
}

typedef struct settings {
  double seconds;
  int threads;  // 0: one, then two
  int64_t free;
  bool cold;
  const char *folder;
} settings;

static int bench(const char *program, const settings *s, const char *path, ort *o, int threads) {
  contest c = {.path = path, .free = s->free};
  char name[64];
  name_of(path, name, sizeof name);
  int failed = load_ours(&c, threads, false) || make_inputs(&c) || run_ours(&c) || load_rival(&c, o, threads) ||
               duel(&c, name, threads, s->seconds);
  finish(&c);
  double ours[2], theirs[2];
  bool colds = s->cold && threads == 1;
  failed = failed ||
           (colds && (cold(program, &c, false, &ours[0], &ours[1]) || cold(program, &c, true, &theirs[0], &theirs[1])));
  if (!failed && colds) printf("   %8.1f %8.1f %6.0f %6.0f", ours[0], theirs[0], ours[1], theirs[1]);
  if (!failed) putchar('\n');
  fflush(stdout);
  return failed;
}

static int usage(void) {
  fputs("usage: bench_models [--seconds S] [--threads N] [--free SIZE] [--cold 0] [--folder DIR] [MODEL.onnx ...]\n",
        stderr);
  return 2;
}

int main(int argc, char **argv) {
  settings s = {.seconds = 3, .free = 1, .cold = true, .folder = "../shared/models"};
  int i = 1, failed = 0;
  const char *why = "";
  if (argc == 5 && strcmp(argv[1], "--child") == 0)
    return cold_child(argv[4], atoll(argv[3]), strcmp(argv[2], "rival") == 0);
  for (; i + 1 < argc && argv[i][0] == '-'; i += 2) {
    if (strcmp(argv[i], "--seconds") == 0) s.seconds = strtod(argv[i + 1], NULL);
    else if (strcmp(argv[i], "--threads") == 0) s.threads = atoi(argv[i + 1]);
    else if (strcmp(argv[i], "--free") == 0) s.free = atoll(argv[i + 1]);
    else if (strcmp(argv[i], "--cold") == 0) s.cold = atoi(argv[i + 1]) != 0;
    else if (strcmp(argv[i], "--folder") == 0) s.folder = argv[i + 1];
    else return usage();
  }
  if (i < argc && argv[i][0] == '-') return usage();
  ort *o = ort_load(&why);
  if (!o) {
    printf("SKIPPED: %s\n", why);
    return 0;
  }
  printf("%-28s %3s %10s %10s %7s  %-11s %9s   %8s %8s %6s %6s\n", "", "thr", "ours ms", "rival ms", "ratio",
         "quartiles", "differ", "cold ms", "rival", "MB", "rival");
  size_t count = i < argc ? (size_t)(argc - i) : sizeof standard / sizeof *standard;
  for (size_t m = 0; m < count; m++) {
    char path[4096];
    if (i < argc) snprintf(path, sizeof path, "%s", argv[i + (int)m]);
    else snprintf(path, sizeof path, "%s/%s", s.folder, standard[m]);
    if (access(path, R_OK) != 0) {
      printf("%s: SKIPPED, it is not there\n", path);
      continue;
    }
    for (int t = s.threads ? s.threads : 1; t <= (s.threads ? s.threads : 2); t++)
      failed |= bench(argv[0], &s, path, o, t);
  }
  return failed;
}
