// SPDX-License-Identifier: Apache-2.0
// A conda environment file (myenv.yml): which packages a script wants, by pip and by conda, and which variables.
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "support/fault.h"

// {"name", "python" ("3.6.2" or null), "pip" [requirements], "conda" [requirements], "channels" [],
// "variables" ["NAME=value"]}. NULL: it is not one.
json_t *conda_parse(const char *bytes, size_t size, fault *f);
json_t *conda_read(const char *path, fault *f);
