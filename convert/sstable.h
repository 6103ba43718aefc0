// SPDX-License-Identifier: Apache-2.0
// Sorted tables of blocks, the format of LevelDB: what TensorFlow's checkpoints are indexed by. Names and values, of
// which the first lie in blocks with their common beginnings left out; a last block says where the blocks are.
#pragma once

#include "base/status.h"
#include "base/str.h"

// One name (only during the call) and its value, within the table. Anything but SDX_OK ends the reading.
typedef sdx_status sstable_entry(void *context, str key, str value);
sdx_status sstable_read(str table, sstable_entry *take, void *context, error *err);
