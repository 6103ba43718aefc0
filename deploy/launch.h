// SPDX-License-Identifier: Apache-2.0
// How the servers of a revision are started on this machine: its image unpacked in the service's folder, and run by the
// `sardonyx` that is installed here.
#pragma once

#include "registry/registry.h"

// In the folder of the service, written by the supervisor.
#define KEYS_FILE "keys"
#define TOKEN_KEY_FILE "token-key"

typedef struct launch {
  int64_t revision;
  char **arguments, **environment;  // ended by NULL
  char *sample;                     // a request that it must answer first, or NULL
} launch;

// `path`: the folder of the service; `auth`: who may call ("key", "token", "none").
launch *launch_create(registry *r, const char *name, int64_t revision, const char *path, const char *auth, fault *f);
void launch_destroy(launch *l);
void launch_sweep(int folder);  // removes what others left there
