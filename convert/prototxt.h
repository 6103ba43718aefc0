// SPDX-License-Identifier: Apache-2.0
// Protobuf's text form to its bytes (base/wire_text.h), for conversions. What follows is read as any message (proto.h).
#pragma once

#include "convert/proto.h"

// False: it is no such text, which was reported with the line. The bytes live as long as the conversion.
bool prototxt_read(conversion *c, const char *file, str text, const wire_schema *type, str *bytes);
