// SPDX-License-Identifier: Apache-2.0
// The folders of a store:
//   registry.db        rows (database.h)
//   blobs/sha256/HEX   files by what they hold: written elsewhere, synced, renamed into place, never changed
//   staging/ID/        one folder a change in progress: its blobs before they are complete
//   services/NAME/     what a running service keeps: log, sockets, its image unpacked (deploy/service.h)
//   models/NAME/N/     files under the names they were registered with; made when asked for
//   lock               held shared by who writes, exclusively by who collects: no blob vanishes before its row is there
// A change that died leaves its staging folder; whoever opens the store next and meets no writer collects.
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "support/digest.h"
#include "support/fault.h"

typedef struct store {
  char *path;
  int root, blobs, staging, models, services;
} store;

sdx_status store_open(const char *path, store *s, fault *f);
void store_close(store *s);

// A descriptor that holds the lock until it is closed; -1: not now (wait_ms passed) or a failure.
int store_lock(const store *s, bool exclusive, unsigned wait_ms, fault *f);
// Whether changes are in progress, or died.
bool store_has_staging(const store *s);

bool store_has_blob(const store *s, const char *digest, uint64_t *size);
int store_open_blob(const store *s, const char *digest, uint64_t *size, fault *f);
// Digest of an open file, read from its beginning.
sdx_status store_digest(int fd, char digest[DIGEST_BYTES], uint64_t *size, fault *f);
