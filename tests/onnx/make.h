// SPDX-License-Identifier: Apache-2.0
// ONNX messages for tests, written with the engine's wire writer: each function appends one message
// in field `field` of the message around it. Wrong messages are written field by field.
#pragma once

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/wire.h"
#include "onnx/onnx.h"

static inline void put(wire_out *t, uint32_t field, const char *s) { wire_put_bytes(t, field, str_from(s)); }

// Splits "a b c" at blanks into repeated strings; "-" is an empty name.
static inline void put_words(wire_out *t, uint32_t field, const char *words) {
  for (; *words; words += *words == ' ') {
    size_t n = strcspn(words, " ");
    wire_put_bytes(t, field, (str){words, n == 1 && *words == '-' ? 0 : n});
    words += n;
  }
}

static inline void put_opset(wire_out *t, uint32_t field, const char *domain, int64_t version) {
  size_t at = wire_begin(t, field);
  put(t, 1, domain);
  wire_put_int(t, 2, version);
  wire_end(t, at);
}

// A value with a float tensor type of one dimension; n < 0: without a type.
static inline void put_value(wire_out *t, uint32_t field, const char *name, int64_t n) {
  size_t at = wire_begin(t, field), type, tensor_type, shape, dim;
  put(t, 1, name);
  if (n >= 0) {
    type = wire_begin(t, 2);
    tensor_type = wire_begin(t, 1);
    wire_put_int(t, 1, SDX_FLOAT);
    shape = wire_begin(t, 2);
    dim = wire_begin(t, 1);
    wire_put_int(t, 1, n);
    wire_end(t, dim);
    wire_end(t, shape);
    wire_end(t, tensor_type);
    wire_end(t, type);
  }
  wire_end(t, at);
}

// begin_node leaves the message open for attributes; close it with wire_end.
static inline size_t begin_node(wire_out *t, uint32_t field, const char *op, const char *in, const char *out) {
  size_t at = wire_begin(t, field);
  put_words(t, 1, in);
  put_words(t, 2, out);
  const char *colon = strrchr(op, ':');  // "domain:Op"
  if (colon) wire_put_bytes(t, 7, (str){op, (size_t)(colon - op)});
  put(t, 4, colon ? colon + 1 : op);
  return at;
}
static inline void put_node(wire_out *t, uint32_t field, const char *op, const char *in, const char *out) {
  wire_end(t, begin_node(t, field, op, in, out));
}
static inline void put_attr_int(wire_out *t, const char *name, int64_t value) {
  size_t at = wire_begin(t, 5);
  put(t, 1, name);
  wire_put_int(t, 3, value);
  wire_put_int(t, 20, ATTR_INT);
  wire_end(t, at);
}
static inline void put_attr_ref(wire_out *t, const char *name, const char *of) {
  size_t at = wire_begin(t, 5);
  put(t, 1, name);
  wire_put_int(t, 20, ATTR_INT);
  put(t, 21, of);
  wire_end(t, at);
}

static inline void put_floats(wire_out *t, uint32_t field, const char *name, int64_t n) {
  size_t at = wire_begin(t, field);
  wire_put_int(t, 1, n);
  wire_put_int(t, 2, SDX_FLOAT);
  put(t, 8, name);
  for (int64_t i = 0; i < n; i++) wire_put_float(t, 4, (float)i);
  wire_end(t, at);
}

// ir 8, opset 17; then the graph, left open.
static inline size_t begin_model(wire_out *t) {
  wire_put_int(t, 1, 8);
  put_opset(t, 8, "", 17);
  return wire_begin(t, 7);
}

typedef struct imported {
  mem_account account;
  model *m;
  sdx_status status;
  error err;
} imported;

static inline void import_bytes(imported *r, const void *bytes, size_t size, import_options o) {
  memset(r, 0, sizeof *r);
  mem_account_init(&r->account, SIZE_MAX, NULL);
  o.account = &r->account;
  r->status = onnx_import(bytes, size, &o, NULL, &r->m, &r->err);
}
static inline void drop(imported *r) {
  model_destroy(r->m);
  assert_int_equal(atomic_load(&r->account.used), 0);
}
// Imports what t holds and forgets t.
static inline void expect_model(wire_out *t, sdx_status status, const char *part) {
  imported r;
  import_bytes(&r, t->kept.at, t->kept.size, (import_options){0});
  if (r.status != status || !strstr(r.err.message, part))
    fail_msg("wanted %s with '%s', got %s: %s", status_name(status), part, status_name(r.status), r.err.message);
  drop(&r);
  wire_out_deinit(t);
}

// x -> Relu -> y, with a graph left open.
static inline size_t begin_small(wire_out *t) {
  size_t g = begin_model(t);
  put_value(t, 11, "x", 4);
  put_value(t, 12, "y", 4);
  return g;
}

static inline void expect_nodes(wire_out *t, const char *printed) {
  imported r;
  text out = {0};
  import_bytes(&r, t->kept.at, t->kept.size, (import_options){0});
  if (r.status != SDX_OK) fail_msg("%s", r.err.message);
  graph_print(r.m->graph, &out);
  assert_string_equal(out.at, printed);
  text_deinit(&out);
  drop(&r);
  wire_out_deinit(t);
}

// A node with a body of one node: op in -> out, whose output is `out`.
static inline void put_with_body(wire_out *t, const char *outputs, const char *input, const char *out) {
  size_t n = begin_node(t, 1, "If", "x", outputs), a = wire_begin(t, 5), b;
  put(t, 1, "body");
  b = wire_begin(t, 6);
  put(t, 2, "inner");
  put_node(t, 1, "Neg", input, out);
  put_value(t, 12, out, -1);
  wire_end(t, b);
  wire_end(t, a);
  wire_end(t, n);
}

static inline size_t begin_function(wire_out *t, const char *name, const char *inputs, const char *outputs) {
  size_t f = wire_begin(t, 25);
  put(t, 1, name);
  put(t, 10, "local");
  put_words(t, 4, inputs);
  put_words(t, 5, outputs);
  return f;
}
