// SPDX-License-Identifier: Apache-2.0
// Services: images in operation. A service is a name with revisions; a revision is an image and what it needs. One of
// them is in force; another one becomes it only once it is ready. On this machine a supervisor keeps a service running
// (supervisor.h). docs/registry.md lists the keys of the JSON.
#pragma once

#include "deploy/build.h"

typedef struct service_spec {
  const char *name;
  const char *image;  // reference; NULL: one is built of `build`, under the service's name
  build_spec build;
  const char *target;  // "local", "container", "kubernetes"; NULL: local
  const char *engine;  // of containers: "podman" (NULL) or "docker", with options in front of its commands
  // Of clusters: namespace (NULL: default), where its image is pushed to (HOST/FOLDER, or NULL: it is there), a folder
  // for the manifests that are written and not applied, as KServe has it, up to how many replicas.
  const char *space, *registry, *out;
  bool kserve;
  int max_replicas;
  const char *auth;                // "key", "token", "none"; NULL: none
  const char *host;                // NULL: 127.0.0.1
  const char *tls_cert, *tls_key;  // PEM files, read again when they change; NULL: no TLS; of an update: as before
  const char *const *origins;  // of pages that may call (server/cors.h), ended by NULL; of an update, NULL: as before
  int port, replicas;          // 0: a free one; 1
  double cpu, memory_gb;       // 0: no limit
  int percent;                 // of an update: that many of 100 requests go to it, the rest as before; 0 or 100: all
  const char *sample;          // file with a request that a revision must answer before clients come to it; NULL: none
  unsigned start_seconds;      // for a revision to become ready; 0: 300
  const char *description;
  const json_t *tags, *properties;  // beside those of the revision before; null takes one away
} service_spec;

// Makes it and starts it; does not wait. CONFLICT where there is one of that name.
sdx_status service_deploy(registry *r, const service_spec *spec, fault *f);
// A new revision; what the spec leaves out is as before.
sdx_status service_update(registry *r, const service_spec *spec, fault *f);
// Back to a revision; 0: the one that was in force before.
sdx_status service_rollback(registry *r, const char *name, int64_t revision, fault *f);
// How many of 100 requests go to the revision on trial; 100: it is in force, 0: it ends.
sdx_status service_traffic(registry *r, const char *name, int64_t percent, fault *f);
sdx_status service_scale(registry *r, const char *name, int64_t replicas, fault *f);
sdx_status service_start(registry *r, const char *name, fault *f);
// Both wait until what was accepted is answered.
sdx_status service_stop(registry *r, const char *name, fault *f);
sdx_status service_delete(registry *r, const char *name, fault *f);

// Settings and words of the service as they are now, with its state; without secrets.
sdx_status service_show(registry *r, const char *name, json_t **service, fault *f);
// The same once nothing is under way any more, or after `seconds`.
sdx_status service_wait(registry *r, const char *name, unsigned seconds, json_t **service, fault *f);
json_t *service_log(registry *r, const char *name, size_t lines);
// What its log gets from now on, as text, until `take` says no. NOT_SUPPORTED on a cluster.
sdx_status service_follow(registry *r, const char *name, bool (*take)(void *context, const char *bytes, size_t size),
                          void *context, fault *f);

typedef enum service_key { SERVICE_KEEP, SERVICE_PRIMARY, SERVICE_SECONDARY } service_key;
// *keys: {primary, secondary}. One may be made anew, or set to `value`; once this returns the old one is refused.
sdx_status service_keys(registry *r, const char *name, service_key which, const char *value, json_t **keys, fault *f);

// A token that is good for `seconds`: {token, expires_in, token_type}.
sdx_status service_token(registry *r, const char *name, int64_t seconds, json_t **token, fault *f);
// What a client sends behind "Bearer": a key, or a token for `seconds`; NULL where nothing is asked for. free() it.
char *service_credential(const char *name, const json_t *settings, const json_t *secrets, int64_t seconds);

// Sends a request to /score with a key; *answer: {status, body}.
sdx_status service_call(registry *r, const char *name, const void *body, size_t size, json_t **answer, fault *f);

// The same as `supervisor_run` in a process of its own that outlives this one; returns once that has the service.
sdx_status service_supervise(const registry *r, const char *name, fault *f);
