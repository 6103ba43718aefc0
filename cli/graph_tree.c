// SPDX-License-Identifier: Apache-2.0
// The tree (graph_tree.h).
#include "cli/graph_tree.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "support/json.h"
#include "view/blocks.h"

enum { MOST_INDENTED = 60, MOST_VALUE = 100 };

typedef struct tree {
  const json_t *graphs;
  size_t graph;  // of the list
  const json_t *nodes;
  json_t *types;  // of its values, by name
  blocks blocks;
  size_t *bodies, body_count;  // of its nodes, without those of inner nodes
} tree;

static void print_indented(int deep) { printf("%*s", 2 * (deep < MOST_INDENTED ? deep : MOST_INDENTED), ""); }

static void print_values(const tree *t, const json_t *names, const char *before) {
  size_t i;
  json_t *name;
  json_array_foreach((json_t *)names, i, name) {
    const char *type = json_string_value(json_object_get(t->types, json_string_value(name)));
    printf("%s%s", i ? ", " : before, json_string_length(name) ? json_string_value(name) : "_");
    if (type && *type) printf("%s: %s%s", ink_on(stdout, INK_DIM), type, ink_off(stdout));
  }
}

// Those that fit a line; graphs stand below.
static void print_attributes(const json_t *attributes) {
  size_t i, shown = 0;
  json_t *attribute;
  json_array_foreach((json_t *)attributes, i, attribute) {
    const json_t *value = json_object_get(attribute, "value");
    char *text = value ? json_dumps(value, JSON_ENCODE_ANY | JSON_REAL_PRECISION(7)) : NULL;
    const char *told = text && strlen(text) <= MOST_VALUE ? text
                       : *text_of(attribute, "type")      ? text_of(attribute, "type")
                                                          : "...";
    if (value || *text_of(attribute, "type")) printf("%s%s=%s", shown++ ? ", " : "<", text_of(attribute, "name"), told);
    free(text);
  }
  if (shown) putchar('>');
}

static void print_names(const json_t *names) {
  size_t i;
  json_t *name;
  putchar('(');
  json_array_foreach((json_t *)names, i, name)
      printf("%s%s", i ? ", " : "", json_string_length(name) ? json_string_value(name) : "_");
  putchar(')');
}

static void print_graph(const json_t *graphs, size_t graph, int deep);

// The first of the graph's bodies whose node is that one or a later one: they are in the order of the nodes.
static size_t first_body(const tree *t, size_t node) {
  size_t low = 0, high = t->body_count;
  while (low < high) {
    size_t middle = (low + high) / 2;
    if ((size_t)number_of(json_array_get(t->graphs, t->bodies[middle]), "at") < node) low = middle + 1;
    else high = middle;
  }
  return low;
}

static void print_node(const tree *t, size_t i, int deep) {
  const json_t *node = json_array_get(t->nodes, i), *body;
  print_indented(deep);
  bool usual = !strcmp(text_of(node, "domain"), "ai.onnx");
  printf("%s%s%s%s%s", ink_on(stdout, INK_BOLD), usual ? "" : text_of(node, "domain"),
         usual ? "" : "::", text_of(node, "op"), ink_off(stdout));
  print_attributes(json_object_get(node, "attributes"));
  print_names(json_object_get(node, "inputs"));
  print_values(t, json_object_get(node, "outputs"), " -> ");
  if (*text_of(node, "name")) printf("  %s%s%s", ink_on(stdout, INK_DIM), text_of(node, "name"), ink_off(stdout));
  putchar('\n');
  for (size_t b = first_body(t, i); b < t->body_count; b++) {
    body = json_array_get(t->graphs, t->bodies[b]);
    if ((size_t)number_of(body, "at") != i) break;
    print_indented(deep + 1);
    printf("%s:\n", text_of(body, "attribute"));
    print_graph(t->graphs, t->bodies[b], deep + 2);
  }
}

// The block of `parent` that begins at a node; NULL: none does.
static const block *block_at(const tree *t, size_t node, int32_t parent) {
  for (int32_t b = t->blocks.of_node[node]; b >= 0; b = t->blocks.at[b].parent)
    if (t->blocks.at[b].parent == parent) return t->blocks.at[b].first == node ? &t->blocks.at[b] : NULL;
  return NULL;
}

// Nodes in a row. Recursion is as deep as blocks are nested.
static void print_row(const tree *t, size_t first, size_t end, int32_t parent, int deep) {
  for (size_t i = first; i < end;) {
    const block *b = block_at(t, i, parent);
    if (!b) {
      print_node(t, i++, deep);
      continue;
    }
    print_indented(deep);
    if (!b->turns) {
      printf("%u × %s%s%s\n", b->count, ink_on(stdout, INK_BOLD), b->label, ink_off(stdout));
      i += b->count;
      continue;
    }
    printf("%u × %u nodes, the first time:\n", b->turns, b->count);
    print_row(t, i, i + b->count, (int32_t)(b - t->blocks.at), deep + 1);
    i += (size_t)b->turns * b->count;
  }
}

// They stand behind the graph, each followed by what is in it.
static void list_bodies(tree *t) {
  const json_t *body;
  int64_t depth = number_of(json_array_get(t->graphs, t->graph), "depth");
  for (size_t g = t->graph + 1; (body = json_array_get(t->graphs, g)) && number_of(body, "depth") > depth; g++) {
    if (number_of(body, "depth") > depth + 1) continue;
    if ((t->body_count & (t->body_count - 1)) == 0)
      t->bodies = xrealloc(t->bodies, (t->body_count ? 2 * t->body_count : 1) * sizeof *t->bodies);
    t->bodies[t->body_count++] = g;
  }
}

// Recursion is as deep as graphs are nested, which the import bounds.
static void print_graph(const json_t *graphs, size_t graph, int deep) {
  const json_t *g = json_array_get(graphs, graph);
  tree t = {.graphs = graphs, .graph = graph, .nodes = json_object_get(g, "nodes"), .types = json_object()};
  size_t i;
  json_t *value;
  json_array_foreach(json_object_get(g, "values"), i, value)
      json_object_set(t.types, text_of(value, "name"), json_object_get(value, "type"));
  list_bodies(&t);
  print_indented(deep);
  if (json_object_get(g, "function")) printf("function %s::", text_of(json_object_get(g, "function"), "domain"));
  printf("%s", *text_of(g, "name") ? text_of(g, "name") : "graph");
  print_values(&t, json_object_get(g, "inputs"), " <- ");
  putchar('\n');
  if (blocks_by_repeat(t.nodes, &t.blocks)) print_row(&t, 0, json_array_size(t.nodes), -1, deep + 1);
  blocks_free(&t.blocks);
  print_indented(deep);
  print_values(&t, json_object_get(g, "outputs"), "gives ");
  putchar('\n');
  json_decref(t.types);
  free(t.bodies);
}

void graph_tree_print(const json_t *graphs) {
  for (size_t g = 0; g < json_array_size(graphs); g++)
    if (!json_object_get(json_array_get(graphs, g), "parent")) print_graph(graphs, g, 0);
}
