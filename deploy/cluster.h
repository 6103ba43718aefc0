// SPDX-License-Identifier: Apache-2.0
// What a supervisor does here a cluster does by itself: a candidate is in force once its manifests are applied, or
// written where they are only to be written. Read next: kubernetes.h.
#pragma once

#include "registry/registry.h"

// Pushes the image where the settings say so, writes and applies the manifests, and tells the registry how it went.
sdx_status cluster_bring(registry *r, const char *name, const json_t *settings, fault *f);
sdx_status cluster_remove(registry *r, const char *name, const json_t *settings, fault *f);
