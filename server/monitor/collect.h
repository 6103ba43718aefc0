// SPDX-License-Identifier: Apache-2.0
// Data collection (--collect FOLDER): what models are given and answer, as CSV in the layout of the SDK's collector,
//   FOLDER/modeldata/SUBSCRIPTION/GROUP/WORKSPACE/SERVICE/MODEL/VERSION/inputs|predictions/YEAR/MONTH/DAY/data.csv
// for a share of the requests, with fields taken out, and at most so many bytes a day. Scripts that use the SDK's
// ModelDataCollector send their rows here, too, as their sandbox has no such folder.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "server/monitor/courier.h"

struct call;
typedef struct collector collector;

typedef struct collect_options {
  const char *folder;
  const char *place;          // SUBSCRIPTION/GROUP/WORKSPACE/SERVICE; NULL: "default" each
  double share;               // of the requests
  const char *const *redact;  // names of inputs, outputs or columns
  size_t redact_count;
  uint64_t day_bytes;
} collect_options;

collector *collect_start(const collect_options *options);  // NULL: said in the log
void collect_stop(collector *c);                           // NULL is accepted
void collect_result(collector *c, const struct call *call);
// A frame of a script's collector, made while `call` was computed (NULL: between calls).
void collect_frame(collector *c, const struct call *call, const json_t *head, const char *body, size_t size);
courier_counts collect_count(collector *c);
