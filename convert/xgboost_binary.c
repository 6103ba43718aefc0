// SPDX-License-Identifier: Apache-2.0
// XGBoost's binary form, deprecated since 1.0: C structures as they lay in memory, little-endian, one after the other.
// Read next: xgboost.c.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/size.h"
#include "convert/xgboost.h"

enum {
  LEARNER_BYTES = 136,  // base_score, num_feature, num_class, contain_extra_attrs, ..., version, reserved
  BOOSTER_BYTES = 160,  // of trees: num_trees, ..., num_feature, ..., size_leaf_vector, reserved
  LINEAR_BYTES = 136,   // num_feature, num_output_group, reserved
  TREE_BYTES = 148,     // ..., num_nodes, num_deleted, ..., size_leaf_vector, reserved
  NODE_BYTES = 20,      // parent, left, right, feature and default, value
  STAT_BYTES = 16,
};

typedef struct cursor {
  xgboost *x;
  const char *begin, *at, *end;
  const char *place;
} cursor;

static bool fail(cursor *r, const char *format, ...) __attribute__((format(printf, 2, 3)));
static bool fail(cursor *r, const char *format, ...) {
  char message[200], place[100];
  va_list list;
  va_start(list, format);
  vsnprintf(message, sizeof message, format, list);
  va_end(list);
  snprintf(place, sizeof place, "byte %zu, %s", (size_t)(r->at - r->begin), r->place);
  convert_fail(r->x->c, SDX_INVALID_MODEL, place, NULL, "%s", message);
  return false;
}

// The next bytes; NULL where so many are not there.
static const char *take(cursor *r, size_t bytes) {
  const char *at = r->at;
  if (bytes > (size_t)(r->end - r->at)) {
    fail(r, "%zu bytes are expected where %zu are left; is the file cut short?", bytes, (size_t)(r->end - r->at));
    return NULL;
  }
  r->at += bytes;
  return at;
}

static uint64_t number(const char *at, size_t bytes) {
  uint64_t n = 0;
  memcpy(&n, at, bytes);
  return n;
}
static int32_t int_at(const char *at, size_t index) { return (int32_t)number(at + 4 * index, 4); }
static float float_at(const char *at, size_t index) {
  float f;
  memcpy(&f, at + 4 * index, sizeof f);
  return f;
}

static bool take_text(cursor *r, char *to, size_t size) {
  const char *at = take(r, 8);
  if (!at) return false;
  uint64_t length = number(at, 8);
  if (length >= size) return fail(r, "a name has %llu bytes", (unsigned long long)length);
  if (!(at = take(r, (size_t)length))) return false;
  snprintf(to, size, "%.*s", (int)length, at);
  return true;
}

static bool take_floats(cursor *r, float **to, size_t *count) {
  const char *at = take(r, 8);
  size_t bytes;
  if (!at) return false;
  *count = (size_t)number(at, 8);
  if (!size_mul(*count, sizeof(float), &bytes)) return fail(r, "a list has %zu elements", *count);
  if (!(at = take(r, bytes))) return false;
  *to = arena_copy(r->x->c->memory, at, bytes);
  if (!*to) convert_no_memory(r->x->c);
  return *to != NULL;
}

// ---- trees ------------------------------------------------------------------------------------------

static tree_node read_node(const char *at) {
  uint32_t feature = (uint32_t)int_at(at, 3);
  if (int_at(at, 1) == -1) return (tree_node){.mode = TREE_LEAF, .value = float_at(at, 4)};
  return (tree_node){.mode = TREE_LT,
                     .feature = feature & INT32_MAX,
                     .missing_yes = feature >> 31,
                     .yes = (uint32_t)int_at(at, 1),
                     .no = (uint32_t)int_at(at, 2),
                     .value = float_at(at, 4)};
}

static bool read_tree(cursor *r, tree_node **nodes, size_t *capacity) {
  const char *head = take(r, TREE_BYTES), *at;
  if (!head) return false;
  int32_t count = int_at(head, 1), vector = int_at(head, 5);
  if (count < 1) return fail(r, "it has %d nodes", count);
  if (vector > 1) return fail(r, "its leaves hold %d values, which this form never could predict with", vector);
  if (!(at = take(r, (size_t)count * NODE_BYTES))) return false;
  if ((size_t)count > *capacity) {
    tree_node *more = realloc(*nodes, (size_t)count * sizeof *more);
    if (!more) {
      convert_no_memory(r->x->c);
      return false;
    }
    *nodes = more;
    *capacity = (size_t)count;
  }
  for (int32_t i = 0; i < count; i++) (*nodes)[i] = read_node(at + (size_t)i * NODE_BYTES);
  if (!forest_add(r->x->trees, (size_t)count, *nodes, r->place) || !take(r, (size_t)count * STAT_BYTES)) return false;
  float *ignored;
  size_t ignored_count;
  return vector == 0 || r->x->version[0] >= 2 || take_floats(r, &ignored, &ignored_count);  // since 2.0 it is always 1
}

static bool read_trees(cursor *r) {
  r->place = "the parameters of the booster";
  const char *head = take(r, BOOSTER_BYTES), *at;
  if (!head) return false;
  int32_t count = int_at(head, 0);
  if (count < 0) return fail(r, "there are %d trees", count);
  r->x->trees = forest_create(r->x->c, SDX_FLOAT, 1);
  if (!r->x->trees) return false;
  tree_node *nodes = NULL;
  size_t capacity = 0;
  bool good = true;
  for (int32_t i = 0; good && i < count; i++) {
    char place[40];
    snprintf(place, sizeof place, "tree %d", i);
    r->place = place;
    good = read_tree(r, &nodes, &capacity);
    source_forget(r->x->c->source, (size_t)(r->at - r->begin));
    convert_progress(r->x->c, (uint64_t)(r->at - r->begin), r->x->c->source->size);
  }
  free(nodes);
  r->place = "the groups of the trees";
  if (!good || !(at = take(r, (size_t)count * 4))) return false;
  r->x->group_count = (size_t)count;
  r->x->group_of = arena_copy(r->x->c->memory, at, (size_t)count * 4);
  if (!r->x->group_of) convert_no_memory(r->x->c);
  r->place = "the weights of the trees";
  if (r->x->group_of && !strcmp(r->x->booster, "dart"))
    return take_floats(r, &r->x->tree_weights, &r->x->tree_weight_count);
  return r->x->group_of != NULL;
}

static bool read_linear(cursor *r) {
  r->place = "the weights";
  return take(r, LINEAR_BYTES) && take_floats(r, &r->x->weights, &r->x->weight_count);
}

sdx_status xgboost_read_binary(xgboost *x) {
  const source *s = x->c->source;
  cursor r = {x, s->bytes, s->bytes, s->bytes + s->size, "the parameters of the learner"};
  if (s->size >= 4 && !memcmp(s->bytes, "binf", 4)) r.at += 4;
  const char *at = take(&r, LEARNER_BYTES);
  if (!at) return x->c->f->status;
  x->base_count = 1;
  x->base_score = arena_copy(x->c->memory, at, sizeof(float));
  x->num_feature = (uint32_t)int_at(at, 1);
  x->num_class = int_at(at, 2);
  for (int i = 0; i < 2; i++) x->version[i] = int_at(at, 5 + (size_t)i);
  x->num_target = int_at(at, 7);  // 0 before 1.6
  if (!x->base_score) return convert_no_memory(x->c);
  r.place = "the names of objective and booster";
  if (!take_text(&r, x->objective, sizeof x->objective) || !take_text(&r, x->booster, sizeof x->booster))
    return x->c->f->status;
  bool good = strcmp(x->booster, "gblinear") ? read_trees(&r) : read_linear(&r);
  return good ? SDX_OK : x->c->f->status;
}
