// SPDX-License-Identifier: Apache-2.0
// What failed: status, message (place, what was found, what was expected) and a hint (what to try). A function that
// can fail takes a fault as its last argument; the first failure stays, callers put their place in front.
#pragma once

#include "sardonyx/types.h"

typedef struct fault {
  sdx_status status;
  char message[1000];
  char hint[400];  // "" if there is none
} fault;

// All return the status of the fault, to be returned. A NULL fault is accepted.
sdx_status fault_set(fault *f, sdx_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
// The message ends in what `error` (an errno) means, and the status follows from it.
sdx_status fault_errno(fault *f, int error, const char *format, ...) __attribute__((format(printf, 3, 4)));
sdx_status fault_no_memory(fault *f);
sdx_status fault_hint(fault *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
sdx_status fault_place(fault *f, const char *format, ...) __attribute__((format(printf, 2, 3)));
