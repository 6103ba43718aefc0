// SPDX-License-Identifier: Apache-2.0
// What this process may use of its machine, and what time it is. Engine, server and command ask here, so
// that all of them give the same answer in a container. Where limits of control groups come from: cgroup.h.
#pragma once

#include <stddef.h>
#include <stdint.h>

// Processors: the least of affinity mask, cpuset and quota of the control groups (rounded up); at least 1. Read once
// per process.
size_t host_cpus(void);
size_t host_cpus_online(void);  // of the machine, whatever this process may use
// Memory: the least of what is built in, what the control groups allow, and the resource limits. Read at each call.
size_t host_memory_bytes(void);
size_t host_resident_bytes(void);  // of this process

uint64_t clock_ns(void);       // monotonic: for durations and deadlines
uint64_t clock_wall_ns(void);  // since 1970
// "2026-01-31T23:59:59.999Z": now, for people and logs.
enum { CLOCK_STAMP = 32 };
void clock_stamp(char text[CLOCK_STAMP]);
