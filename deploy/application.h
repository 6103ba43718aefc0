// SPDX-License-Identifier: Apache-2.0
// What a script brings into an image besides Python: itself, what lies beside it, and the worker that runs it; and
// where things lie in images.
#pragma once

#include "deploy/layer.h"

// The root of the scoring container's application, and of its models: models/NAME/VERSION/FILE.
#define APPLICATION_FOLDER "var/azureml-app"
#define MODELS_FOLDER APPLICATION_FOLDER "/azureml-models"
#define PACKAGES_FOLDER "opt/sardonyx/site"

// The script and what is named beside it (files and folders, ended by NULL; NULL: nothing), each by its last name.
sdx_status application_add(layer *l, const char *script, const char *const *files, fault *f);
// The Python side of script workers out of the folder `programs` (script_programs).
sdx_status application_add_worker(layer *l, const char *programs, fault *f);
const char *application_entry(const char *script);  // its last name
