// SPDX-License-Identifier: Apache-2.0
// Calls of one model computed together: their rows become one batch, its results are handed out. The bits are those of
// single runs (batching.h). What one call does wrong costs no other: if the batch fails, each is computed alone.
#pragma once

#include "server/call.h"

// Whether both bring one row each, of the same shape. A call fits itself if it can be in a batch at all.
bool batch_fits(const call *a, const call *b);
void batch_run(call **calls, size_t count);  // each is posted
