// SPDX-License-Identifier: Apache-2.0
// Lists of weights (weights.h).
#include "cli/weights.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "base/unicode.h"
#include "cli/engine.h"
#include "cli/foreign.h"
#include "cli/json_table.h"
#include "cli/table.h"

// Tokenizers are lists of a hundred thousand words, templates are pages.
static char *short_value(const json_t *value) {
  enum { MOST_VALUES = 8, MOST_LETTERS = 90 };
  if (json_array_size(value) > MOST_VALUES) return xformat("%zu values", json_array_size(value));
  char *line = json_line(value);
  str all = str_from(line);
  size_t end = 0;
  for (size_t letters = 0; end < all.size && letters < MOST_LETTERS; letters++) {
    if (line[end] == '\n' || line[end] == '\t' || line[end] == '\r') line[end] = ' ';
    utf8_next(all, &end);
  }
  if (end == all.size) return line;
  char *cut = xformat("%.*s ...", (int)end, line);
  free(line);
  return cut;
}

static void print_metadata(const json_t *metadata) {
  const char *key;
  json_t *value;
  if (!json_object_size(metadata)) return;
  table *t = table_create("metadata<|value<");
  json_object_foreach((json_t *)metadata, key, value) {
    char *line = short_value(value);
    table_cell(t, "%s", key);
    table_cell(t, "%s", line);
    free(line);
  }
  table_print(t);
  table_destroy(t);
  putchar('\n');
}

static char *shape_text(const json_t *shape) {
  char *text = xstrdup(json_array_size(shape) ? "" : "scalar");
  for (size_t i = 0; i < json_array_size(shape); i++) {
    char *more = xformat("%s%s%lld", text, i ? "×" : "", (long long)json_integer_value(json_array_get(shape, i)));
    free(text);
    text = more;
  }
  return text;
}

static void print_weights(const json_t *weights) {
  table *t = table_create("weight<|type<|shape<|size>");
  double total = 0;
  char text[32];
  for (size_t i = 0; i < json_array_size(weights); i++) {
    const json_t *w = json_array_get(weights, i);
    double bytes = json_number_value(json_object_get(w, "bytes"));
    char *shape = shape_text(json_object_get(w, "shape"));
    table_cell(t, "%s", json_string_value(json_object_get(w, "name")));
    table_cell(t, "%s", json_string_value(json_object_get(w, "type")));
    table_cell(t, "%s", shape);
    table_cell(t, "%s", bytes_describe(bytes, text));
    free(shape);
    total += bytes;
  }
  table_print(t);
  table_destroy(t);
  printf("\n%zu weights, %s\n", json_array_size(weights), bytes_describe(total, text));
}

bool weights_show(const char *path, bool as_json, int *code) {
  bool is;
  convert_report report;
  fault f = {0};
  char *text = convert_list_weights(path, &is, &report, &f);
  json_t *all = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
  *code = CLI_OK;
  if (is && !all) {
    foreign_print_problems(path, &report, &f);
    *code = CLI_FAILED;
  } else if (is && as_json) {
    json_object_set_new(all, "format", json_string(report.made_by));
    json_print(json_incref(all));
  } else if (is) {
    printf("%s\n\n", report.made_by ? report.made_by : convert_format_title(report.format));
    print_metadata(json_object_get(all, "metadata"));
    print_weights(json_object_get(all, "weights"));
  }
  json_decref(all);
  sdx_string_free(text);
  convert_report_free(&report);
  return is;
}
