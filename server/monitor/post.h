// SPDX-License-Identifier: Apache-2.0
// What couriers send to other servers: one POST, judged by whether it is worth trying again.
#pragma once

#include "server/monitor/courier.h"
#include "support/http.h"

delivery post_bytes(http *h, const char *url, const char *type, const char *bytes, size_t size, bool last, char *why,
                    size_t why_size);
