// SPDX-License-Identifier: Apache-2.0
// Pages of other origins: what their browsers ask before they send (a preflight), and what lets them read an answer
// (Fetch Standard, "CORS protocol"). Which origins is the operator's choice; without one no header is said.
#pragma once

#include <stdbool.h>

struct call;

bool cors_preflight(struct call *c);  // true: it was one, and the response is set; no key is asked for
void cors_add(struct call *c);        // the headers of any response
