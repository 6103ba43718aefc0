// SPDX-License-Identifier: Apache-2.0
// The queue of each model and the threads that empty them. Models take turns, and where several are
// loaded none may have all workers, so a slow one cannot starve the others.
#pragma once

#include "server/http.h"

bool workers_start(server *srv);
void workers_stop(server *srv);  // after the queues are empty

// Parses, runs, writes the reply. limit_ns > 0: give up after that and return false, with the inputs
// kept for the next try; otherwise the reply is set and true is returned.
bool worker_execute(http_request *rq, uint64_t limit_ns);
// Suspends the request and queues it. False: the queue is full.
bool worker_submit(http_request *rq);
// Takes a request out of the queue; false when a worker was faster.
bool worker_withdraw(http_request *rq);
size_t worker_queued(server *srv, const model *m);
