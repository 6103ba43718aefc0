// SPDX-License-Identifier: Apache-2.0
// The host as a provider: memory is the engine's own, every operator runs by its own record. Place 0 of all plans,
// where steps skip this table and call their kernels themselves; opened as a device ("provider=cpu") it is the plainest
// one there is.
#include <string.h>

#include "providers/provider.h"

static size_t devices(void) { return 1; }
static sdx_status open(size_t index, void **context, char *message, size_t size) { return SDX_OK; }
static void close(void *context) {}

static void *allocate(void *context, size_t bytes) { return mem_alloc(NULL, bytes); }
static void release_buffer(void *context, void *buffer) { mem_free(buffer); }

static sdx_status copy(void *context, void *to, const void *from, size_t bytes) {
  memcpy(to, from, bytes);
  return SDX_OK;
}

static bool can_run(void *context, const sdx_node *node, char *reason, size_t reason_size) { return true; }
static sdx_status prepare(void *context, sdx_node *node, void **kernel) { return provider_host.prepare_on_host(node); }
static void release_kernel(void *context, void *kernel) {}
static sdx_status run(void *context, sdx_node *node, void *kernel, const void *const *inputs, void *const *outputs) {
  return provider_host.run_on_host(node, inputs, outputs);
}
static sdx_status synchronise(void *context) { return SDX_OK; }

const sdx_provider provider_cpu = {.size = sizeof provider_cpu,
                                   .abi = SDX_PROVIDER_ABI,
                                   .name = "cpu",
                                   .devices = devices,
                                   .open = open,
                                   .close = close,
                                   .allocate = allocate,
                                   .release_buffer = release_buffer,
                                   .copy_in = copy,
                                   .copy_out = copy,
                                   .can_run = can_run,
                                   .prepare = prepare,
                                   .release_kernel = release_kernel,
                                   .run = run,
                                   .synchronise = synchronise};
