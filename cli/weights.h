// SPDX-License-Identifier: Apache-2.0
// What lies in a file of weights (GGUF, safetensors), shown without converting it.
#pragma once

#include "cli/cli.h"

// False: the path names no such file, and nothing was printed.
bool weights_show(const char *path, bool as_json, int *code);
