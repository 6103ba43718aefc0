// SPDX-License-Identifier: Apache-2.0
// Talking to the supervisor of a service: a Unix socket in the service's folder. A request is one word ("look": the
// registry has changed; "state"), the answer one JSON object; docs/registry.md lists its keys.
#pragma once

#include <jansson.h>

#include "registry/registry.h"

// The folder of a service, where its supervisor works: log, keys, sockets, images unpacked. free() it.
char *service_folder(const registry *r, const char *name);

int control_open(int folder, fault *f);  // to listen; -1: failed
// One question of a client that has connected, if it is there in time; `answer` gives the object to reply.
typedef json_t *(*control_answer)(void *context, const char *word);
void control_take(int listener, control_answer answer, void *context);

// Who has the lock of a service supervises it. -1: somebody else does. Let go by close().
int control_lock(int folder);
// Whether somebody has it, be it that there is no answer yet: images are unpacked before questions are taken.
bool control_supervised(const registry *r, const char *name);
// NULL: nobody supervises the service, or there is no answer in time.
json_t *control_ask(const registry *r, const char *name, const char *word);
