// SPDX-License-Identifier: Apache-2.0
// GET /hello.
#include "server/call.h"

static void hello(call *c) { call_text(c, 200, "hello from a route"); }

HTTP_ROUTE(hello) = {
    .access = ROUTE_PUBLIC, .methods = METHOD_GET, .summary = "Greets", .paths = {"/hello"}, .answer = hello};
