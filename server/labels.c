// SPDX-License-Identifier: Apache-2.0
// Reading labels (labels.h). Metadata is written by many exporters: JSON, Python's spelling of a dict, lines or commas.
#include "server/labels.h"

#include <jansson.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/number.h"

enum { MOST = 1 << 20 };  // classes

static void set(class_labels *l, size_t index, const char *text, size_t size) {
  if (index >= MOST) return;
  if (index >= l->capacity) {
    size_t capacity = index * 2 + 16;
    char **at = realloc(l->at, capacity * sizeof *at);
    if (!at) return;
    l->at = at;
    l->capacity = capacity;
  }
  for (; l->count <= index; l->count++) l->at[l->count] = NULL;
  free(l->at[index]);
  l->at[index] = strndup(text, size);
}

// "0": "cat" and "cat": 0.
static void set_pair(class_labels *l, const char *key, const json_t *value) {
  int64_t index;
  if (json_is_string(value) && number_read_int(str_from(key), &index) && index >= 0)
    set(l, (size_t)index, json_string_value(value), json_string_length(value));
  else if (json_is_integer(value) && json_integer_value(value) >= 0)
    set(l, (size_t)json_integer_value(value), key, strlen(key));
}

static bool read_json(class_labels *l, const char *text) {
  json_t *json = json_loads(text, 0, NULL), *value, *names = json;
  const char *key;
  size_t i;
  if (json_is_object(json_object_get(json, "id2label"))) names = json_object_get(json, "id2label");
  json_array_foreach(names, i, value) if (json_is_string(value))
      set(l, i, json_string_value(value), json_string_length(value));
  json_object_foreach(names, key, value) set_pair(l, key, value);
  json_decref(json);
  return json != NULL;
}

// {0: 'person', 1: "traffic light"} or ['person', ...].
static bool read_python(class_labels *l, const char *at) {
  size_t next = 0;
  bool dict = *at == '{';
  if (!dict && *at != '[') return false;
  for (at++; *at && *at != '}' && *at != ']';) {
    at += strspn(at, " \t\r\n,");
    if (dict) {
      char *end;
      next = strtoul(at, &end, 10);
      if (end == at) return false;
      at = end + strspn(end, " \t:");
    }
    char quote = *at;
    if (quote != '\'' && quote != '"') return false;
    const char *end = strchr(at + 1, quote);
    if (!end) return false;
    set(l, next++, at + 1, (size_t)(end - at - 1));
    at = end + 1 + strspn(end + 1, " \t\r\n,");
  }
  return true;
}

static void read_parts(class_labels *l, const char *at, const char *separators) {
  for (size_t next = 0; *at; next++) {
    size_t size = strcspn(at, separators), blank = strspn(at, " \t");
    if (blank > size) blank = size;
    size_t end = size;
    while (end > blank && strchr(" \t\r", at[end - 1])) end--;
    set(l, next, at + blank, end - blank);
    at += size + (at[size] != 0);
  }
}

static const char *metadata(const sdx_session *session) {
  static const char *const keys[] = {"labels",      "names",    "classes",   "class_names",
                                     "label_names", "id2label", "categories"};
  for (size_t k = 0; k < sizeof keys / sizeof *keys; k++)
    for (size_t i = 0; i < sdx_session_custom_metadata_count(session); i++) {
      const char *value, *key = sdx_session_custom_metadata(session, i, &value);
      if (key && value && !strcasecmp(key, keys[k])) return value;
    }
  return NULL;
}

void labels_read(class_labels *l, const char *text, const char *separators) {
  if (!strncmp(text, "\xEF\xBB\xBF", 3)) text += 3;
  if (!read_json(l, text) && !read_python(l, text)) read_parts(l, text, separators);
}

void labels_of_session(class_labels *l, const sdx_session *session) {
  const char *text = metadata(session);
  if (text) labels_read(l, text, strchr(text, '\n') ? "\n" : ",");
}

const char *labels_get(const class_labels *l, size_t index) { return index < l->count ? l->at[index] : NULL; }

void labels_free(class_labels *l) {
  for (size_t i = 0; i < l->count; i++) free(l->at[i]);
  free(l->at);
  *l = (class_labels){0};
}
