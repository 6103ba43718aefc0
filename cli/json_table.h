// SPDX-License-Identifier: Apache-2.0
// A list of JSON objects as a terminal table: the engine describes itself in JSON, and what it says
// is shown without this side knowing each field.
#pragma once

#include <jansson.h>

// One column for each key of the objects, in the order they first appear; numbers right-aligned.
// `hide`: comma-separated keys to leave out, or NULL.
void json_table_print(const json_t *list, const char *hide);
// One line for a value: lists joined by a space, objects as key=value.
char *json_line(const json_t *value);  // free() it
