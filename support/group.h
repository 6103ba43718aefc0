// SPDX-License-Identifier: Apache-2.0
// A control group of a process's own, beneath that of this one: what it and all it starts may use together. Linux lets
// one make it as root, or where systemd has delegated the group (Delegate=yes); version 1 and version 2.
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "support/fault.h"

enum { GROUP_PATH = 1024 };

typedef struct group {
  char path[2][GROUP_PATH];  // one a hierarchy; "" where there is none
} group;

// Makes it with its limits (0: none) and puts the process in. FORBIDDEN or the like where this is not allowed: then
// there is no group.
sdx_status group_create(const char *name, double cpus, uint64_t memory_bytes, pid_t pid, group *g, fault *f);
void group_remove(const group *g);  // once its processes have ended
