// SPDX-License-Identifier: Apache-2.0
// What the control groups of Linux allow this process: version 1, version 2 and both mounted side by side. Groups
// nest, and a limit of any group above holds as well, so the tightest counts. Read next: host.h, which adds what
// does not come from groups.
#pragma once

#include <stddef.h>

typedef struct cgroup_limits {
  size_t cpus;          // quota rounded up, cpuset
  size_t memory_bytes;  // what the group may hold before the kernel ends processes in it
} cgroup_limits;

// SIZE_MAX where nothing limits, and where a file is missing or not understood. `root` stands in front of /proc and of
// the mount points: "" outside of tests.
cgroup_limits cgroup_read(const char *root);
