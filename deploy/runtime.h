// SPDX-License-Identifier: Apache-2.0
// What an image needs to run: the server's program and the shared libraries it asks for, all in /opt/sardonyx, with the
// loader among them. So it starts on any base image and on none.
#pragma once

#include "deploy/layer.h"

#define RUNTIME_PROGRAM "/opt/sardonyx/bin/sardonyx"

// Adds the program that lies beside `command` (the `sardonyx` of this machine), or $SARDONYX_RUNTIME, with its
// libraries.
sdx_status runtime_add(layer *l, const char *command, fault *f);
