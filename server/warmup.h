// SPDX-License-Identifier: Apache-2.0
// Runs before a model takes requests, as its config.pbtxt asks for them (model_warmup).
#pragma once

#include "server/model.h"

// `config`: the path of the file; samples lie in the folder warmup/ beside it. False: why.
bool warmup_run(model *m, const char *config, char *why, size_t why_size);
