// SPDX-License-Identifier: Apache-2.0
// What a process may do, given up between fork and exec and never regained: Landlock for files, TCP and signals, a
// seccomp filter for sockets, tracing, mounts and the like, resource limits for the rest. The rules are prepared by the
// parent, entering them is system calls only. Where the kernel lacks a layer the others hold; `sandbox_layers` tells.
// Read next: process.h.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/fault.h"

typedef struct sandbox {
  const char *const *read;   // files and folders to read, ended by NULL; those that do not exist are skipped
  const char *const *run;    // to read and to execute
  const char *const *write;  // to read, write, make and remove in
  bool network;              // sockets
  bool processes;            // fork; threads are always allowed
  bool required;             // fail where Landlock or seccomp are missing, instead of going on without
  uint64_t memory_bytes;     // private memory; these four: 0 = no limit
  uint64_t cpu_seconds;
  uint64_t file_bytes;  // of one file written
  uint64_t open_files;
} sandbox;

// What every dynamically linked program reads: libraries, the loader's cache, /proc, time zones; and the loader itself.
extern const char *const sandbox_system_read[];
extern const char *const sandbox_system_run[];

typedef struct sandbox_rules sandbox_rules;
sdx_status sandbox_prepare(const sandbox *box, sandbox_rules **rules, fault *f);
void sandbox_release(sandbox_rules *rules);
// In the child. 0, or the errno of the step that failed.
int sandbox_enter(const sandbox_rules *rules);

typedef struct sandbox_level {
  int landlock;  // ABI of the kernel's Landlock, 0: none
  bool seccomp;
} sandbox_level;
sandbox_level sandbox_layers(void);
