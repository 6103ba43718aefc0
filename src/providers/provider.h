// SPDX-License-Identifier: Apache-2.0
// Places: where the steps of a plan run and where its values lie. Place 0 is the host, whose provider is cpu.c; each
// further one is a device that a provider opened. Read next: node.c (what providers ask about nodes), device.c (the
// steps that run, copy and wait there), load.c (shared libraries).
#pragma once

#include <pthread.h>

#include "ops/prepare.h"
#include "sardonyx/provider.h"

enum { PLACE_HOST, PLACES_MOST = 8 };

typedef struct place_constant place_constant;

typedef struct place {
  const sdx_provider *provider;
  void *context;
  void *library;
  pthread_mutex_t lock;
  place_constant *constants;  // copied in once for all plans
} place;

typedef struct places {
  place at[PLACES_MOST];
  size_t count;  // at least the host once initialised
} places;

void places_init(places *p);
void places_deinit(places *p);
// Opens a device of the provider in the shared library `path`; "path@1" its device 1.
sdx_status places_add(places *p, const char *path, error *err);

extern const sdx_provider provider_cpu;
extern const sdx_provider_host provider_host;

// Whether the place runs a step whose types are known; `reason` is set if not.
bool place_can_run(place *p, op_step *c, char *reason, size_t reason_size);
// Device memory with the bytes of a constant that outlives all plans; NULL: no memory.
void *place_get_constant(place *p, const tensor *t, error *err);
// Prepares a step for a device: its compute, scratch and kernel. c->constants are in host memory.
sdx_status device_prepare(place *p, op_step *c);
void device_release(op_step *c);  // what a prepared step holds

// Steps of plans. Copy: output 0 is input 0 in another place; output 1, where it is wanted, an event that Wait (of the
// same params) takes as input 1.
typedef struct copy_params {
  place *device;
  bool in;  // to the device
} copy_params;
extern const op_def op_copy, op_wait;
