// SPDX-License-Identifier: Apache-2.0
// Minimum cuts, which layouts are chosen by, against all choices tried: no sum is lower, and among the lowest none has
// fewer 1. Small random problems, and the shape that layouts make of a value with several readers.
#include "plan/cut.h"
#include "tests/model.h"

enum { MOST_CHOICES = 9, MOST_TERMS = 24, ROUNDS = 3000 };

typedef struct term {
  uint32_t a, b;  // equal: costs of one choice
  int64_t cost, if_1;
} term;

typedef struct problem {
  uint32_t choices, count;
  term terms[MOST_TERMS];
} problem;

static uint32_t draw(uint32_t *seed, uint32_t below) {
  *seed = *seed * 1664525u + 1013904223u;
  return (*seed >> 8) % below;
}

static int64_t sum(const problem *p, uint32_t chosen) {
  int64_t all = 0;
  for (uint32_t i = 0; i < p->count; i++) {
    const term *t = &p->terms[i];
    bool a = chosen >> t->a & 1, b = chosen >> t->b & 1;
    int64_t cost = t->a == t->b ? a ? t->if_1 : t->cost : a && !b ? t->cost : 0;
    if (cost == CUT_NEVER) return CUT_NEVER;
    all += cost;
  }
  return all;
}

static void expect_best(const problem *p, uint32_t round) {
  arena memory;
  bool chosen[MOST_CHOICES];
  arena_init(&memory, NULL);
  cut *k = cut_create(p->choices, p->count, &memory);
  for (uint32_t i = 0; i < p->count; i++) {
    const term *t = &p->terms[i];
    if (t->a == t->b) cut_cost(k, t->a, t->cost, t->if_1);
    else cut_pair(k, t->a, t->b, t->cost);
  }
  assert_true(cut_solve(k, chosen, &memory));
  uint32_t taken = 0;
  for (uint32_t i = 0; i < p->choices; i++) taken |= (uint32_t)chosen[i] << i;
  for (uint32_t other = 0; other < 1u << p->choices; other++) {
    int64_t mine = sum(p, taken), its = sum(p, other);
    if (its < mine || (its == mine && __builtin_popcount(other) < __builtin_popcount(taken)))
      fail_msg("round %u: choices %x cost %lld, %x would cost %lld", round, taken, (long long)mine, other,
               (long long)its);
  }
  arena_deinit(&memory);
}

static void no_choice_is_better(void **state) {
  uint32_t seed = 7;
  for (uint32_t round = 0; round < ROUNDS; round++) {
    problem p = {.choices = 1 + draw(&seed, MOST_CHOICES), .count = draw(&seed, MOST_TERMS + 1)};
    for (uint32_t i = 0; i < p.count; i++)
      p.terms[i] = (term){draw(&seed, p.choices), draw(&seed, p.choices), draw(&seed, 20), draw(&seed, 20)};
    expect_best(&p, round);
  }
}

// A value of one step is read by others: one copy in the other layout serves all that want it.
static void one_copy_serves_all_readers(void **state) {
  enum { WRITER, READERS = 4, LAST = 5, ONNX = 6, CHOICES = 7 };
  uint32_t seed = 3;
  for (uint32_t round = 0; round < ROUNDS; round++) {
    problem p = {.choices = CHOICES};
    int64_t bytes = 1 + draw(&seed, 30);
    for (uint32_t r = 0; r <= READERS; r++) p.terms[p.count++] = (term){r, r, draw(&seed, 20), draw(&seed, 20)};
    for (uint32_t r = 1; r <= READERS; r++) {
      p.terms[p.count++] = (term){r, LAST, CUT_NEVER, 0};
      p.terms[p.count++] = (term){ONNX, r, CUT_NEVER, 0};
    }
    p.terms[p.count++] = (term){LAST, WRITER, bytes, 0};
    p.terms[p.count++] = (term){WRITER, ONNX, bytes, 0};
    expect_best(&p, round);
  }
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(no_choice_is_better),
      cmocka_unit_test(one_copy_serves_all_readers),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
