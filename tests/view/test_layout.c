// SPDX-License-Identifier: Apache-2.0
// Layered drawings: arrows lead downwards, boxes of a layer keep their distance, long arrows have a way around, and
// large graphs are drawn in time. Random graphs, chains, fans and circles.
#include "view/layout.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

static uint32_t state = 7;
static uint32_t next(uint32_t below) {
  state = state * 1664525u + 1013904223u;
  return (uint32_t)((uint64_t)state * below >> 32);
}

static layout_box *boxes_of(size_t count) {
  layout_box *boxes = calloc(count + 1, sizeof *boxes);
  assert_non_null(boxes);
  for (size_t i = 0; i < count; i++) boxes[i].width = 72 + (float)next(180);
  return boxes;
}

static int by_place(const void *a, const void *b) {
  const layout_box *x = *(layout_box *const *)a, *y = *(layout_box *const *)b;
  if (x->layer != y->layer) return x->layer < y->layer ? -1 : 1;
  return x->x < y->x ? -1 : x->x > y->x;
}

static void check(layout_box *boxes, size_t count, const layout_arrow *arrows, size_t arrow_count) {
  layout_box **sorted = malloc((count + 1) * sizeof *sorted);
  assert_non_null(sorted);
  for (size_t i = 0; i < arrow_count; i++)
    if (arrows[i].from < arrows[i].to) assert_true(boxes[arrows[i].from].layer < boxes[arrows[i].to].layer);
  for (size_t i = 0; i < count; i++) sorted[i] = &boxes[i];
  qsort(sorted, count, sizeof *sorted, by_place);
  for (size_t i = 1; i < count; i++) {
    if (sorted[i]->layer != sorted[i - 1]->layer) continue;
    float between = sorted[i]->x - sorted[i - 1]->x - (sorted[i]->width + sorted[i - 1]->width) / 2;
    assert_true(between > LAYOUT_GAP - 1);
  }
  free(sorted);
}

static void draw(layout_box *boxes, size_t count, const layout_arrow *arrows, size_t arrow_count) {
  void *piece;
  assert_true(layout_find(boxes, count, arrows, arrow_count, &piece));
  check(boxes, count, arrows, arrow_count);
  free(piece);
}

static void test_random(void **unused) {
  enum { MOST = 200 };
  layout_arrow arrows[3 * MOST];
  for (int round = 0; round < 300; round++) {
    size_t count = next(MOST), arrow_count = count ? next((uint32_t)(3 * count)) : 0;
    layout_box *boxes = boxes_of(count);
    // Some lead backwards or to themselves: models that are wrong are drawn, too.
    for (size_t i = 0; i < arrow_count; i++) arrows[i] = (layout_arrow){next((uint32_t)count), next((uint32_t)count)};
    draw(boxes, count, arrows, arrow_count);
    free(boxes);
  }
}

static void test_straight(void **unused) {
  enum { COUNT = 50 };
  layout_arrow arrows[COUNT];
  layout_box *boxes = boxes_of(COUNT);
  for (uint32_t i = 0; i + 1 < COUNT; i++) arrows[i] = (layout_arrow){i, i + 1};
  draw(boxes, COUNT, arrows, COUNT - 1);
  for (uint32_t i = 0; i < COUNT; i++) {
    assert_int_equal(boxes[i].layer, i);
    assert_true(boxes[i].x - boxes[0].x < 1 && boxes[0].x - boxes[i].x < 1);
  }
  free(boxes);
}

// An arrow past a chain has a point in every layer between, beside the boxes there.
static void test_way_around(void **unused) {
  layout_box *boxes = boxes_of(4);
  const layout_arrow arrows[] = {{0, 1}, {1, 2}, {2, 3}, {0, 3}};
  void *piece;
  assert_true(layout_find(boxes, 4, arrows, 4, &piece));
  assert_int_equal(boxes[0].way_count, 2);
  for (int i = 0; i < 2; i++) {
    float beside = boxes[0].way[i] - boxes[1 + i].x;
    assert_true((beside < 0 ? -beside : beside) > boxes[1 + i].width / 2);
  }
  free(piece);
  free(boxes);
}

// What nothing leads to stands right above what it is for.
static void test_late_inputs(void **unused) {
  layout_box *boxes = boxes_of(5);
  const layout_arrow arrows[] = {{0, 2}, {2, 3}, {3, 4}, {1, 4}};
  draw(boxes, 5, arrows, 4);
  assert_int_equal(boxes[1].layer, boxes[4].layer - 1);
  free(boxes);
}

static double seconds(void) {
  struct timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

// 10,000 boxes: one after the other with a value that all read, side by side, and at random.
static void test_large(void **unused) {
  enum { COUNT = 10000 };
  layout_arrow *arrows = malloc(2 * COUNT * sizeof *arrows);
  assert_non_null(arrows);
  for (int kind = 0; kind < 3; kind++) {
    layout_box *boxes = boxes_of(COUNT);
    double began = seconds();
    for (uint32_t i = 0; i < COUNT; i++) {
      uint32_t before = kind == 0 ? i : kind == 1 ? 0 : next(i + 1);
      arrows[2 * i] = (layout_arrow){before, i + 1 < COUNT ? i + 1 : i};
      arrows[2 * i + 1] = (layout_arrow){kind == 2 ? next(i + 1) : 0, i};
    }
    draw(boxes, COUNT, arrows, 2 * COUNT);
    assert_true(seconds() - began < 2);
    free(boxes);
  }
  free(arrows);
}

int main(void) {
  const struct CMUnitTest tests[] = {cmocka_unit_test(test_random), cmocka_unit_test(test_straight),
                                     cmocka_unit_test(test_way_around), cmocka_unit_test(test_late_inputs),
                                     cmocka_unit_test(test_large)};
  return cmocka_run_group_tests(tests, NULL, NULL);
}
