// SPDX-License-Identifier: Apache-2.0
// How many locks this process has taken: the C library's function, counted. Include it in one file of a program. Under
// a sanitizer, which has its own, nothing is counted.
#pragma once

#include <dlfcn.h>
#include <pthread.h>
#include <stdatomic.h>

#include "tests/process.h"

static atomic_ulong locks_taken;

#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
int pthread_mutex_lock(pthread_mutex_t *mutex) {
  static int (*real)(pthread_mutex_t *);
  if (!real) *(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_lock");
  locks_taken++;
  return real(mutex);
}
#endif
