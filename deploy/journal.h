// SPDX-License-Identifier: Apache-2.0
// The log of a service: lines with their time in `log`, which becomes `log.1` when it is large.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "support/fault.h"

typedef struct journal {
  int folder, fd;
  uint64_t size;
} journal;

sdx_status journal_open(journal *j, int folder, fault *f);
void journal_close(journal *j);
void journal_write(journal *j, const char *format, ...) __attribute__((format(printf, 2, 3)));

// The last lines, oldest first, as strings; an empty list where there are none.
json_t *journal_tail(const char *folder, size_t lines);
// Hands over what is written from now on, as it comes, until `take` says no. Sleeps in between.
typedef bool (*journal_take)(void *context, const char *bytes, size_t size);
sdx_status journal_follow(const char *folder, journal_take take, void *context, fault *f);
