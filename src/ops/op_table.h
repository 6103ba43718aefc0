// SPDX-License-Identifier: Apache-2.0
// The generated table of operator records.
#pragma once

#include "ops/record.h"

typedef struct op_row {
  const char *domain, *name;
  const op_def *record;
} op_row;
extern const op_row op_rows[];  // sorted by domain, name
extern const size_t op_row_count;
extern op_def op_defs[];  // room for the completed records: filled by table.c
