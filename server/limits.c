// SPDX-License-Identifier: Apache-2.0
// The table of limits.h as data.
#include "server/limits.h"

const limit_row limit_rows[] = {
#define X(field, flag, standard, lowest, highest, meaning) \
  {flag, meaning, standard, lowest, highest, offsetof(limits, field)},
    LIMIT_LIST(X)
#undef X
        {0}};

void limits_init(limits *l) {
  for (const limit_row *row = limit_rows; row->flag; row++) *limit_at(l, row) = row->standard;
}
