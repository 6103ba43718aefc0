// SPDX-License-Identifier: Apache-2.0
// A folder of models in Triton's layout: NAME/VERSION/model.onnx, and NAME/config.pbtxt where there is something to
// say (model_config.h). It is watched: what comes is loaded, what changes is loaded again, what goes is let go of, and
// calls that run keep what they have. A file that cannot be loaded leaves what was there before in service.
#pragma once

#include "server/models.h"

typedef struct repository repository;

// Declares its models, loading none. NULL: said in the log.
repository *repository_open(models *t, const char *path);
bool repository_watch(repository *r);   // false: memory or threads
void repository_rescan(repository *r);  // soon, on its thread
void repository_close(repository *r);   // NULL is accepted
