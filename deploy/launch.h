// SPDX-License-Identifier: Apache-2.0
// How the servers of a revision are started: on this machine its image is unpacked in the service's folder and run by
// the `sardonyx` that is installed here (launch.c); in a container the engine gets the image (container.c). Either way
// a program that inherits the listening socket, or fetches it, and works in the folder RUN_FOLDER.
#pragma once

#include "registry/registry.h"

// In the folder of the service; the supervisor keeps sockets and these files there.
#define RUN_FOLDER "run"
#define KEYS_FILE "keys"
#define TOKEN_KEY_FILE "token-key"
#define SPLIT_FILE "split"
#define DOOR_FILE "door"
#define TLS_CERT_FILE "tls.crt"
#define TLS_KEY_FILE "tls.key"
#define REPLICA_MARK "{replica}"  // at the end of an argument: becomes the number of the start

typedef struct launch {
  int64_t revision;
  char **arguments, **environment;  // ended by NULL; environment NULL: this process's
  char **end;                       // a program that ends what killing the process leaves behind, or NULL
  bool fetches;                     // the listening socket, from DOOR_FILE, instead of inheriting it
  char *sample;                     // a request that it must answer first, or NULL
  double cpus;                      // limits of each process, where its program sets none; 0: none
  uint64_t memory_bytes;
} launch;

// `path`: the folder of the service; `settings`: its target, auth, engine.
launch *launch_create(registry *r, const char *name, int64_t revision, const char *path, const json_t *settings,
                      fault *f);
void launch_destroy(launch *l);
// Removes what a supervisor that was killed has left in the folder of the service, and its containers.
void launch_sweep(int folder, const char *path, const json_t *settings);

// ---- container.c: fills arguments and end ----
sdx_status launch_container(launch *l, registry *r, const json_t *asset, const json_t *image, const char *path,
                            const json_t *settings, fault *f);
void launch_sweep_containers(const char *path, const json_t *settings);

// What the two have in common.
void launch_add(json_t *words, const char *word);
void launch_add_origins(json_t *words, const json_t *settings);
void launch_add_server(json_t *words, const json_t *settings);  // options of the server that are no image's
char **launch_words(const json_t *words, fault *f);             // ended by NULL
void launch_words_free(char **words);
