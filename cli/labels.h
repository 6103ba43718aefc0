// SPDX-License-Identifier: Apache-2.0
// What the classes of a model are called, from a file of the user.
#pragma once

#include "cli/cli.h"
#include "server/labels.h"

// A line each, a JSON list, or an object {"0": "cat"} or {"cat": 0}.
bool labels_load(class_labels *l, const char *path, why *w);
