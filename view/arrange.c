// SPDX-License-Identifier: Apache-2.0
// Where the nodes of each graph lie, and which fold together. The items of a drawing are the graph's inputs, its nodes,
// its outputs, in this order; constants are told in the box of the node that reads them.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/files.h"
#include "view/blocks.h"
#include "view/layout.h"
#include "view/parts.h"

enum { LETTER = 8, LEAST_WIDTH = 72, MOST_WIDTH = 260, PADDING = 20, MOST_LETTERS = 64 };

typedef struct drawing {
  const json_t *inputs, *nodes, *outputs, *captures;
  size_t count, arrow_count;
  layout_box *boxes;
  layout_arrow *arrows;
  json_t *made_by;    // name of a value: item that gives it
  json_t *constants;  // name of a value: its type
  json_t *labels;     // second line of a box
} drawing;

static size_t letters(const char *text) {
  size_t count = 0;
  for (; *text; text++) count += ((unsigned char)*text & 0xc0) != 0x80;
  return count < MOST_LETTERS ? count : MOST_LETTERS;
}

static float width_of(const char *title, const char *label) {
  size_t most = letters(title), second = letters(label) * 7 / 8;
  float width = (float)(PADDING + LETTER * (most > second ? most : second));
  return width < LEAST_WIDTH ? LEAST_WIDTH : width > MOST_WIDTH ? MOST_WIDTH : width;
}

// "64×3×7×7 · 64": the shapes of the constants that a node reads. "float[64,3]" is a type.
static char *shapes_of(const drawing *d, const json_t *node) {
  char text[160] = "";
  size_t i, used = 0;
  json_t *name;
  json_array_foreach(json_object_get(node, "inputs"), i, name) {
    const char *type = json_string_value(json_object_get(d->constants, json_string_value(name)));
    if (!type) continue;
    if (used) used += (size_t)snprintf(text + used, sizeof text - used, " · ");
    const char *open = strchr(type, '['), *close = open ? strchr(open, ']') : NULL;
    if (!open || !close || close == open + 1) used += (size_t)snprintf(text + used, sizeof text - used, "1");
    for (const char *c = open && close ? open + 1 : ""; *c && *c != ']' && used + 4 < sizeof text; c++)
      used += (size_t)snprintf(text + used, sizeof text - used, *c == ',' ? "×" : "%c", *c);
    if (used + 16 > sizeof text) break;
  }
  return strdup(text);
}

static void note_values(drawing *d, const json_t *graph) {
  size_t i, k;
  json_t *name, *node, *value;
  json_array_foreach(json_object_get(graph, "values"), i, value) {
    if (json_object_get(value, "constant"))
      json_object_set(d->constants, text_of(value, "name"), json_object_get(value, "type"));
  }
  json_array_foreach((json_t *)d->inputs, i, name)
      json_object_set_new(d->made_by, json_string_value(name), json_integer((json_int_t)i));
  json_array_foreach((json_t *)d->nodes, i, node) json_array_foreach(json_object_get(node, "outputs"), k, name) {
    if (json_string_length(name))
      json_object_set_new(d->made_by, json_string_value(name),
                          json_integer((json_int_t)(json_array_size(d->inputs) + i)));
  }
}

// ---- what bodies read -------------------------------------------------------------------------------

// The names that each graph of a model knows, made where there is more than one graph.
static json_t *names_of(const json_t *graphs) {
  json_t *all = json_array(), *graph, *value;
  size_t i, k;
  json_array_foreach((json_t *)graphs, i, graph) {
    json_t *names = json_object();
    json_array_foreach(json_object_get(graph, "values"), k, value)
        json_object_set_new(names, text_of(value, "name"), json_true());
    json_array_append_new(all, names);
  }
  return all;
}

// A name that a body reads and does not know is read by the node that holds it, as far out as it takes.
static void note_capture(const json_t *graphs, const json_t *known, size_t graph, const char *name, json_t *captures) {
  size_t left = json_array_size(graphs);
  for (json_t *parent; left-- && !json_object_get(json_array_get(known, graph), name);) {
    const json_t *body = json_array_get(graphs, graph);
    if (!(parent = json_object_get(body, "parent"))) return;
    char key[24];
    snprintf(key, sizeof key, "%lld", (long long)number_of(body, "at"));
    json_t *outer = json_array_get(captures, (size_t)json_integer_value(parent)), *names = json_object_get(outer, key);
    if (!names && json_object_set_new(outer, key, names = json_object())) return;
    json_object_set_new(names, name, json_true());
    graph = (size_t)json_integer_value(parent);
  }
}

// For each graph: the names that bodies of its nodes read, by the node's number.
static json_t *captures_of(const json_t *graphs) {
  json_t *known = names_of(graphs), *captures = json_array(), *graph, *node, *name;
  size_t g, i, k;
  for (g = 0; g < json_array_size(graphs); g++) json_array_append_new(captures, json_object());
  json_array_foreach((json_t *)graphs, g, graph) {
    if (!json_object_get(graph, "parent")) continue;
    json_array_foreach(json_object_get(graph, "nodes"), i, node) json_array_foreach(
        json_object_get(node, "inputs"), k, name) note_capture(graphs, known, g, json_string_value(name), captures);
    json_array_foreach(json_object_get(graph, "outputs"), k, name)
        note_capture(graphs, known, g, json_string_value(name), captures);
  }
  json_decref(known);
  return captures;
}

static size_t count_captures(const json_t *captures) {
  size_t count = 0;
  const char *key;
  json_t *names;
  json_object_foreach((json_t *)captures, key, names) count += json_object_size(names);
  return count;
}

// ---- boxes and arrows -------------------------------------------------------------------------------

static void add_arrow(drawing *d, const char *value, size_t to) {
  const json_t *from = json_object_get(d->made_by, value);
  if (from) d->arrows[d->arrow_count++] = (layout_arrow){(uint32_t)json_integer_value(from), (uint32_t)to};
}

static bool fill(drawing *d, const json_t *graph) {
  size_t inputs = json_array_size(d->inputs), nodes = json_array_size(d->nodes), outputs = json_array_size(d->outputs);
  size_t arrows = outputs + count_captures(d->captures), i, k;
  const char *key, *captured;
  json_t *node, *name, *names;
  d->count = inputs + nodes + outputs;
  json_array_foreach((json_t *)d->nodes, i, node) arrows += json_array_size(json_object_get(node, "inputs"));
  d->boxes = calloc(d->count + 1, sizeof *d->boxes);
  d->arrows = malloc((arrows + 1) * sizeof *d->arrows);
  if (!d->boxes || !d->arrows) return false;
  note_values(d, graph);
  json_array_foreach((json_t *)d->inputs, i, name) d->boxes[i].width = width_of(json_string_value(name), "");
  json_array_foreach((json_t *)d->outputs, i, name) {
    d->boxes[inputs + nodes + i].width = width_of(json_string_value(name), "");
    add_arrow(d, json_string_value(name), inputs + nodes + i);
  }
  json_array_foreach((json_t *)d->nodes, i, node) {
    char *label = shapes_of(d, node);
    if (!label) return false;
    d->boxes[inputs + i].width = width_of(text_of(node, "op"), label);
    json_array_append_new(d->labels, json_string(label) ?: json_string(""));
    free(label);
    json_array_foreach(json_object_get(node, "inputs"), k, name) add_arrow(d, json_string_value(name), inputs + i);
  }
  json_object_foreach((json_t *)d->captures, key, names) json_object_foreach(names, captured, name)
      add_arrow(d, captured, inputs + (size_t)strtoull(key, NULL, 10));
  return true;
}

// Whole numbers, so that a page of 10,000 nodes stays small.
static json_t *place(float x) { return json_integer((json_int_t)(x < 0 ? x - 0.5f : x + 0.5f)); }

static json_t *tell_layout(const drawing *d) {
  json_t *x = json_array(), *layer = json_array(), *width = json_array(), *ways = json_object(), *arrows = json_array();
  for (size_t i = 0; i < d->count; i++) {
    const layout_box *box = &d->boxes[i];
    json_array_append_new(x, place(box->x));
    json_array_append_new(layer, json_integer(box->layer));
    json_array_append_new(width, place(box->width));
    json_t *way = box->way_count ? json_array() : NULL;
    for (uint32_t k = 0; k < box->way_count; k++) json_array_append_new(way, place(box->way[k]));
    char key[24];
    snprintf(key, sizeof key, "%zu", i);
    if (way) json_object_set_new(ways, key, way);
  }
  for (size_t i = 0; i < d->arrow_count; i++) {
    json_array_append_new(arrows, json_integer(d->arrows[i].from));
    json_array_append_new(arrows, json_integer(d->arrows[i].to));
  }
  return json_pack("{s:o,s:o,s:o,s:o,s:o,s:O}", "x", x, "layer", layer, "width", width, "ways", ways, "arrows", arrows,
                   "labels", d->labels);
}

static json_t *tell_blocks(const blocks *b, size_t nodes) {
  json_t *list = json_array(), *of_node = json_array();
  for (size_t i = 0; i < b->count; i++) {
    const block *at = &b->at[i];
    json_array_append_new(
        list, json_pack("{s:o,s:i,s:I,s:I,s:I,s:I}", "label", json_string(at->label) ?: json_string("?"), "parent",
                        (int)at->parent, "first", (json_int_t)at->first, "count", (json_int_t)at->count, "turn",
                        (json_int_t)at->turn, "turns", (json_int_t)at->turns));
  }
  for (size_t i = 0; i < nodes; i++) json_array_append_new(of_node, json_integer(b->of_node[i]));
  return json_pack("{s:o,s:o}", "list", list, "of", of_node);
}

static bool add_blocks(json_t *graph, const char *key, bool (*find)(const json_t *nodes, blocks *b)) {
  const json_t *nodes = json_object_get(graph, "nodes");
  blocks b;
  bool good = find(nodes, &b);
  if (good) json_object_set_new(graph, key, tell_blocks(&b, json_array_size(nodes)));
  blocks_free(&b);
  return good;
}

static bool arrange_graph(json_t *graph, const json_t *captures) {
  drawing d = {.inputs = json_object_get(graph, "inputs"),
               .nodes = json_object_get(graph, "nodes"),
               .outputs = json_object_get(graph, "outputs"),
               .captures = captures,
               .made_by = json_object(),
               .constants = json_object(),
               .labels = json_array()};
  void *piece = NULL;
  bool good = fill(&d, graph) && layout_find(d.boxes, d.count, d.arrows, d.arrow_count, &piece);
  if (good) json_object_set_new(graph, "layout", tell_layout(&d));
  free(piece);
  free(d.boxes);
  free(d.arrows);
  json_decref(d.made_by);
  json_decref(d.constants);
  json_decref(d.labels);
  return good && add_blocks(graph, "scopes", blocks_by_scope) && add_blocks(graph, "repeats", blocks_by_repeat);
}

sdx_status view_arrange(json_t *model, fault *f) {
  size_t i;
  json_t *graph, *graphs = json_object_get(model, "graphs"), *captures = captures_of(graphs);
  bool good = true;
  json_array_foreach(graphs, i, graph) good = good && arrange_graph(graph, json_array_get(captures, i));
  json_decref(captures);
  return good ? SDX_OK : fault_no_memory(f);
}
