// SPDX-License-Identifier: Apache-2.0
// Baselines of models (server/monitor/baseline.h) from files: the model computes each sample, and what it was given and
// answered is counted.
#pragma once

#include "cli/cli.h"

// The text of a baseline file; free() it. NULL after printing; *code says how to exit.
char *baseline_of_data(const args *a, const char *model, const char *const *data, size_t count, size_t *size,
                       int *code);
