// SPDX-License-Identifier: Apache-2.0
// What a test must know of its own process: whether a sanitizer slows it down, and how much memory it holds.
#pragma once

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static inline bool process_sanitized(void) {
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
  return true;
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
  return true;
#endif
#endif
  return false;
}

// A line of /proc/self/status, such as "VmRSS:".
static inline long process_kb(const char *key) {
  char line[256];
  long kb = 0;
  FILE *f = fopen("/proc/self/status", "re");
  while (f && fgets(line, sizeof line, f))
    if (strncmp(line, key, strlen(key)) == 0) kb = strtol(line + strlen(key), NULL, 10);
  if (f) fclose(f);
  return kb;
}
