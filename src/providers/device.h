// SPDX-License-Identifier: Apache-2.0
// The engine's own kernels on a device's bytes; see node.c.
#pragma once

#include "providers/provider.h"

sdx_status device_prepare_on_host(sdx_node *node);
sdx_status device_run_on_host(sdx_node *node, const void *const *inputs, void *const *outputs);
