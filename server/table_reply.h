// SPDX-License-Identifier: Apache-2.0
// Parsing and replying of routes whose bodies hold rows: TensorFlow Serving's, MLflow's, SageMaker's.
#pragma once

#include "server/call.h"

bool table_parse(call *c);
void table_reply(call *c);
void table_schema(text *o, const model *m, bool request);
