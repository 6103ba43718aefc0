// SPDX-License-Identifier: Apache-2.0
// The two halves of routes that take rows (table_body.h): {"predictions": [row, ...]}, a row a value or an object of
// the outputs; {"outputs": value or object} where the request had whole tensors.
#include "server/table_reply.h"

#include <stdlib.h>

#include "server/table_body.h"
#include "server/tensor_io.h"

typedef struct form {
  bool by_rows;
} form;

bool table_parse(call *c) {
  json j;
  form *f = c->route_state = calloc(1, sizeof *f);
  if (!f) {
    call_retry(c, 503, "memory is exhausted");
    return false;
  }
  call_read_json(c, &j);
  if (table_body_read(&j, c->model->session, c->inputs, &f->by_rows)) return true;
  call_error(c, 400, "%s", j.message);
  return false;
}

static bool has_no_json(call *c, size_t output) {
  const sdx_io *io = sdx_session_output(c->model->session, output);
  call_error(c, 501, "output '%.100s' is %.60s, which has no JSON form", io->name, io->type);
  return false;
}

// One value, or an object of all outputs; `row` SIZE_MAX: whole.
static bool write(call *c, size_t row) {
  text *o = call_body(c);
  const model *m = c->model;
  bool single = m->output_count == 1;
  if (!single) text_put(o, "{");
  for (size_t i = 0; i < m->output_count; i++) {
    if (i) text_put(o, ",");
    if (!single) {
      text_json_string(o, str_from(sdx_session_output(m->session, i)->name));
      text_put(o, ":");
    }
    bool good = row == SIZE_MAX ? value_write_json(o, c->outputs[i], c->nan_literal)
                                : value_write_row(o, c->outputs[i], row, c->nan_literal);
    if (!good) return has_no_json(c, i);
  }
  if (!single) text_put(o, "}");
  return true;
}

static bool write_rows(call *c, size_t rows) {
  text *o = call_body(c);
  text_put(o, "[");
  for (size_t k = 0; k < rows; k++) {
    if (k) text_put(o, ",");
    if (!write(c, k)) return false;
  }
  text_put(o, "]");
  return true;
}

void table_reply(call *c) {
  const model *m = c->model;
  bool by_rows = ((form *)c->route_state)->by_rows;
  size_t rows = m->output_count ? value_row_count(c->outputs[0]) : 0;
  for (size_t i = 0; by_rows && i < m->output_count; i++)
    if (rows == SIZE_MAX || value_row_count(c->outputs[i]) != rows) {
      call_error(c, 501, "output '%.100s' has no row for each instance; ask with inputs",
                 sdx_session_output(m->session, i)->name);
      return;
    }
  text_put(call_body(c), by_rows ? "{\"predictions\":" : "{\"outputs\":");
  if (!(by_rows ? write_rows(c, rows) : write(c, SIZE_MAX))) return;
  text_put(call_body(c), "}");
  call_json(c, 200);
}

// What is below the members depends on each other: no schema can say it.
void table_schema(text *o, const model *m, bool request) {
  static const char *const members[] = {"instances", "inputs", "dataframe_records", "dataframe_split"};
  static const char *const types[] = {"{\"type\":\"array\"}", "{}", "{\"type\":\"array\"}", "{\"type\":\"object\"}"};
  if (!request) {
    text_put(o, "{\"type\":\"object\",\"properties\":{\"predictions\":{},\"outputs\":{}}}");
    return;
  }
  text_put(o, "{\"anyOf\":[");
  for (size_t i = 0; i < sizeof members / sizeof *members; i++)
    text_format(o, "%s{\"type\":\"object\",\"required\":[\"%s\"],\"properties\":{\"%s\":%s}}", i ? "," : "", members[i],
                members[i], types[i]);
  text_put(o, "]}");
}
