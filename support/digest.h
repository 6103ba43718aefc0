// SPDX-License-Identifier: Apache-2.0
// SHA-256 of bytes as they pass, in the notation of OCI: "sha256:" and 64 lower-case hexadecimal digits.
#pragma once

#include <stdbool.h>
#include <stddef.h>

enum { DIGEST_BYTES = 72 };  // with the NUL

typedef struct digest_state digest_state;
digest_state *digest_create(void);  // NULL: no memory
void digest_add(digest_state *d, const void *bytes, size_t size);
void digest_finish(digest_state *d, char text[DIGEST_BYTES]);  // once
void digest_destroy(digest_state *d);

bool digest_of(const void *bytes, size_t size, char text[DIGEST_BYTES]);  // false: no memory
bool digest_valid(const char *text);
static inline const char *digest_hex(const char *digest) { return digest + 7; }
