// SPDX-License-Identifier: Apache-2.0
// The places of a session: shared libraries are opened, held against the ABI, and closed again; constants are copied to
// each device once.
#include <dlfcn.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "providers/provider.h"

struct place_constant {
  place_constant *next;
  const void *host;
  size_t bytes;
  void *buffer;
};

void places_init(places *p) {
  *p = (places){.count = 1};
  p->at[PLACE_HOST].provider = &provider_cpu;
  pthread_mutex_init(&p->at[PLACE_HOST].lock, NULL);
}

static void close_place(place *p) {
  while (p->constants) {
    place_constant *k = p->constants;
    p->constants = k->next;
    p->provider->release_buffer(p->context, k->buffer);
    mem_free(k);
  }
  p->provider->close(p->context);
  if (p->library) dlclose(p->library);
  pthread_mutex_destroy(&p->lock);
}

void places_deinit(places *p) {
  while (p->count) close_place(&p->at[--p->count]);
}

// ---- shared libraries -------------------------------------------------------------------------------

// Every entry that the engine calls without looking.
static bool is_complete(const sdx_provider *t) {
  return t->name && t->name[0] && t->devices && t->open && t->close && t->allocate && t->release_buffer && t->copy_in &&
         t->copy_out && t->can_run && t->prepare && t->run && t->synchronise && !t->record == !t->wait;
}

static sdx_status check_table(const sdx_provider *t, const char *path, error *err) {
  if (!t)
    return error_at(err, part_named(PART_PROVIDER, str_from(path)), SDX_NOT_SUPPORTED,
                    "refuses this engine (%s, provider ABI %d)", SDX_VERSION, SDX_PROVIDER_ABI);
  if (t->abi != SDX_PROVIDER_ABI)
    return error_at(err, part_named(PART_PROVIDER, str_from(path)), SDX_NOT_SUPPORTED,
                    "speaks provider ABI %u, this engine (%s) ABI %d: take one that is built against its "
                    "sardonyx/provider.h",
                    t->abi, SDX_VERSION, SDX_PROVIDER_ABI);
  if (t->size < sizeof *t)
    return error_at(err, part_named(PART_PROVIDER, str_from(path)), SDX_NOT_SUPPORTED,
                    "has a table of %zu bytes, those of ABI %d have %zu or more", t->size, SDX_PROVIDER_ABI, sizeof *t);
  if (!is_complete(t))
    return error_at(err, part_named(PART_PROVIDER, str_from(path)), SDX_NOT_SUPPORTED,
                    "has a table with empty entries");
  return SDX_OK;
}

static sdx_status open_library(const char *path, void **library, const sdx_provider **table, error *err) {
  *library = NULL;
  *table = &provider_cpu;
  if (strcmp(path, provider_cpu.name) == 0) return SDX_OK;
  *library = dlopen(path, RTLD_NOW | RTLD_LOCAL);
  if (!*library)
    return error_at(err, part_named(PART_PROVIDER, str_from(path)), SDX_NOT_FOUND, "cannot be loaded: %s", dlerror());
  union {
    void *symbol;
    sdx_provider_get_function *get;
  } entry = {dlsym(*library, SDX_PROVIDER_ENTRY)};
  if (!entry.symbol)
    return error_at(err, at_file(str_from(path)), SDX_NOT_SUPPORTED, "is no provider: it has no function %s",
                    SDX_PROVIDER_ENTRY);
  *table = entry.get(&provider_host);
  return check_table(*table, path, err);
}

static sdx_status open_device(place *p, size_t index, const char *path, error *err) {
  char message[300] = "";
  size_t devices = p->provider->devices();
  if (index >= devices)
    return error_at(err, part_named(PART_PROVIDER, str_from(path)), SDX_NOT_FOUND,
                    "has %zu device%s, none with number %zu", devices, devices == 1 ? "" : "s", index);
  sdx_status s = p->provider->open(index, &p->context, message, sizeof message);
  message[sizeof message - 1] = 0;
  if (s == SDX_OK) return s;
  return error_at(err, part_named(PART_PROVIDER, str_from(path)), s, "cannot open device %zu: %s", index,
                  *message ? message : status_text(s));
}

sdx_status places_add(places *p, const char *path, error *err) {
  char file[4096];
  size_t index = 0, length = strlen(path);
  const char *at = strrchr(path, '@');
  if (at && at[1] && strspn(at + 1, "0123456789") == strlen(at + 1) && strlen(at + 1) < 9) {
    sscanf(at + 1, "%zu", &index);
    length = (size_t)(at - path);
  }
  if (length >= sizeof file) return error_set(err, SDX_INVALID_ARGUMENT, "the provider's path is too long");
  if (p->count == PLACES_MOST)
    return error_set(err, SDX_LIMIT_EXCEEDED, "a session takes at most %d providers", PLACES_MOST - 1);
  snprintf(file, sizeof file, "%.*s", (int)length, path);
  bool here = !strchr(file, '/') && length + 3 < sizeof file && access(file, F_OK) == 0;  // else the loader searches
  if (here) snprintf(file, sizeof file, "./%.*s", (int)length, path);
  place made = {0};
  sdx_status s = open_library(file, &made.library, &made.provider, err);
  if (s == SDX_OK) s = open_device(&made, index, file, err);
  if (s != SDX_OK) {
    if (made.library) dlclose(made.library);
    return s;
  }
  pthread_mutex_init(&made.lock, NULL);
  p->at[p->count++] = made;
  return SDX_OK;
}

// ---- what lies on a device --------------------------------------------------------------------------

bool place_can_run(place *p, op_step *c, char *reason, size_t size) {
  reason[0] = 0;
  bool can = p->provider->can_run(p->context, (const sdx_node *)c, reason, size);
  reason[size - 1] = 0;
  return can;
}

static void *make_constant(place *p, const tensor *t, error *err) {
  place_constant *k = mem_zalloc(NULL, sizeof *k);
  void *buffer = k ? p->provider->allocate(p->context, t->bytes) : NULL;
  sdx_status s = !buffer    ? SDX_NO_MEMORY
                 : t->bytes ? p->provider->copy_in(p->context, buffer, t->data, t->bytes)
                            : SDX_OK;
  if (s == SDX_OK) {
    *k = (place_constant){p->constants, t->data, t->bytes, buffer};
    p->constants = k;
    return buffer;
  }
  error_at(err, part_named(PART_PROVIDER, str_from(p->provider->name)), s, "cannot take a constant of %zu bytes: %s",
           t->bytes, status_text(s));
  if (buffer) p->provider->release_buffer(p->context, buffer);
  mem_free(k);
  return NULL;
}

void *place_get_constant(place *p, const tensor *t, error *err) {
  pthread_mutex_lock(&p->lock);
  place_constant *k = p->constants;
  while (k && (k->host != t->data || k->bytes != t->bytes)) k = k->next;
  void *buffer = k ? k->buffer : make_constant(p, t, err);
  pthread_mutex_unlock(&p->lock);
  return buffer;
}
