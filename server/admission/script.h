// SPDX-License-Identifier: Apache-2.0
// The policy that gives calls to workers of a scoring script: Python processes in a sandbox, each tended by a thread.
// What a script does costs its own calls only: a worker that dies, hangs or lies is replaced. Read next: script.c.
#pragma once

#include "server/admission/admission.h"

typedef struct script_pool script_pool;

// Starts the workers and waits until one has done init(). NULL: said in the log, with the script's own exception.
script_pool *script_pool_create(server *srv);
admission *script_pool_admission(script_pool *p);
model_entry *script_pool_entry(script_pool *p);  // under whose name its calls are counted
size_t script_pool_ready(script_pool *p);        // workers that are past init()
size_t script_pool_waiting(script_pool *p);      // calls
uint64_t script_pool_restarts(script_pool *p);
const char *script_pool_schema(const script_pool *p, bool request);  // JSON of the decorators, or NULL
