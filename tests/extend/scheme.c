// SPDX-License-Identifier: Apache-2.0
// near:NAME, the model NAME.onnx of the working folder.
#include <string.h>

#include "cli/cli.h"
#include "cli/locate.h"

static char *find(const char *text, char **name) {
  *name = xstrdup(text + strlen("near:"));
  return xformat("%s.onnx", *name);
}

MODEL_SCHEME(near) = {"near:", find};
