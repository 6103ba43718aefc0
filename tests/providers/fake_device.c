// SPDX-License-Identifier: Apache-2.0
// A device that is none: its memory is the host's, but closed to it (mprotect) outside of the device's own calls, so
// that whatever touches it without a copy faults. Copies to the host land as late as the ABI allows: when they are
// waited for. It runs what the engine's own kernels can, but no double precision and no Erf.
#include "tests/providers/fake_device.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "sardonyx/provider.h"

#ifndef FAKE_ABI
#define FAKE_ABI SDX_PROVIDER_ABI
#endif

__attribute__((visibility("default"))) fake_counts fake_device_counts;

typedef struct buffer {
  struct buffer *next;
  void *at;
  size_t bytes;
} buffer;

typedef struct landing {  // a copy to the host that is under way
  struct landing *next;
  void *to;
  size_t bytes;
  char from[];
} landing;

typedef struct event {
  struct event *next;
  landing *list;  // what it stands for, newest first
} event;

static const sdx_provider_host *host;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static buffer *buffers;
static __thread landing *under_way;
static __thread event *events;

static void open_memory(void) {
  pthread_mutex_lock(&lock);
  for (const buffer *b = buffers; b; b = b->next) mprotect(b->at, b->bytes, PROT_READ | PROT_WRITE);
}
static void close_memory(void) {
  for (const buffer *b = buffers; b; b = b->next) mprotect(b->at, b->bytes, PROT_NONE);
  pthread_mutex_unlock(&lock);
}

static size_t devices(void) { return 2; }
static sdx_status open_device(size_t index, void **context, char *message, size_t size) {
  if (index == 0) return SDX_OK;
  snprintf(message, size, "it is in use elsewhere");
  return SDX_CONFLICT;
}
static void close_device(void *context) {}

static void *allocate(void *context, size_t bytes) {
  buffer *b = malloc(sizeof *b);
  size_t pages = (bytes + 4095) / 4096 * 4096 + 4096;
  void *at = b ? mmap(NULL, pages, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) : MAP_FAILED;
  if (at == MAP_FAILED) {
    free(b);
    return NULL;
  }
  pthread_mutex_lock(&lock);
  *b = (buffer){buffers, at, pages};
  buffers = b;
  fake_device_counts.buffers++;
  pthread_mutex_unlock(&lock);
  return at;
}

static void release_buffer(void *context, void *at) {
  pthread_mutex_lock(&lock);
  buffer **b = &buffers;
  while ((*b)->at != at) b = &(*b)->next;
  buffer *gone = *b;
  *b = gone->next;
  fake_device_counts.buffers--;
  pthread_mutex_unlock(&lock);
  munmap(gone->at, gone->bytes);
  free(gone);
}

static sdx_status copy_in(void *context, void *to, const void *from, size_t bytes) {
  open_memory();
  memcpy(to, from, bytes);
  fake_device_counts.copies_in++;
  close_memory();
  return SDX_OK;
}

static sdx_status copy_out(void *context, void *to, const void *from, size_t bytes) {
  landing *l = malloc(sizeof *l + bytes);
  if (!l) return SDX_NO_MEMORY;
  open_memory();
  memcpy(l->from, from, bytes);
  fake_device_counts.copies_out++;
  close_memory();
  *l = (landing){under_way, to, bytes};
  under_way = l;
  return SDX_OK;
}

static void land(landing *l) {
  while (l) {
    landing *next = l->next;
    memcpy(l->to, l->from, l->bytes);
    free(l);
    l = next;
  }
}

static sdx_status synchronise(void *context) {
  fake_device_counts.synchronisations++;
  while (events) {
    event *e = events;
    events = e->next;
    land(e->list);
    free(e);
    fake_device_counts.events--;
  }
  land(under_way);
  under_way = NULL;
  return SDX_OK;
}

static void *record_event(void *context) {
  event *e = malloc(sizeof *e);
  if (!e) return NULL;
  *e = (event){events, under_way};
  events = e;
  under_way = NULL;
  fake_device_counts.events++;
  return e;
}

static sdx_status wait_event(void *context, void *handle) {
  event **e = &events;
  while (*e != handle) e = &(*e)->next;
  *e = ((event *)handle)->next;
  land(((event *)handle)->list);
  free(handle);
  fake_device_counts.waits++;
  fake_device_counts.events--;
  return SDX_OK;
}

static bool can_run(void *context, const sdx_node *node, char *reason, size_t size) {
  for (size_t i = 0; i < host->node_inputs(node) + host->node_outputs(node); i++) {
    sdx_port port;
    if (i < host->node_inputs(node)) host->node_input(node, i, &port);
    else host->node_output(node, i - host->node_inputs(node), &port);
    if (port.dtype != SDX_DOUBLE) continue;
    snprintf(reason, size, "no double precision");
    return false;
  }
  return strcmp(host->node_operator(node), "Erf") != 0;
}

static sdx_status prepare(void *context, sdx_node *node, void **kernel) {
  *kernel = malloc(1);
  if (!*kernel) return SDX_NO_MEMORY;
  fake_device_counts.kernels++;
  return host->prepare_on_host(node);
}
static void release_kernel(void *context, void *kernel) {
  free(kernel);
  fake_device_counts.kernels--;
}

static sdx_status run(void *context, sdx_node *node, void *kernel, const void *const *inputs, void *const *outputs) {
  open_memory();
  bool fails = ++fake_device_counts.runs == fake_device_counts.fail_run;
  sdx_status status = fails ? SDX_INTERNAL : host->run_on_host(node, inputs, outputs);
  close_memory();
  return status;
}

static const sdx_provider fake = {.size = sizeof fake,
                                  .abi = FAKE_ABI,
                                  .name = "fake",
                                  .devices = devices,
                                  .open = open_device,
                                  .close = close_device,
                                  .allocate = allocate,
                                  .release_buffer = release_buffer,
                                  .copy_in = copy_in,
                                  .copy_out = copy_out,
                                  .can_run = can_run,
                                  .prepare = prepare,
                                  .release_kernel = release_kernel,
                                  .run = run,
                                  .synchronise = synchronise,
                                  .record = record_event,
                                  .wait = wait_event};

__attribute__((visibility("default"))) const sdx_provider *sdx_provider_get(const sdx_provider_host *h);
const sdx_provider *sdx_provider_get(const sdx_provider_host *h) {
  host = h;
  return &fake;
}
