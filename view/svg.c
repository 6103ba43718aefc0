// SPDX-License-Identifier: Apache-2.0
// The main graph as a picture: SVG that any program draws, and PNG by rsvg-convert. What names hold is escaped; the
// picture refers to nothing.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "support/process.h"
#include "view/layout.h"
#include "view/parts.h"

enum { MARGIN = 24, TITLE_HEIGHT = 26, LABELLED_HEIGHT = 40, MOST_TEXT = 64 };

typedef struct picture {
  const view_sink *sink;
  bool stopped;
  const json_t *graph, *layout;
  size_t inputs, nodes, count, layers;
  double *top, *height;  // of each layer
  double left, width;
} picture;

static void put(picture *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
static void put(picture *p, const char *format, ...) {
  char text[512];
  va_list list;
  va_start(list, format);
  int size = vsnprintf(text, sizeof text, format, list);
  va_end(list);
  if (size > 0 && !p->stopped)
    p->stopped = !p->sink->put(p->sink->context, text, (size_t)size < sizeof text ? (size_t)size : sizeof text - 1);
}

// Text as XML has it; control characters, which XML has no way to say, are left out, what is long is cut.
static void put_text(picture *p, const char *text) {
  size_t count = 0;
  for (const char *end; *text && count < MOST_TEXT; text = end, count++) {
    end = text + 1;
    while (((unsigned char)*end & 0xc0) == 0x80) end++;
    if (*text == '<' || *text == '>' || *text == '&' || *text == '"') put(p, "&#%d;", *text);
    else if ((unsigned char)*text >= 0x20) put(p, "%.*s", (int)(end - text), text);
  }
  if (*text) put(p, "…");
}

static double number_at(const json_t *layout, const char *list, size_t i) {
  return json_number_value(json_array_get(json_object_get(layout, list), i));
}

static const char *label_of(const picture *p, size_t item) {
  bool is_node = item >= p->inputs && item < p->inputs + p->nodes;
  return is_node ? json_string_value(json_array_get(json_object_get(p->layout, "labels"), item - p->inputs)) : "";
}

static double height_of(const picture *p, size_t item) { return *label_of(p, item) ? LABELLED_HEIGHT : TITLE_HEIGHT; }

static size_t layer_of(const picture *p, size_t item) { return (size_t)number_at(p->layout, "layer", item); }

static bool measure(picture *p) {
  double right = 0, y = MARGIN;
  for (size_t i = 0; i < p->count; i++)
    if (layer_of(p, i) >= p->layers) p->layers = layer_of(p, i) + 1;
  p->top = calloc(p->layers + 1, sizeof *p->top), p->height = calloc(p->layers + 1, sizeof *p->height);
  if (!p->top || !p->height) return false;
  for (size_t i = 0; i < p->count; i++) {
    double x = number_at(p->layout, "x", i), half = number_at(p->layout, "width", i) / 2;
    if (!i || x - half < p->left) p->left = x - half;
    if (!i || x + half > right) right = x + half;
    if (height_of(p, i) > p->height[layer_of(p, i)]) p->height[layer_of(p, i)] = height_of(p, i);
  }
  for (size_t l = 0; l < p->layers; l++) {
    p->top[l] = y;
    y += p->height[l] + LAYOUT_LAYER_GAP;
  }
  p->top[p->layers] = y;
  p->width = right - p->left + 2 * MARGIN;
  return true;
}

static double shown_x(const picture *p, double x) { return x - p->left + MARGIN; }

static void put_curve(picture *p, double x0, double y0, double x1, double y1) {
  put(p, "C%.0f %.0f %.0f %.0f %.0f %.0f", x0, (y0 + y1) / 2, x1, (y0 + y1) / 2, x1, y1);
}

static void put_arrow(picture *p, size_t from, size_t to) {
  size_t layer = layer_of(p, from), end = layer_of(p, to);
  char key[24];
  snprintf(key, sizeof key, "%zu", from);
  const json_t *way = json_object_get(json_object_get(p->layout, "ways"), key);
  double x = shown_x(p, number_at(p->layout, "x", from)), y = p->top[layer] + height_of(p, from);
  put(p, "<path d=\"M%.0f %.0f", x, y);
  for (size_t k = 0; k + layer + 1 < end && k < json_array_size(way); k++) {
    double next = shown_x(p, json_number_value(json_array_get(way, k)));
    put_curve(p, x, y, next, p->top[layer + 1 + k]);
    x = next, y = p->top[layer + 1 + k] + p->height[layer + 1 + k];
    put(p, "L%.0f %.0f", x, y);
  }
  put_curve(p, x, y, shown_x(p, number_at(p->layout, "x", to)), p->top[end]);
  put(p, "\"/>\n");
}

static void put_box(picture *p, size_t item) {
  bool is_node = item >= p->inputs && item < p->inputs + p->nodes;
  double width = number_at(p->layout, "width", item), x = shown_x(p, number_at(p->layout, "x", item));
  double y = p->top[layer_of(p, item)];
  const char *title, *label = label_of(p, item);
  if (is_node) title = text_of(json_array_get(json_object_get(p->graph, "nodes"), item - p->inputs), "op");
  else
    title = json_string_value(json_array_get(json_object_get(p->graph, item < p->inputs ? "inputs" : "outputs"),
                                             item < p->inputs ? item : item - p->inputs - p->nodes));
  put(p, "<rect class=\"%s\" x=\"%.0f\" y=\"%.0f\" width=\"%.0f\" height=\"%.0f\" rx=\"%d\"/>", is_node ? "n" : "t",
      x - width / 2, y, width, height_of(p, item), is_node ? 5 : 13);
  put(p, "<text x=\"%.0f\" y=\"%.0f\">", x, y + 17);
  put_text(p, title ? title : "");
  put(p, "</text>");
  if (*label) {
    put(p, "<text class=\"s\" x=\"%.0f\" y=\"%.0f\">", x, y + 32);
    put_text(p, label);
    put(p, "</text>");
  }
  put(p, "\n");
}

static void put_picture(picture *p, const char *title) {
  const json_t *arrows = json_object_get(p->layout, "arrows");
  put(p, "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%.0f\" height=\"%.0f\" viewBox=\"0 0 %.0f %.0f\">\n<title>",
      p->width, p->top[p->layers], p->width, p->top[p->layers]);
  put_text(p, title);
  put(p,
      "</title>\n<style>text{font:600 12px sans-serif;text-anchor:middle;fill:#1c2733}.s{font-weight:400;"
      "font-size:11px;fill:#4a5a6a}path{fill:none;stroke:#8795a5}");
  put(p,
      ".n{fill:#e8eef7;stroke:#5b7bab}.t{fill:#e9f4ea;stroke:#4d8a57}</style>\n"
      "<rect width=\"100%%\" height=\"100%%\" fill=\"#fff\"/>\n");
  for (size_t i = 0; i + 1 < json_array_size(arrows); i += 2)
    put_arrow(p, (size_t)json_integer_value(json_array_get(arrows, i)),
              (size_t)json_integer_value(json_array_get(arrows, i + 1)));
  for (size_t i = 0; i < p->count; i++) put_box(p, i);
  put(p, "</svg>\n");
}

sdx_status view_svg(const json_t *document, const view_sink *sink, fault *f) {
  const json_t *model = json_array_get(json_object_get(document, "models"), 0);
  const json_t *graph = json_array_get(json_object_get(model, "graphs"), 0);
  picture p = {.sink = sink,
               .graph = graph,
               .layout = json_object_get(graph, "layout"),
               .inputs = json_array_size(json_object_get(graph, "inputs")),
               .nodes = json_array_size(json_object_get(graph, "nodes"))};
  p.count = p.inputs + p.nodes + json_array_size(json_object_get(graph, "outputs"));
  if (measure(&p)) put_picture(&p, text_of(model, "title"));
  else fault_no_memory(f);
  free(p.top);
  free(p.height);
  return p.stopped ? fault_set(f, SDX_IO_ERROR, "the picture could not be written whole") : f->status;
}

// ---- PNG --------------------------------------------------------------------------------------------

enum { MOST_PNG_BYTES = 512 << 20, PNG_TIME_MS = 120000, MOST_PIXELS_WIDE = 16000 };

typedef struct gathered {
  char *at;
  size_t size, room;
} gathered;

static bool gather(void *context, const char *bytes, size_t size) {
  gathered *g = context;
  if (g->size + size > g->room) {
    size_t room = 2 * (g->size + size) + 4096;
    char *more = realloc(g->at, room);
    if (!more) return false;
    g->at = more, g->room = room;
  }
  memcpy(g->at + g->size, bytes, size);
  g->size += size;
  return true;
}

sdx_status view_png(const json_t *document, char **png, size_t *size, fault *f) {
  char *path = program_find("rsvg-convert");
  gathered svg = {0};
  process_output o = {0};
  if (!path) {
    fault_set(f, SDX_NOT_FOUND, "PNG is drawn by the program rsvg-convert, which is not on this machine");
    return fault_hint(f, "`apt-get install librsvg2-bin`, or write SVG");
  }
  const char *const arguments[] = {path, "--format=png", "--unlimited", "--keep-aspect-ratio", NULL};
  sdx_status status = view_svg(document, &(view_sink){gather, &svg}, f);
  if (status == SDX_OK)
    status = process_run((program){.arguments = arguments}, svg.at, svg.size, MOST_PNG_BYTES, PNG_TIME_MS, &o, f);
  if (status == SDX_OK && o.code) {
    status = fault_set(f, SDX_IO_ERROR, "rsvg-convert: %.400s", o.err_size ? o.err : "ended without a word");
    fault_hint(f, "pictures of more than 32,767 points in a direction are not possible; write SVG");
  }
  if (status == SDX_OK) *png = o.out, *size = o.out_size, o.out = NULL;
  process_output_free(&o);
  free(svg.at);
  free(path);
  return status;
}
