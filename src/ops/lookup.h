// SPDX-License-Identifier: Apache-2.0
// Lookup: an 8-bit element is replaced by what a table of 256 has at its byte; X, table -> Y of the table's type.
// Passes make it; no model can ask for it.
#pragma once

#include "ops/record.h"

extern const op_def op_lookup;
