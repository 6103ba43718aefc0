// SPDX-License-Identifier: Apache-2.0
// Protobuf's text form to its bytes, by the table of the message (wire.h; the fields' .message and .words count):
// `name: value`, `name { ... }`, lists, comments. Fields that the table does not have are passed over.
#pragma once

#include "base/wire.h"

// Writes the message to `out`. On failure *line is where (0: nowhere), and `err` says why.
sdx_status wire_text_read(str text, const wire_schema *type, wire_out *out, size_t *line, error *err);
