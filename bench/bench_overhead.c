// SPDX-License-Identifier: Apache-2.0
// What one run costs beside arithmetic: a one-node model and chains of trivial nodes, alternating with
// ONNX Runtime in this process where its wheel is installed. Prints medians and paired ratios.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/host.h"
#include "bench/ort.h"
#include "sardonyx/sardonyx.h"

typedef struct bytes {
  unsigned char *at;
  size_t size, capacity;
} bytes;

static void put(bytes *b, const void *at, size_t n) {
  if (b->size + n > b->capacity) b->at = realloc(b->at, b->capacity = (b->size + n) * 2);
  memcpy(b->at + b->size, at, n);
  b->size += n;
}

static void varint(bytes *b, unsigned long v) {
  for (; v > 127; v >>= 7) put(b, &(unsigned char){(unsigned char)(v | 128)}, 1);
  put(b, &(unsigned char){(unsigned char)v}, 1);
}

static void number(bytes *b, unsigned field, unsigned long v) {
  varint(b, field << 3);
  varint(b, v);
}

static void block(bytes *b, unsigned field, const void *at, size_t n) {
  varint(b, field << 3 | 2);
  varint(b, n);
  put(b, at, n);
}

static void word(bytes *b, unsigned field, const char *text) { block(b, field, text, strlen(text)); }

static void nest(bytes *b, unsigned field, bytes *inner) {
  block(b, field, inner->at, inner->size);
  free(inner->at);
  *inner = (bytes){0};
}

// ValueInfoProto float[1,4]
static void value_info(bytes *graph, unsigned field, const char *name) {
  bytes info = {0}, type = {0}, tensor = {0}, shape = {0}, dim = {0};
  for (unsigned long d = 1; d <= 4; d += 3) {
    number(&dim, 1, d);
    nest(&shape, 1, &dim);
  }
  number(&tensor, 1, 1);
  nest(&tensor, 2, &shape);
  nest(&type, 1, &tensor);
  word(&info, 1, name);
  nest(&info, 2, &type);
  nest(graph, field, &info);
}

static bytes chain(unsigned nodes) {
  static const char *const ops[] = {"Neg", "Abs", "Relu", "Floor"};
  bytes model = {0}, graph = {0}, opset = {0};
  char name[32];
  for (unsigned i = 0; i < nodes; i++) {
    bytes node = {0};
    snprintf(name, sizeof name, "v%u", i);
    word(&node, 1, name);
    snprintf(name, sizeof name, "v%u", i + 1);
    word(&node, 2, name);
    word(&node, 4, ops[i & 3]);
    nest(&graph, 1, &node);
  }
  word(&graph, 2, "chain");
  value_info(&graph, 11, "v0");
  snprintf(name, sizeof name, "v%u", nodes);
  value_info(&graph, 12, name);
  number(&model, 1, 8);
  nest(&model, 7, &graph);
  number(&opset, 2, 13);
  nest(&model, 8, &opset);
  return model;
}

static double now_us(void) { return (double)clock_ns() / 1e3; }

static int compare(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static double median(double *at, size_t n) {
  qsort(at, n, sizeof *at, compare);
  return at[n / 2];
}

enum { ROUNDS = 301 };

static int measure(unsigned nodes, ort *rival) {
  bytes model = chain(nodes);
  char last[32];
  snprintf(last, sizeof last, "v%u", nodes);
  float x[4] = {1.5f, -2, 3, -4}, y[4], z[4];
  int64_t shape[2] = {1, 4};
  sdx_session *session;
  sdx_run *run;
  double load = now_us();
  if (sdx_session_load_bytes(model.at, model.size, true, NULL, &session) != SDX_OK) {
    fprintf(stderr, "%s\n", sdx_session_error(session));
    return 1;
  }
  load = now_us() - load;
  sdx_run_create(session, &run);
  sdx_value *in = sdx_tensor_borrow(SDX_FLOAT, 2, shape, x, NULL, NULL);
  sdx_value *out = sdx_tensor_borrow(SDX_FLOAT, 2, shape, y, NULL, NULL);
  sdx_run_set_input(run, 0, in);
  sdx_run_set_output(run, 0, out);
  ort_session *other = NULL;
  double other_load = now_us();
  if (rival && nodes <= 10000) other = ort_session_load(rival, NULL, model.at, model.size, 1);
  other_load = now_us() - other_load;
  if (other && ort_bind(other, &(ort_io){"v0", SDX_FLOAT, shape, 2, x, sizeof x}, 1,
                        &(ort_io){last, SDX_FLOAT, shape, 2, z, sizeof z}, 1))
    return 1;
  unsigned repeat = nodes < 100 ? 2000 / nodes : 4;
  static double ours[ROUNDS], theirs[ROUNDS], ratio[ROUNDS];
  for (unsigned r = 0; r < ROUNDS; r++)
    for (unsigned turn = 0; turn < 2; turn++) {
      double start = now_us();
      if ((turn ^ r) & 1) {
        for (unsigned i = 0; i < repeat && other; i++)
          if (ort_run(other)) return 1;
        theirs[r] = (now_us() - start) / repeat;
      } else {
        for (unsigned i = 0; i < repeat; i++)
          if (sdx_run_execute(run) != SDX_OK) {
            fprintf(stderr, "%s\n", sdx_run_error(run));
            return 1;
          }
        ours[r] = (now_us() - start) / repeat;
      }
    }
  if (other && memcmp(y, z, sizeof y) != 0) {
    fprintf(stderr, "%u nodes: the results differ\n", nodes);
    return 1;
  }
  for (unsigned r = 0; r < ROUNDS; r++) ratio[r] = ours[r] / theirs[r];
  printf("%7u nodes  load %9.2f ms  run %9.3f us  %6.1f ns/node", nodes, load / 1e3, median(ours, ROUNDS),
         1e3 * median(ours, ROUNDS) / nodes);
  if (other)
    printf("   onnxruntime: load %9.2f ms  run %9.3f us   ratio %.3f", other_load / 1e3, median(theirs, ROUNDS),
           median(ratio, ROUNDS));
  printf("\n");
  fflush(stdout);
  if (other) ort_session_free(other);
  sdx_run_destroy(run);
  sdx_session_destroy(session);
  sdx_value_release(in);
  sdx_value_release(out);
  free(model.at);
  return 0;
}

int main(void) {
  const char *why = "";
  ort *rival = ort_load(&why);
  if (!rival) printf("comparison SKIPPED: %s\n", why);
  static const unsigned sizes[] = {1, 10, 100, 1000, 200000};
  for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++)
    if (measure(sizes[i], rival)) return 1;
  return 0;
}
