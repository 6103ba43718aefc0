// SPDX-License-Identifier: Apache-2.0
// Names of models, as they stand in URLs (percent-encoded there): letters, marks and digits of any script, and . _ -,
// in Unicode's composed normal form, so that a name that was typed is found under the name that a file system made of
// it.
#pragma once

#include <stdbool.h>

#include "base/str.h"

enum { MODEL_NAME_BYTES = 129 };

// False: it cannot be a name: empty, too long, a dot first, or something else in it.
bool model_name_read(str word, char name[MODEL_NAME_BYTES]);
// "models/My net.onnx" -> "My_net": what cannot stand in a name becomes an underscore.
void model_name_from_path(const char *path, char name[MODEL_NAME_BYTES]);
