// SPDX-License-Identifier: Apache-2.0
// The table of operators: the generated rows, completed with domain and name and sorted once per
// process. Read next: schema.c (the texts of a record), bind.c (nodes to records).
#include "ops/op_table.h"
#include "ops/own.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

static size_t def_count;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static int compare(str domain, str name, const op_def *op) {
  int c = strncmp(domain.at, op->domain, domain.size);
  if (c == 0 && op->domain[domain.size]) c = -1;
  if (c == 0) c = strncmp(name.at, op->name, name.size);
  return c == 0 && op->name[name.size] ? -1 : c;
}

static int by_name(const void *a, const void *b) {
  const op_def *x = a;
  return compare(str_from(x->domain), str_from(x->name), b);
}

static void fill(void) {
  for (size_t i = 0; i < op_row_count; i++) {
    op_defs[i] = *op_rows[i].record;
    op_defs[i].domain = op_rows[i].domain;
    op_defs[i].name = op_rows[i].name;
  }
  qsort(op_defs, op_row_count, sizeof *op_defs, by_name);
  def_count = op_row_count;
}

str op_domain(str domain) {
  static const struct {
    const char *spelling, *domain;
  } others[] = {{"ai.onnx", ""},
                {"onnx.brevitas", "qonnx.custom_op.general"},
                {"brevitas.onnx", "qonnx.custom_op.general"},
                {"finn.custom_op.general", "qonnx.custom_op.general"}};
  if (!domain.at) return STR("");
  for (size_t i = 0; i < sizeof others / sizeof *others; i++)
    if (str_is(domain, others[i].spelling)) return str_from(others[i].domain);
  return domain;
}

size_t op_count(void) {
  pthread_once(&once, fill);
  return def_count;
}

const op_def *op_at(size_t index) { return index < op_count() ? &op_defs[index] : NULL; }

const op_def *op_find(str domain, str name) {
  if (!name.at) return NULL;
  domain = op_domain(domain);
  for (size_t low = 0, high = op_count(); low < high;) {
    size_t middle = low + (high - low) / 2;
    int c = compare(domain, name, &op_defs[middle]);
    if (c == 0) return &op_defs[middle];
    if (c < 0) high = middle;
    else low = middle + 1;
  }
  return NULL;
}

const op_def *op_find_own(str domain, str name) {
  static const op_def *const own[] = {&op_lookup, &op_fused_qlinear_conv};
  for (size_t i = 0; i < sizeof own / sizeof *own; i++)
    if (str_is(domain, own[i]->domain) && str_is(name, own[i]->name)) return own[i];
  return NULL;
}

const char *op_hint(str domain, str name, char *buffer, size_t size) {
  str_nearest same;
  str_nearest_init(&same, name);
  const char *other_domain = NULL;
  domain = op_domain(domain);
  for (size_t i = 0; i < op_count(); i++) {
    if (str_is(domain, op_defs[i].domain)) str_nearest_offer(&same, str_from(op_defs[i].name));
    else if (str_is(name, op_defs[i].name)) other_domain = op_defs[i].domain;
  }
  if (size) buffer[0] = 0;
  if (other_domain)
    snprintf(buffer, size, "domain '%s' has an operator of this name", *other_domain ? other_domain : "ai.onnx");
  else str_nearest_hint(&same, buffer, size);
  return buffer;
}

int op_version_at(const op_def *op, int64_t opset) {
  for (const char *p = op->versions; p && *p;) {
    char *end;
    long since = strtol(p, &end, 10);
    if (end == p) break;
    if (since <= opset) return (int)since;
    p = end;
  }
  return op->versions ? 0 : opset >= op->since ? op->since : 0;
}
