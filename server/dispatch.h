// SPDX-License-Identifier: Apache-2.0
// What protocols use of dispatch.c.
#pragma once

#include "server/call.h"

bool dispatch_is_local(const call *c);  // the client is on this machine
// Entry and model of c->model_name and c->version_name. False: the response is set.
bool dispatch_find_model(call *c);
