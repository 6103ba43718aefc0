// SPDX-License-Identifier: Apache-2.0
// All monitors of a server together: what starts and ends with it, and what a result is told to.
#pragma once

#include <stdbool.h>
#include <stdint.h>

struct call;
struct model_entry;
struct server;

void monitor_adopt(struct model_entry *e);  // takes the baseline that lies beside its file
bool monitor_start(struct server *srv);     // after its models are declared. False: said in the log
void monitor_stop(struct server *srv);
void monitor_result(struct call *c);                // inputs and outputs are there
void monitor_end(struct call *c, uint64_t end_ns);  // the exchange is over
