// SPDX-License-Identifier: Apache-2.0
// A unit of systemd that supervises a service from the start of the machine on.
#pragma once

#include "registry/registry.h"

// Its text; free() it. `user`: for the systemd of this user, not of the machine.
char *systemd_unit(const registry *r, const char *name, bool user, fault *f);
// Writes it where systemd looks. The path; free() it.
char *systemd_install(const char *name, const char *text, bool user, fault *f);
