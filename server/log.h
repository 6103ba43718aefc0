// SPDX-License-Identifier: Apache-2.0
// Lines on stderr, as text or as one JSON object a line. What clients send is escaped.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"

void log_init(bool json);
void log_line(const char *level, const char *format, ...) __attribute__((format(printf, 2, 3)));

bool log_is_json(void);
void log_text(text *line);  // a line of the caller's own; its memory is released
