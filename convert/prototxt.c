// SPDX-License-Identifier: Apache-2.0
// Protobuf's text form for conversions (prototxt.h).
#include "convert/prototxt.h"

#include <stdio.h>

#include "base/wire_text.h"

static void free_out(void *out) { wire_out_deinit(out); }

bool prototxt_read(conversion *c, const char *file, str text, const wire_schema *type, str *bytes) {
  wire_out *out = arena_array(c->memory, 1, sizeof *out);
  error e = {0};
  char place[200];
  size_t line;
  if (!out || !convert_at_end(c, free_out, out)) return !convert_no_memory(c);
  sdx_status status = wire_text_read(text, type, out, &line, &e);
  *bytes = (str){out->kept.at, out->kept.size};
  if (status == SDX_NO_MEMORY) return !convert_no_memory(c);
  if (status == SDX_OK) return true;
  snprintf(place, sizeof place, "%.150s, line %zu", file, line);
  return !convert_fail(c, SDX_INVALID_MODEL, place, NULL, "%s", e.message);
}
