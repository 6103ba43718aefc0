// SPDX-License-Identifier: Apache-2.0
// What keeps a service running on this machine: it holds the listening socket and hands it to server processes
// (replica.h), so that these come and go without a client noticing. What is wanted stands in the registry; a line on
// the control socket makes it look there again. Read next: supervisor.c, control.h.
#pragma once

#include "registry/registry.h"

// Runs until the service is stopped or deleted, or nothing of it can run. CONFLICT where another one has the service.
sdx_status supervisor_run(const registry_options *options, const char *name, fault *f);
