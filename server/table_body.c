// SPDX-License-Identifier: Apache-2.0
// Rows to columns (table_body.h). Values are carried over as the text they are.
#include "server/table_body.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "server/score_body.h"
#include "server/tensor_io.h"

typedef struct table {
  json *j;
  const sdx_session *session;
  const char *member;  // of the body, for messages
  bool cells, whole;   // values are scalars of a column; they are all rows at once
  size_t inputs;
  text *columns;  // one an input: "[v,v"
  size_t *rows;   // how many each has
} table;

static bool read_value(json *j, str *value) {
  json_peek(j);  // passes white space over
  const char *from = j->at;
  if (!json_skip(j)) return false;
  *value = (str){from, (size_t)(j->at - from)};
  return true;
}

static bool find_input(const table *t, str name, size_t *index) {
  return input_find(t->session, name, index) && *index < t->inputs;
}

// A value of a column; a scalar of an input of rank 2 is a row of its own.
static bool put_cell(table *t, size_t index, str value, size_t row) {
  text *to = &t->columns[index];
  const sdx_io *io = sdx_session_input(t->session, index);
  if (t->whole) {
    if (to->size) return json_fail(t->j, "%s.%.100s: given twice", t->member, io->name);
    text_str(to, value);
    return true;
  }
  if (t->rows[index] != row)
    return json_fail(t->j, "%s[%zu].%.100s: %s", t->member, row, io->name,
                     t->rows[index] > row ? "given twice" : "a row before lacks it");
  bool wrap = t->cells && io->has_shape && io->rank == 2;
  text_put(to, row ? (wrap ? ",[" : ",") : wrap ? "[[" : "[");
  text_str(to, value);
  if (wrap) text_put(to, "]");
  t->rows[index]++;
  return true;
}

static bool read_object(table *t, size_t row) {
  bool first = true;
  str key, value;
  size_t index;
  if (!json_open(t->j, '{', t->member)) return false;
  while (json_more(t->j, '{', &first)) {
    if (!json_key(t->j, &key) || !read_value(t->j, &value)) return false;
    if (!find_input(t, key, &index))
      return json_fail(t->j, "%s[%zu].%.*s: the model has no such input", t->member, row, STR_ARG(key));
    if (!put_cell(t, index, value, row)) return false;
  }
  for (size_t i = 0; i < t->inputs && !t->j->failed; i++)
    if (t->rows[i] && t->rows[i] != row + 1)
      return json_fail(t->j, "%s[%zu] lacks '%.100s'", t->member, row, sdx_session_input(t->session, i)->name);
  return !t->j->failed;
}

// Rows of a data frame for the features of the only input: the columns of each are those of the first one.
static bool read_record(table *t, text *columns, size_t row) {
  bool first = true;
  size_t at = 0;
  str key, value;
  text *to = &t->columns[0];
  if (!json_open(t->j, '{', t->member)) return false;
  text_put(to, row ? ",[" : "[[");
  while (json_more(t->j, '{', &first)) {
    if (!json_key(t->j, &key) || !read_value(t->j, &value)) return false;
    bool known =
        at + key.size < columns->size && !memcmp(columns->at + at, key.at, key.size) && !columns->at[at + key.size];
    if (row && !known)
      return json_fail(t->j, "%s[%zu].%.*s: the first row does not have this column here", t->member, row,
                       STR_ARG(key));
    if (!row) text_append(columns, key.at, key.size), text_append(columns, "", 1);
    if (at) text_put(to, ",");
    text_str(to, value);
    at += key.size + 1;
  }
  text_put(to, "]");
  t->rows[0]++;
  if (!t->j->failed && at != columns->size)
    return json_fail(t->j, "%s[%zu] lacks columns of the first row", t->member, row);
  return !t->j->failed;
}

static bool one_input(const table *t) { return t->inputs == 1; }

// [{...}, ...]
static bool read_objects(table *t) {
  bool first = true, good = true;
  text columns = {0};
  if (!json_open(t->j, '[', t->member)) return false;
  for (size_t row = 0; good && json_more(t->j, '[', &first); row++)
    good = t->cells && one_input(t) ? read_record(t, &columns, row) : read_object(t, row);
  text_deinit(&columns);
  return good && !t->j->failed;
}

// Which input each column is: no more than there are.
static bool read_columns(table *t, json *names, size_t *columns, size_t *count) {
  bool first = true, twice = false;
  str name;
  size_t index;
  if (!json_open(names, '[', "columns")) return json_fail(t->j, "%s", names->message);
  while (json_more(names, '[', &first)) {
    if (!json_string_read(names, &name, "columns")) return json_fail(t->j, "%s.columns: expected strings", t->member);
    if (!find_input(t, name, &index))
      return json_fail(t->j, "%s.columns: the model has no input '%.*s'", t->member, STR_ARG(name));
    for (size_t i = 0; i < *count; i++) twice |= columns[i] == index;
    if (twice) return json_fail(t->j, "%s.columns: '%.*s' is given twice", t->member, STR_ARG(name));
    columns[(*count)++] = index;
  }
  return !names->failed || json_fail(t->j, "%s", names->message);
}

static bool read_data(table *t, json *rows, const size_t *columns, size_t count) {
  bool first = true;
  str value;
  if (!json_open(rows, '[', "data")) return json_fail(t->j, "%s", rows->message);
  for (size_t row = 0; json_more(rows, '[', &first); row++) {
    bool cell = true;
    size_t at = 0;
    if (!json_open(rows, '[', "data")) return json_fail(t->j, "%s", rows->message);
    for (; json_more(rows, '[', &cell); at++) {
      if (at == count) return json_fail(t->j, "%s.data[%zu] has more values than columns", t->member, row);
      if (!read_value(rows, &value)) return json_fail(t->j, "%s", rows->message);
      if (!put_cell(t, columns[at], value, row)) return false;
    }
    if (at < count) return json_fail(t->j, "%s.data[%zu] has fewer values than columns", t->member, row);
  }
  return !rows->failed || json_fail(t->j, "%s", rows->message);
}

// {"columns": [...], "data": [[...], ...]}
static bool read_split(table *t) {
  json *j = t->j, names = {0}, rows = {0};
  bool first = true;
  str key, value;
  if (!json_open(j, '{', t->member)) return false;
  while (json_more(j, '{', &first)) {
    if (!json_key(j, &key)) return false;
    json_peek(j);
    if (str_is(key, "columns")) names = *j;
    else if (str_is(key, "data")) rows = *j;
    else if (!str_is(key, "index")) return json_fail(j, "%s.%.*s: no such member", t->member, STR_ARG(key));
    if (!json_skip(j)) return false;
  }
  if (j->failed) return false;
  if (!rows.at) return json_fail(j, "%s.data is missing", t->member);
  if (one_input(t)) {
    if (!read_value(&rows, &value)) return json_fail(j, "%s", rows.message);
    text_str(&t->columns[0], value);
    return true;
  }
  if (!names.at) return json_fail(j, "%s.columns is missing", t->member);
  size_t *columns = calloc(t->inputs + 1, sizeof *columns), count = 0;
  if (!columns) return json_fail(j, "not enough memory");
  bool good = read_columns(t, &names, columns, &count) && read_data(t, &rows, columns, count);
  free(columns);
  return good;
}

static bool read_as_score(table *t, sdx_value **inputs) {
  text body = {0};
  json j;
  text_put(&body, "{\"data\":");
  if (!one_input(t)) text_put(&body, "{");
  for (size_t i = 0; i < t->inputs; i++) {
    if (!t->columns[i].size) continue;
    if (!one_input(t)) {
      if (body.at[body.size - 1] != '{') text_put(&body, ",");
      text_json_string(&body, str_from(sdx_session_input(t->session, i)->name));
      text_put(&body, ":");
    }
    text_append(&body, t->columns[i].at, t->columns[i].size);
    if (t->rows[i]) text_put(&body, "]");
    if (t->columns[i].failed) body.failed = true;
  }
  if (body.at && body.at[body.size - 1] == ':') text_put(&body, "[]");
  text_put(&body, one_input(t) ? "}" : "}}");
  if (body.failed) return json_fail(t->j, "not enough memory");
  json_init(&j, body.at, body.size, t->j->max_depth + 2, t->j->max_values);
  j.words = t->j->words;
  bool good = score_body_read(&j, t->session, inputs);
  bool of_data = !strncmp(j.message, "data", 4);  // the client knows it by another name
  if (!good) json_fail(t->j, "%s%.300s", of_data ? t->member : "", j.message + (of_data ? 4 : 0));
  text_deinit(&body);
  return good;
}

static bool read_member(table *t, str key, bool *by_rows) {
  str value;
  json *j = t->j;
  t->cells = true;
  if (str_is(key, "dataframe_split")) return t->member = "dataframe_split", read_split(t);
  if (str_is(key, "dataframe_records")) return t->member = "dataframe_records", read_objects(t);
  t->cells = false;
  bool rows = str_is(key, "instances");
  t->member = rows ? "instances" : "inputs";
  if (!rows) *by_rows = false;
  if (rows && json_peek(j) != '[') return json_fail(j, "instances: expected a list");
  if (rows) {
    json look = *j;
    bool first = true;
    if (json_open(&look, '[', "instances") && json_more(&look, '[', &first) && json_peek(&look) == '{')
      return read_objects(t);
  }
  t->whole = !rows;
  if (!rows && json_peek(j) == '{') return read_object(t, 0);
  if (!one_input(t))
    return json_fail(j, "%s: the model has %zu inputs, expected an object with one member for each", t->member,
                     t->inputs);
  if (!read_value(j, &value)) return false;
  text_str(&t->columns[0], value);
  return true;
}

static bool read_body(table *t, bool *by_rows) {
  json *j = t->j;
  bool first = true;
  str key;
  if (!json_open(j, '{', "the body")) return false;
  while (json_more(j, '{', &first)) {
    if (!json_key(j, &key)) return false;
    bool data = str_is(key, "instances") || str_is(key, "inputs") || str_is(key, "dataframe_split") ||
                str_is(key, "dataframe_records");
    if (data && t->member) return json_fail(j, "%.*s: the body has %s already", STR_ARG(key), t->member);
    if (data ? !read_member(t, key, by_rows) : !json_skip(j)) return false;
    if (!data && !str_is(key, "signature_name") && !str_is(key, "params"))
      return json_fail(j, "%.*s: no such member, expected instances or inputs", STR_ARG(key));
  }
  if (!json_end(j)) return false;
  return t->member || json_fail(j, "instances is missing, or inputs, dataframe_split, dataframe_records");
}

bool table_body_read(json *j, const sdx_session *session, sdx_value **inputs, bool *by_rows) {
  table t = {.j = j, .session = session, .inputs = sdx_session_input_count(session)};
  t.columns = calloc(t.inputs + 1, sizeof *t.columns);
  t.rows = calloc(t.inputs + 1, sizeof *t.rows);
  *by_rows = true;
  bool good =
      t.columns && t.rows ? read_body(&t, by_rows) && read_as_score(&t, inputs) : json_fail(j, "not enough memory");
  for (size_t i = 0; t.columns && i < t.inputs; i++) text_deinit(&t.columns[i]);
  free(t.columns);
  free(t.rows);
  return good;
}
