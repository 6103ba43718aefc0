// SPDX-License-Identifier: Apache-2.0
// Services on a cluster: the manifests of manifests/*.yaml with the values of a revision in them, for a person to look
// at or for kubectl to apply. Those whose names begin with "kserve-" are for clusters that have KServe, instead of the
// others. Read next: kubernetes.c, manifests/deployment.yaml.
#pragma once

#include "registry/registry.h"

// Writes the manifests of a revision into a folder that is made: kubernetes/*.yaml and kserve/*.yaml.
sdx_status kubernetes_write(registry *r, const char *name, int64_t revision, const char *folder, fault *f);
// Applies what was written there, or takes it away, by kubectl; `kserve`: that variant.
sdx_status kubernetes_apply(const char *folder, bool kserve, fault *f);
sdx_status kubernetes_remove(const char *folder, bool kserve, fault *f);
// Names of a cluster have a smaller alphabet than ours.
sdx_status kubernetes_check_name(const char *name, fault *f);
// "Healthy", "Transitioning", "Failed" of what was applied there; NULL: kubectl does not tell.
const char *kubernetes_state(const char *name, const json_t *settings);
// The last lines of its servers.
json_t *kubernetes_log(const char *name, const json_t *settings, size_t lines);
