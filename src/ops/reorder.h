// SPDX-License-Identifier: Apache-2.0
// Reorder: a step that plans put between two layouts; no model can ask for it.
#pragma once

#include "ops/record.h"

typedef struct reorder_params {
  layout from, to;
} reorder_params;

extern const op_def op_reorder;
