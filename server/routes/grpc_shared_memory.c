// SPDX-License-Identifier: Apache-2.0
// gRPC: the system shared memory extension, as v2_shared_memory.c does it.
#include "server/grpc.h"

#define REGISTER(F)                \
  F(REGION_NAME, 1, BYTES, "name") \
  F(REGION_KEY, 2, BYTES, "key") F(REGION_OFFSET, 3, INT, "offset") F(REGION_SIZE, 4, INT, "byte_size")
enum { REGISTER(WIRE_SLOT) };
WIRE_SCHEMA(static const, register_fields, REGISTER, "SystemSharedMemoryRegisterRequest")

static void answer_nothing(call *c) {
  wire_out out = grpc_begin(c);
  grpc_end(c, &out);
}

static void add(call *c) {
  wire_counts counts;
  wire message;
  wire_field f;
  str words[2] = {{"", 0}, {"", 0}};
  int64_t numbers[2] = {0, 0};
  char why[400];
  if (!grpc_scan(c, &register_fields, &counts, &message)) return;
  while (wire_next(&message, &register_fields, &f))
    if (f.slot < REGION_OFFSET) words[f.slot] = wire_str(&f);
    else numbers[f.slot - REGION_OFFSET] = (int64_t)f.value;
  int refused = regions_add(&c->srv->regions, words[0], words[1], numbers[0], numbers[1], why, sizeof why);
  if (refused) call_error(c, refused, "%s", why);
  else answer_nothing(c);
}

static void put_region(wire_out *out, const region *r) {
  size_t entry = wire_begin(out, 1);
  grpc_put_str(out, 1, r->name);
  size_t value = wire_begin(out, 2);
  grpc_put_str(out, 1, r->name);
  grpc_put_str(out, 2, r->key);
  wire_put_int(out, 3, (int64_t)r->offset);
  wire_put_int(out, 4, (int64_t)r->size);
  wire_end(out, value);
  wire_end(out, entry);
}

static void status(call *c) {
  regions *r = &c->srv->regions;
  str name, none;
  if (!grpc_read_names(c, &name, &none)) return;
  wire_out out = grpc_begin(c);
  pthread_mutex_lock(&r->lock);
  bool found = !name.size || regions_find(r, name);
  for (size_t i = 0; i < r->count; i++)
    if (!name.size || str_is(name, r->list[i].name)) put_region(&out, &r->list[i]);
  pthread_mutex_unlock(&r->lock);
  grpc_end(c, &out);
  if (!found) call_error(c, 404, "there is no region '%.*s'", name.size > 60 ? 60 : (int)name.size, name.at);
}

static void remove_regions(call *c) {
  str name, none;
  if (!grpc_read_names(c, &name, &none)) return;
  regions_remove(&c->srv->regions, name.size ? name : (str){0});
  answer_nothing(c);
}

#define SHARED_MEMORY(name, line, function) \
  { GRPC_PROCEDURE(name), .access = ROUTE_MANAGE, .summary = line, .answer = function }
HTTP_ROUTE(grpc_shm_status) = SHARED_MEMORY("SystemSharedMemoryStatus", "Which regions there are", status);
HTTP_ROUTE(grpc_shm_add) = SHARED_MEMORY("SystemSharedMemoryRegister", "Names a part of a shared memory object", add);
HTTP_ROUTE(grpc_shm_remove) = SHARED_MEMORY("SystemSharedMemoryUnregister", "Forgets a region, or all", remove_regions);
HTTP_ROUTE(grpc_cuda_status) = SHARED_MEMORY("CudaSharedMemoryStatus", "There are none", answer_nothing);
HTTP_ROUTE(grpc_cuda_remove) = SHARED_MEMORY("CudaSharedMemoryUnregister", "There are none", answer_nothing);
