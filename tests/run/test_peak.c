// SPDX-License-Identifier: Apache-2.0
// What a process holds at most that loads a model and runs it once: no more than 1.35 of its weights and its slab,
// whatever passes do with the weights and wherever they come from. Each model is measured in a process of its own.
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#include "builder/builder.h"
#include "tests/process.h"
#include "tests/run/convolutions.h"

enum { LAYERS = 12, SIDE = 1024, CHANNELS = 340 };  // 48 MB

static char folder[] = "/tmp/sardonyx-peak-XXXXXX";

// In a process of its own: its peak, the weights that are read, the slab, in bytes.
static int measure(const char *path) {
  sdx_session *s;
  struct rusage usage;
  size_t bytes = 0;
  if (sdx_session_load_file(path, NULL, &s)) {
    fprintf(stderr, "%s\n", sdx_session_error(s));
    return 1;
  }
  for (size_t i = 0; i < s->weights.count; i++) bytes += s->weights.at[i].uses ? s->weights.at[i].bytes : 0;
  sdx_value_release(convolutions_run(s, 1, NULL, 0));
  getrusage(RUSAGE_SELF, &usage);
  printf("%ld %zu %zu\n", usage.ru_maxrss * 1024, bytes, s->plans[chain_of(NULL)]->slab_bytes);
  sdx_session_destroy(s);
  return 0;
}

// ---- models -----------------------------------------------------------------------------------------

static sdx_ref add_weights(sdx_graph *g, sdx_dtype dtype, size_t rank, const int64_t *shape) {
  static uint32_t seed = 1;
  return sdx_graph_add_filled(g, "w", dtype, rank, shape, convolutions_fill, &seed);
}

// What stands between a weight and the product that reads it.
typedef sdx_ref (*made_from)(sdx_graph *g);

static sdx_ref plain(sdx_graph *g) { return add_weights(g, SDX_FLOAT, 2, (int64_t[]){SIDE, SIDE}); }
static sdx_ref transposed(sdx_graph *g) {
  sdx_ref t = sdx_graph_add_node(g, "Transpose", NULL, SDX_REFS(plain(g)));
  sdx_graph_set_ints(g, "perm", 2, (int64_t[]){1, 0});
  return t;
}
static sdx_ref scaled(sdx_graph *g) {
  sdx_ref factor = sdx_graph_add_scalar(g, SDX_FLOAT, 2);
  return sdx_graph_add_node(g, "Mul", NULL, SDX_REFS(plain(g), factor));
}
static sdx_ref reshaped(sdx_graph *g) {
  sdx_ref flat = add_weights(g, SDX_FLOAT, 1, (int64_t[]){SIDE * SIDE});
  sdx_ref shape = sdx_graph_add_ints(g, 2, (int64_t[]){SIDE, SIDE});
  return sdx_graph_add_node(g, "Reshape", NULL, SDX_REFS(flat, shape));
}
static sdx_ref cast(sdx_graph *g) {
  sdx_ref w = add_weights(g, SDX_FLOAT16, 2, (int64_t[]){SIDE, SIDE});
  sdx_ref t = sdx_graph_add_node(g, "Cast", NULL, SDX_REFS(w));
  sdx_graph_set_int(g, "to", SDX_FLOAT);
  return t;
}
static sdx_ref dequantized(sdx_graph *g) {
  sdx_ref w = add_weights(g, SDX_INT8, 2, (int64_t[]){SIDE, SIDE});
  sdx_ref scale = sdx_graph_add_scalar(g, SDX_FLOAT, 0.01);
  return sdx_graph_add_node(g, "DequantizeLinear", NULL, SDX_REFS(w, scale));
}
static sdx_ref in_an_attribute(sdx_graph *g) {
  uint32_t seed = 1;
  sdx_value *t = sdx_tensor_create(SDX_FLOAT, 2, (int64_t[]){SIDE, SIDE});
  if (t) convolutions_fill(&seed, sdx_tensor_data(t), sdx_tensor_bytes(t));
  sdx_ref w = sdx_graph_add_node(g, "Constant", NULL, 0, NULL);
  sdx_graph_set_tensor(g, "value", t);
  return w;
}

// `data`: how many rows there are depends on data.
static sdx_ref products(sdx_graph *g, made_from from, bool data) {
  sdx_io io = {.name = "x", .dtype = SDX_FLOAT, .has_shape = true, .rank = 2, .shape = (int64_t[]){4, SIDE}};
  sdx_ref x = sdx_graph_add_input(g, &io);
  if (data) {
    sdx_ref column = sdx_graph_add_node(g, "ArgMax", NULL, SDX_REFS(x));
    sdx_graph_set_int(g, "axis", 1);
    sdx_graph_set_int(g, "keepdims", 0);
    sdx_ref rows = sdx_graph_add_node(g, "Unique", NULL, SDX_REFS(column));
    sdx_ref four = sdx_graph_add_scalar(g, SDX_INT64, 4);
    sdx_ref row = sdx_graph_add_node(g, "Mod", NULL, SDX_REFS(rows, four));
    x = sdx_graph_add_node(g, "Gather", NULL, SDX_REFS(x, row));
  }
  for (int i = 0; i < LAYERS; i++) {
    sdx_ref w = from(g);
    x = sdx_graph_add_node(g, "MatMul", NULL, SDX_REFS(x, w));
  }
  return x;
}

static sdx_ref numbers(sdx_graph *g, size_t rank) {
  return add_weights(g, SDX_FLOAT, rank, rank == 1 ? (int64_t[]){CHANNELS} : (int64_t[]){1, CHANNELS, 1, 1});
}

// A convolution, and what a pass moves into its weights.
static sdx_ref layer(sdx_graph *g, sdx_ref x, const char *kind) {
  sdx_ref w = add_weights(g, SDX_FLOAT, 4, (int64_t[]){CHANNELS, CHANNELS, 3, 3});
  x = sdx_graph_add_node(g, "Conv", NULL, SDX_REFS(x, w));
  sdx_graph_set_ints(g, "pads", 4, (int64_t[]){1, 1, 1, 1});
  if (strcmp(kind, "norm") == 0) {
    sdx_ref of_one[4];
    for (int i = 0; i < 4; i++) of_one[i] = numbers(g, 1);
    sdx_ref positive = sdx_graph_add_node(g, "Abs", NULL, SDX_REFS(of_one[3]));
    x = sdx_graph_add_node(g, "BatchNormalization", NULL, SDX_REFS(x, of_one[0], of_one[1], of_one[2], positive));
  } else if (strcmp(kind, "factors") == 0) {
    sdx_ref factors = numbers(g, 4), sums = numbers(g, 4);
    x = sdx_graph_add_node(g, "Mul", NULL, SDX_REFS(x, factors));
    x = sdx_graph_add_node(g, "Add", NULL, SDX_REFS(x, sums));
  }
  return sdx_graph_add_node(g, "Relu", NULL, SDX_REFS(x));
}

static sdx_ref convolutions(sdx_graph *g, const char *kind) {
  sdx_io io = {.name = "x", .dtype = SDX_FLOAT, .has_shape = true, .rank = 4, .shape = (int64_t[]){1, CHANNELS, 7, 7}};
  sdx_ref x = sdx_graph_add_input(g, &io);
  for (int i = 0; i < LAYERS; i++) x = layer(g, x, kind);
  return x;
}

// Two layers in one step each: both weights of a step are packed.
static sdx_ref recurrent(sdx_graph *g, const char *op, int64_t gates) {
  enum { HIDDEN = 512 };
  sdx_io io = {.name = "x", .dtype = SDX_FLOAT, .has_shape = true, .rank = 3, .shape = (int64_t[]){2, 1, HIDDEN}};
  sdx_ref x = sdx_graph_add_input(g, &io), axis = sdx_graph_add_ints(g, 1, (int64_t[]){1});
  for (int i = 0; i < LAYERS / 2; i++) {
    sdx_ref w = add_weights(g, SDX_FLOAT, 3, (int64_t[]){1, gates * HIDDEN, HIDDEN});
    sdx_ref r = add_weights(g, SDX_FLOAT, 3, (int64_t[]){1, gates * HIDDEN, HIDDEN});
    x = sdx_graph_add_node(g, op, NULL, SDX_REFS(x, w, r));
    sdx_graph_set_int(g, "hidden_size", HIDDEN);
    x = sdx_graph_add_node(g, "Squeeze", NULL, SDX_REFS(x, axis));
  }
  return x;
}

// ---- the measure ------------------------------------------------------------------------------------

typedef struct kind {
  const char *name, *layer;  // layer: of convolutions
  made_from from;            // of products
  int64_t gates;             // of recurrent ones
  bool data;                 // shapes depend on data
  bool far;                  // the weights lie in a file beside the model
} kind;

static void save(const kind *k, const char *path) {
  sdx_builder *b = sdx_builder_create(0);
  sdx_graph *g = sdx_builder_graph(b);
  if (k->far) b->most_inside = 32768;
  sdx_ref y = k->from    ? products(g, k->from, k->data)
              : k->gates ? recurrent(g, k->gates == 4 ? "LSTM" : "GRU", k->gates)
                         : convolutions(g, k->layer);
  sdx_graph_add_output(g, y, &(sdx_io){.name = "y", .dtype = SDX_FLOAT});
  if (sdx_builder_save(b, path)) fail_msg("%s: %s", k->name, sdx_builder_error(b));
  sdx_builder_destroy(b);
}

static void expect_once(const kind *k, const char *path, const char *tier) {
  char command[300];
  long peak;
  size_t read, slab;
  snprintf(command, sizeof command, "%s /proc/%d/exe measure %s", tier, (int)getpid(), path);
  FILE *child = popen(command, "re");
  if (fscanf(child, "%ld %zu %zu", &peak, &read, &slab) != 3) fail_msg("%s cannot be measured", k->name);
  assert_int_equal(pclose(child), 0);
  double ratio = (double)peak / (double)(read + slab);
  print_message("%-28s %-18s peak %6.1f MB, %.2f of weights and slab\n", k->name, tier, (double)peak / 1e6, ratio);
  if (read < 36000000 || ratio > 1.35) fail_msg("%s: %.2f of %.1f MB", k->name, ratio, (double)(read + slab) / 1e6);
}

static void weights_are_in_memory_once(void **state) {
  static const kind kinds[] = {
      {.name = "products", .from = plain},
      {.name = "in files beside the model", .from = plain, .far = true},
      {.name = "in attributes", .from = in_an_attribute},
      {.name = "shapes that depend on data", .from = plain, .data = true},
      {.name = "transposed", .from = transposed},
      {.name = "transposed, in files", .from = transposed, .far = true},
      {.name = "multiplied", .from = scaled},
      {.name = "reshaped", .from = reshaped},
      {.name = "fp16 cast to float", .from = cast},
      {.name = "int8 dequantized", .from = dequantized},
      {.name = "convolutions", .layer = ""},
      {.name = "with BatchNormalization", .layer = "norm"},
      {.name = "BatchNormalization, in files", .layer = "norm", .far = true},
      {.name = "with factors and sums", .layer = "factors"},
      {.name = "LSTM", .gates = 4},
      {.name = "GRU", .gates = 3},
  };
  char path[200], data[210];
  if (process_sanitized()) skip();
  snprintf(path, sizeof path, "%s/m.onnx", folder);
  snprintf(data, sizeof data, "%s.data", path);
  for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++) {
    save(&kinds[i], path);
    expect_once(&kinds[i], path, "");
    expect_once(&kinds[i], path, "SARDONYX_CPU=avx2");
    unlink(path);
    unlink(data);
  }
}

int main(int count, char **words) {
  if (count == 3) return measure(words[2]);
  const struct CMUnitTest tests[] = {cmocka_unit_test(weights_are_in_memory_once)};
  if (!mkdtemp(folder)) return 1;
  int failed = cmocka_run_group_tests(tests, NULL, NULL);
  return rmdir(folder) || failed;
}
