// SPDX-License-Identifier: Apache-2.0
// Who one is at a registry: from the files that docker and podman write when somebody logs in, and from their
// credential helpers.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "support/fault.h"

typedef struct auth {
  char user[256], secret[4096];
  bool is_token;     // the secret is an identity token, to be exchanged
  char helper[128];  // who knows, where the file only names a program; "" if it does not
} auth;

// Finds what the files say of a repository of a host; `found` is empty where they say nothing. Files that cannot be
// read are passed over; one that is damaged is a fault.
sdx_status auth_find(const char *host, const char *repository, auth *found, fault *f);
// The same out of the bytes of one file. False: it says nothing.
bool auth_parse(const char *bytes, size_t size, const char *host, const char *repository, auth *found, fault *f);
