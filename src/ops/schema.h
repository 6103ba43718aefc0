// SPDX-License-Identifier: Apache-2.0
// Reads the texts of an operator record ("X:T W:T B:T?", "axis:int=-1 perm:ints", "T=float,double").
// They are short, so they are walked in place: nothing to build, to cache or to free.
#pragma once

#include <stdarg.h>

#include "ops/record.h"

enum { SCHEMA_MOST_VARIABLES = 16 };  // type variables of one operator's inputs and outputs

typedef struct schema_formal {
  str name, type;
  bool optional, variadic, some;  // some: variadic, at least one
} schema_formal;

typedef struct schema_attr {
  str name;
  attr_kind kind;
  bool required, has_default;
  str text;       // of the default
  int64_t below;  // attrs_old: only for versions under this; INT64_MAX without "<N"
} schema_attr;

// Next entry of a text; false at the end. `cursor` starts at the text (NULL counts as empty).
bool schema_next_formal(const char **cursor, schema_formal *out);
bool schema_next_attr(const char **cursor, schema_attr *out);
bool schema_find_attr(const char *attrs, str name, schema_attr *out);
const char *attr_kind_name(attr_kind kind);
// Checks the element types of a node's known tensor inputs against the record, and that inputs of
// one type variable agree. The error names input, found and allowed types.
sdx_status schema_check_types(const op_def *op, const node *n, size_t count, const type_info *const *in, error *err);
// The same for what infer says of its outputs: no attribute can ask for a type that compute does not know.
sdx_status schema_check_results(const op_def *op, const node *n, size_t count, const type_info *out, error *err);
// Adds the node to an error, unless an inner one is known, and what its record says of an input or output.
void node_located(const node *n, error *err);
// error_at of a node; part {0}: of the node as a whole.
sdx_status node_fail(const node *n, error *err, error_part part, sdx_status status, const char *format, ...)
    __attribute__((format(printf, 5, 6)));
sdx_status node_fail_list(const node *n, error *err, error_part part, sdx_status status, const char *format,
                          va_list args);
