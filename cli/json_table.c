// SPDX-License-Identifier: Apache-2.0
// JSON objects as tables (json_table.h).
#include "cli/json_table.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"

static char *append(char *text, const char *more, const char *separator) {
  char *joined = xformat("%s%s%s", text, *text ? separator : "", more);
  free(text);
  return joined;
}

char *json_line(const json_t *value) {
  switch (value ? json_typeof(value) : JSON_NULL) {
    case JSON_STRING:
      return xstrdup(json_string_value(value));
    case JSON_INTEGER:
      return xformat("%lld", (long long)json_integer_value(value));
    case JSON_REAL:
      return xformat("%.6g", json_real_value(value));
    case JSON_TRUE:
      return xstrdup("yes");
    case JSON_FALSE:
      return xstrdup("no");
    case JSON_NULL:
      return xstrdup("");
    default:
      break;
  }
  char *text = xstrdup("");
  if (json_is_array(value)) {
    for (size_t i = 0; i < json_array_size(value); i++) {
      char *item = json_line(json_array_get(value, i));
      text = append(text, item, " ");
      free(item);
    }
  } else {
    const char *key;
    json_t *field;
    json_object_foreach((json_t *)value, key, field) {
      char *item = json_line(field), *pair = xformat("%s=%s", key, item);
      text = append(text, pair, " ");
      free(item);
      free(pair);
    }
  }
  return text;
}

static bool is_hidden(const char *key, const char *hide) {
  char item[64];
  for (size_t i = 0; args_list_item(hide, i, item, sizeof item); i++)
    if (!strcmp(item, key)) return true;
  return false;
}

void json_table_print(const json_t *list, const char *hide) {
  const char **keys = NULL, *key;
  bool *right = NULL;
  size_t columns = 0, count = json_array_size(list);
  for (size_t i = 0; i < count; i++) {
    json_t *field;
    json_object_foreach(json_array_get(list, i), key, field) {
      size_t c = 0;
      while (c < columns && strcmp(keys[c], key)) c++;
      if (c == columns && !is_hidden(key, hide)) {
        keys = xrealloc(keys, (columns + 1) * sizeof *keys);
        right = xrealloc(right, (columns + 1) * sizeof *right);
        right[columns] = true;
        keys[columns++] = key;
      }
      if (c < columns) right[c] = right[c] && (json_is_number(field) || json_is_null(field));
    }
  }
  if (!columns) return;
  char *header = xstrdup("");
  for (size_t c = 0; c < columns; c++) {
    char *name = xformat("%s%c", keys[c], right[c] ? '>' : '<');
    for (char *s = name; *s; s++)
      if (*s == '_') *s = ' ';
    header = append(header, name, "|");
    free(name);
  }
  table *t = table_create(header);
  free(header);
  for (size_t i = 0; i < count; i++)
    for (size_t c = 0; c < columns; c++) {
      char *cell = json_line(json_object_get(json_array_get(list, i), keys[c]));
      table_cell(t, "%s", cell);
      free(cell);
    }
  table_print(t);
  table_destroy(t);
  free(keys);
  free(right);
}
