// SPDX-License-Identifier: Apache-2.0
// How the servers of a revision are started on this machine: its image unpacked in the service's folder, and run by the
// `sardonyx` that is installed here.
#pragma once

#include "registry/registry.h"

typedef struct launch {
  int64_t revision;
  char **arguments, **environment;  // ended by NULL
  char *sample;                     // a request that it must answer first, or NULL
} launch;

// `path`: the folder of the service.
launch *launch_create(registry *r, const char *name, int64_t revision, const char *path, bool keys, fault *f);
void launch_destroy(launch *l);
void launch_sweep(int folder);  // removes what others left there
