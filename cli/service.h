// SPDX-License-Identifier: Apache-2.0
// What the commands about services share: doing one thing to a service and telling how it is then, at once or when
// nothing is under way any more (--wait). Read next: service.c, cmd_service.c.
#pragma once

#include <jansson.h>

#include "cli/cli.h"
#include "registry/registry.h"

#define WAIT_OPTIONS                                              \
  OPTION_FLAG("wait", "wait until it is in force or has failed"), \
      OPTION("timeout", ARG_INT, "SECONDS", "the longest wait (default 600)", .min = 1, .max = 86400)

enum { SERVICE_LOG_LINES = 100 };  // of a service that did not come up

void service_print(const json_t *service);
// After something was changed: waits if that is asked for, then tells how the service is. The exit code.
int service_finish(const args *a, registry *r, const char *name);
// Opens the workspace, does one thing to the service of the first word, tells how that is.
typedef sdx_status (*service_action)(const args *a, registry *r, const char *name, fault *f);
int service_act(const args *a, service_action action);
