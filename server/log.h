// SPDX-License-Identifier: Apache-2.0
// Lines on stderr, as text or as one JSON object a line. What clients send is escaped.
#pragma once

#include <stdbool.h>
#include <stdint.h>

void log_init(bool json);
void log_line(const char *level, const char *format, ...) __attribute__((format(printf, 2, 3)));

struct call;
void log_access(const struct call *c, uint64_t ns);
