// SPDX-License-Identifier: Apache-2.0
// What procedures whose message names the model use of dispatch.c.
#pragma once

#include "server/call.h"

// Entry and model of c->model_name and c->version_name. False: the response is set.
bool dispatch_find_model(call *c);
