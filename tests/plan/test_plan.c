// SPDX-License-Identifier: Apache-2.0
// What a plan must keep: nothing that is alive at the same time shares memory, the slab is near the least that
// can do, packed weights belong to the numbers they were made from, limits hold.
#include <stdlib.h>

#include "run/session.h"
#include "tests/model.h"

// ---- the slab ---------------------------------------------------------------------------------------

typedef struct span {
  size_t offset, bytes;
  uint32_t first, last;
} span;

static void check_slab(const plan *p, const char *what) {
  size_t most = p->value_count + p->step_count, count = 0, live = 0;
  span *spans = calloc(most, sizeof *spans);
  for (uint32_t s = 0; s < p->step_count; s++) {
    const plan_step *step = &p->steps[s];
    if (step->step.scratch_bytes) spans[count++] = (span){step->scratch_offset, step->step.scratch_bytes, s, s};
    for (uint32_t i = 0; i < step->step.node->output_count; i++) {
      const plan_value *v = &p->values[step->step.node->outputs[i]];
      if (step->step.node->outputs[i] && v->storage == STORE_SLAB && v->root == step->step.node->outputs[i])
        spans[count++] = (span){v->offset, v->value.tensor.bytes, s, v->last};
    }
  }
  for (size_t i = 0; i < count; i++) {
    size_t now = 0;
    assert_int_equal(spans[i].offset % 64, 0);
    assert_true(spans[i].offset + spans[i].bytes <= p->slab_bytes);
    for (size_t k = 0; k < count; k++) {
      const span *a = &spans[i], *b = &spans[k];
      if (b->first <= a->first && b->last >= a->first) now += b->bytes;
      if (i == k || a->last < b->first || b->last < a->first) continue;
      if (a->offset < b->offset + b->bytes && b->offset < a->offset + a->bytes)
        fail_msg("%s: [%zu, +%zu) and [%zu, +%zu) overlap", what, a->offset, a->bytes, b->offset, b->bytes);
    }
    if (now > live) live = now;
  }
  assert_true(live <= p->live_bytes);
  if (p->slab_bytes > p->live_bytes + p->live_bytes * 3 / 20)
    fail_msg("%s: the slab has %zu bytes, %zu are alive at once", what, p->slab_bytes, p->live_bytes);
  free(spans);
}

static void check_plans(const char *source, int64_t batch) {
  sdx_session *s = model_load(source, "optimize=none threads=1");
  sdx_run *r = model_run(s, batch);
  if (sdx_run_execute(r) != SDX_OK) fail_msg("%s\n%s", source, sdx_run_error(r));
  for (size_t i = 0; i < CHAINS; i++)
    for (const plan *p = s->plans[i]; p; p = p->next) check_slab(p, source);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

// A random graph: each node reads one or two earlier values; sizes differ by Concat and Slice.
static void random_graphs(void **state) {
  uint32_t seed = 7;
  for (int round = 0; round < 60; round++) {
    text t = {0};
    int columns[41] = {4}, nodes = 10 + round % 30;
    text_format(
        &t, "graph(%%v0: float[N,4]) -> (%%v%d, %%v%d) {\n  const %%one: int64[1]{1}\n  const %%zero: int64[1]{0}\n",
        nodes, nodes / 2);
    for (int i = 1; i <= nodes; i++) {
      seed = seed * 1664525u + 1013904223u;
      int a = (int)((seed >> 8) % (unsigned)i), b = (int)((seed >> 16) % (unsigned)i);
      switch ((seed >> 24) % 4) {
        case 0:
          text_format(&t, "  %%v%d = Neg(%%v%d)\n", i, a);
          columns[i] = columns[a];
          break;
        case 1:
          if (columns[a] + columns[b] < 4000) {
            text_format(&t, "  %%v%d = Concat<axis=1>(%%v%d, %%v%d)\n", i, a, b);
            columns[i] = columns[a] + columns[b];
            break;
          }
          __attribute__((fallthrough));
        case 2:
          text_format(&t, "  %%v%d = Slice(%%v%d, %%zero, %%one, %%one)\n", i, a);
          columns[i] = 1;
          break;
        default:
          text_format(&t, "  %%v%d = Softmax(%%v%d)\n", i, a);
          columns[i] = columns[a];
      }
    }
    text_format(&t, "}\n");
    check_plans(t.at, 30);
    text_deinit(&t);
  }
}

static void views_keep_their_bytes_alive(void **state) {
  check_plans(
      "graph(%x: float[N,4]) -> (%y, %w) {\n  const %flat: int64[1]{-1}\n  const %rows: int64[2]{-1, 4}\n"
      "  %a = Neg(%x)\n  %b = Reshape(%a, %flat)\n  %c = Exp(%x)\n  %d = Abs(%c)\n  %e = Reshape(%b, %rows)\n"
      "  %y = Add(%d, %e)\n  %w = Identity(%e)\n}\n",
      5);
}

// ---- packed weights ---------------------------------------------------------------------------------

// Weights that are computed from the input's shape while planning live and die with the plan.
static void packs_do_not_outlive_what_they_were_made_from(void **state) {
  static const char source[] =
      "graph(%x: float[N,3]) -> (%y) {\n  const %zero: int64[]{0}\n  const %shape: int64[2]{3, 5}\n"
      "  %s = Shape(%x)\n  %n = Gather(%s, %zero)\n  %f = Cast<to=1>(%n)\n  %w = Expand(%f, %shape)\n"
      "  %y = MatMul(%x, %w)\n}\n";
  sdx_session *s = model_load(source, "plan_cache=1 threads=1");
  for (int64_t i = 0; i < 8; i++) {
    int64_t batch = 2 + i % 3;
    sdx_run *r = model_run(s, batch);
    if (sdx_run_execute(r) != SDX_OK) fail_msg("%s", sdx_run_error(r));
    sdx_value *input = model_input(sdx_session_input(s, 0), batch);
    const float *x = sdx_tensor_data(input), *y = sdx_tensor_data(sdx_run_output(r, 0));
    for (int64_t k = 0; k < batch; k++)
      assert_true(fabsf(y[5 * k] - (float)batch * (x[3 * k] + x[3 * k + 1] + x[3 * k + 2])) < 1e-4f);
    sdx_value_release(input);
    sdx_run_destroy(r);
  }
  sdx_session_destroy(s);
}

// One constant seen in two shapes: equal bytes, equal address, other weights.
static void one_constant_in_two_shapes(void **state) {
  static const char source[] =
      "graph(%x: float[N,2,4,4], %z: float[N,4,4,4]) -> (%y, %q) {\n"
      "  const %k: float[8]{1, 2, 3, 4, 5, 6, 7, 8}\n  const %a: int64[4]{4, 2, 1, 1}\n"
      "  const %b: int64[4]{2, 4, 1, 1}\n  %w = Reshape(%k, %a)\n  %v = Reshape(%k, %b)\n  %y = Conv(%x, %w)\n"
      "  %q = Conv(%z, %v)\n}\n";
  sdx_session *plain = model_load(source, "optimize=none"), *folded = model_load(source, "optimize=all");
  sdx_run *a = model_run(plain, 2), *b = model_run(folded, 2);
  assert_int_equal(sdx_run_execute(a), SDX_OK);
  assert_int_equal(sdx_run_execute(b), SDX_OK);
  assert_true(model_difference(sdx_run_output(a, 0), sdx_run_output(b, 0)) == 0);
  assert_true(model_difference(sdx_run_output(a, 1), sdx_run_output(b, 1)) == 0);
  sdx_run_destroy(a);
  sdx_run_destroy(b);
  sdx_session_destroy(plain);
  sdx_session_destroy(folded);
}

// A step whose shapes depend on data packs its weights once.
static void dynamic_steps_share_packs(void **state) {
  static const char source[] =
      "graph(%x: float[N,3], %keep: bool[N]) -> (%y) {\n  const %w: float[3,4]{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12}\n"
      "  %c = Compress<axis=0>(%x, %keep)\n  %y = MatMul(%c, %w)\n}\n";
  sdx_session *s = model_load(source, "threads=1");
  sdx_run *r = model_run(s, 6);
  assert_int_equal(sdx_run_execute(r), SDX_OK);
  size_t held = atomic_load(&s->account.used);
  for (int i = 0; i < 5; i++) assert_int_equal(sdx_run_execute(r), SDX_OK);
  assert_int_equal(atomic_load(&s->account.used), held);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

// ---- limits -----------------------------------------------------------------------------------------

static void a_session_obeys_its_memory_limit(void **state) {
  static const char path[] = "examples/digits/digits.onnx";
  sdx_session *s;
  sdx_options *o = model_options("threads=1");
  assert_int_equal(sdx_session_load_file(path, o, &s), SDX_OK);
  size_t needed = atomic_load(&s->account.peak);
  sdx_session_destroy(s);
  for (size_t limit = 1; limit < 2 * needed; limit += needed / 23) {
    char number[30];
    snprintf(number, sizeof number, "%zu", limit);
    assert_int_equal(sdx_options_set(o, "memory_limit_bytes", number), SDX_OK);
    sdx_status status = sdx_session_load_file(path, o, &s);
    assert_true(status == SDX_OK || status == SDX_NO_MEMORY);
    assert_true(limit < needed || status == SDX_OK);
    assert_true(atomic_load(&s->account.peak) <= limit);
    if (status != SDX_OK) assert_non_null(strstr(sdx_session_error(s), "memory"));
    sdx_session_destroy(s);
  }
  sdx_options_destroy(o);
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(random_graphs),
      cmocka_unit_test(views_keep_their_bytes_alive),
      cmocka_unit_test(packs_do_not_outlive_what_they_were_made_from),
      cmocka_unit_test(one_constant_in_two_shapes),
      cmocka_unit_test(dynamic_steps_share_packs),
      cmocka_unit_test(a_session_obeys_its_memory_limit),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
