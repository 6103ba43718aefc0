// SPDX-License-Identifier: Apache-2.0
// The table of limits.h as data.
#include "server/limits.h"

#include <string.h>

const limit_row limit_rows[] = {
#define X(field, flag, standard, lowest, highest, meaning) \
  {flag, meaning, standard, lowest, highest, offsetof(limits, field)},
    LIMIT_LIST(X)
#undef X
        {0}};

void limits_init(limits *l) {
  for (const limit_row *row = limit_rows; row->flag; row++) *limit_at(l, row) = row->standard;
}

void limits_json(const limits *l, json *j, char *bytes, size_t size) {
  json_init(j, bytes, size, (unsigned)l->max_json_depth, (size_t)l->max_json_values);
  if (size >= 3 && !memcmp(bytes, "\xEF\xBB\xBF", 3)) j->at += 3;  // a byte order mark, as some editors write it
  j->depth_note = " (limit max-json-depth)";
  j->values_note = " (limit max-json-values)";
}
