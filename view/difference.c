// SPDX-License-Identifier: Apache-2.0
// What two models have in common. Nodes are the same by name and operator, else by what they make, else by being next
// in a row of equals; the same node may still differ in its attributes or in the bytes of its constants.
#include <stdlib.h>
#include <string.h>

#include "support/files.h"
#include "view/parts.h"

typedef struct side {
  const json_t *nodes, *constants;
  json_t *types, *digests;  // of the graph's constants, by name
  size_t count;
  int64_t *match;  // for each node its like in the other graph; -1: none
} side;

static bool side_init(side *s, const json_t *model, const json_t *graph) {
  size_t i;
  json_t *value;
  *s = (side){.nodes = json_object_get(graph, "nodes"),
              .constants = json_object_get(model, "constants"),
              .types = json_object(),
              .digests = json_object()};
  s->count = json_array_size(s->nodes);
  s->match = malloc((s->count + 1) * sizeof *s->match);
  for (i = 0; s->match && i < s->count; i++) s->match[i] = -1;
  json_array_foreach(json_object_get(graph, "values"), i, value) {
    const json_t *number = json_object_get(value, "constant");
    if (!number) continue;
    const json_t *constant = json_array_get(s->constants, (size_t)json_integer_value(number));
    json_object_set(s->digests, text_of(value, "name"), json_object_get(constant, "digest"));
    json_object_set(s->types, text_of(value, "name"), json_object_get(value, "type"));
  }
  return s->match;
}

static void side_free(side *s) {
  json_decref(s->types);
  json_decref(s->digests);
  free(s->match);
}

// ---- which node is which ----------------------------------------------------------------------------

typedef char *(*key_of)(const json_t *node);

// NULL: it has none.
static char *by_name(const json_t *node) {
  const char *name = text_of(node, "name");
  return *name ? path_format("%s\n%s", text_of(node, "op"), name) : NULL;
}

static char *by_result(const json_t *node) {
  const char *result = json_string_value(json_array_get(json_object_get(node, "outputs"), 0));
  return result && *result ? path_format("%s\n%s", text_of(node, "op"), result) : NULL;
}

// A key that several nodes have tells nothing: false stands for it.
static json_t *index_nodes(const side *s, key_of key) {
  json_t *index = json_object();
  for (size_t i = 0; i < s->count; i++) {
    char *text = s->match[i] < 0 ? key(json_array_get(s->nodes, i)) : NULL;
    if (text)
      json_object_set_new(index, text, json_object_get(index, text) ? json_false() : json_integer((json_int_t)i));
    free(text);
  }
  return index;
}

static void match_by(side *a, side *b, key_of key) {
  json_t *mine = index_nodes(a, key), *other = index_nodes(b, key), *at;
  const char *text;
  json_object_foreach(mine, text, at) {
    const json_t *found = json_object_get(other, text);
    if (!json_is_integer(at) || !json_is_integer(found)) continue;
    a->match[json_integer_value(at)] = json_integer_value(found);
    b->match[json_integer_value(found)] = json_integer_value(at);
  }
  json_decref(mine);
  json_decref(other);
}

static bool alike(const json_t *a, const json_t *b) {
  return !strcmp(text_of(a, "op"), text_of(b, "op")) && !strcmp(text_of(a, "domain"), text_of(b, "domain"));
}

// Unmatched nodes that follow matched ones, pairwise.
static void match_in_row(side *a, side *b) {
  size_t next = 0;
  for (size_t i = 0; i < a->count; i++) {
    if (a->match[i] >= 0) {
      next = (size_t)a->match[i] + 1;
      continue;
    }
    if (next >= b->count || b->match[next] >= 0 || !alike(json_array_get(a->nodes, i), json_array_get(b->nodes, next)))
      continue;
    a->match[i] = (int64_t)next;
    b->match[next++] = (int64_t)i;
  }
}

// ---- what differs -----------------------------------------------------------------------------------

static bool same_constant(const side *a, const side *b, const json_t *x, const json_t *y) {
  const char *of_x = json_string_value(x), *of_y = json_string_value(y);
  const json_t *type_x = json_object_get(a->types, of_x), *type_y = json_object_get(b->types, of_y);
  if (!type_x || !type_y) return !type_x && !type_y;  // what nodes make is compared where it is made
  return json_equal(type_x, type_y) && json_equal(json_object_get(a->digests, of_x), json_object_get(b->digests, of_y));
}

static bool same_attribute(const side *a, const side *b, const json_t *x, const json_t *y) {
  const json_t *of_x = json_object_get(x, "constant"), *of_y = json_object_get(y, "constant");
  if (strcmp(text_of(x, "name"), text_of(y, "name")) || !of_x != !of_y) return false;
  if (!of_x)
    return json_equal(json_object_get(x, "value"), json_object_get(y, "value")) || !json_object_get(x, "value");
  return json_equal(json_object_get(json_array_get(a->constants, (size_t)json_integer_value(of_x)), "digest"),
                    json_object_get(json_array_get(b->constants, (size_t)json_integer_value(of_y)), "digest"));
}

static bool same_list(const side *a, const side *b, const json_t *x, const json_t *y,
                      bool (*same)(const side *, const side *, const json_t *, const json_t *)) {
  if (json_array_size(x) != json_array_size(y)) return false;
  for (size_t i = 0; i < json_array_size(x); i++)
    if (!same(a, b, json_array_get(x, i), json_array_get(y, i))) return false;
  return true;
}

static bool same_node(const side *a, const side *b, size_t i, size_t k) {
  const json_t *x = json_array_get(a->nodes, i), *y = json_array_get(b->nodes, k);
  return alike(x, y) && same_list(a, b, json_object_get(x, "inputs"), json_object_get(y, "inputs"), same_constant) &&
         same_list(a, b, json_object_get(x, "attributes"), json_object_get(y, "attributes"), same_attribute);
}

static void tell(json_t *graph, const side *s, const side *other) {
  json_t *match = json_array(), *same = json_array();
  for (size_t i = 0; i < s->count; i++) {
    json_array_append_new(match, json_integer(s->match[i]));
    json_array_append_new(same, json_boolean(s->match[i] >= 0 && same_node(s, other, i, (size_t)s->match[i])));
  }
  json_object_set_new(graph, "match", match);
  json_object_set_new(graph, "same", same);
}

// Bodies are the same by the node and the attribute that hold them, functions by name, the main graphs in any case.
static char *place_of(const json_t *graph, size_t i) {
  const json_t *function = json_object_get(graph, "function");
  return path_format("%d %lld %s\n%s\n%s\n%s", i == 0, (long long)number_of(graph, "depth"), text_of(graph, "node"),
                     text_of(graph, "attribute"), text_of(function, "domain"), text_of(function, "name"));
}

// Place to the numbers of the graphs there, in order.
static json_t *index_graphs(const json_t *graphs) {
  json_t *index = json_object();
  for (size_t i = 0; i < json_array_size(graphs); i++) {
    char *place = place_of(json_array_get(graphs, i), i);
    json_t *there = place ? json_object_get(index, place) : NULL;
    if (place && !there && !json_object_set_new(index, place, json_array())) there = json_object_get(index, place);
    json_array_append_new(there, json_integer((json_int_t)i));
    free(place);
  }
  return index;
}

static sdx_status compare_graphs(json_t *model, json_t *other, json_t *a, json_t *b, fault *f) {
  side x, y;
  bool good = side_init(&x, model, a);
  good = side_init(&y, other, b) && good;
  if (good) {
    match_by(&x, &y, by_name);
    match_by(&x, &y, by_result);
    match_in_row(&x, &y);
    tell(a, &x, &y);
    tell(b, &y, &x);
  }
  side_free(&x);
  side_free(&y);
  return good ? SDX_OK : fault_no_memory(f);
}

sdx_status view_compare(json_t *model, json_t *other, fault *f) {
  json_t *mine = json_object_get(model, "graphs"), *others = json_object_get(other, "graphs");
  json_t *index = index_graphs(others), *taken = json_object();
  for (size_t i = 0; i < json_array_size(mine) && !f->status; i++) {
    char *place = place_of(json_array_get(mine, i), i);
    json_int_t turn = place ? json_integer_value(json_object_get(taken, place)) : 0;
    json_t *like = place ? json_array_get(json_object_get(index, place), (size_t)turn) : NULL;
    if (like) {
      json_t *a = json_array_get(mine, i), *b = json_array_get(others, (size_t)json_integer_value(like));
      compare_graphs(model, other, a, b, f);
      json_object_set(a, "like", like);
      json_object_set_new(b, "like", json_integer((json_int_t)i));
      json_object_set_new(taken, place, json_integer(turn + 1));
    }
    free(place);
  }
  json_decref(index);
  json_decref(taken);
  return f->status;
}
