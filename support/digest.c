// SPDX-License-Identifier: Apache-2.0
// SHA-256 by libcrypto (digest.h).
#include "support/digest.h"

#include <openssl/evp.h>
#include <stdio.h>
#include <string.h>

digest_state *digest_create(void) {
  EVP_MD_CTX *c = EVP_MD_CTX_new();
  if (c && EVP_DigestInit_ex(c, EVP_sha256(), NULL)) return (digest_state *)c;
  EVP_MD_CTX_free(c);
  return NULL;
}

void digest_add(digest_state *d, const void *bytes, size_t size) { EVP_DigestUpdate((EVP_MD_CTX *)d, bytes, size); }

void digest_finish(digest_state *d, char text[DIGEST_BYTES]) {
  unsigned char raw[EVP_MAX_MD_SIZE] = {0};
  EVP_DigestFinal_ex((EVP_MD_CTX *)d, raw, NULL);
  memcpy(text, "sha256:", 7);
  for (size_t i = 0; i < 32; i++) snprintf(text + 7 + 2 * i, 3, "%02x", raw[i]);
}

void digest_destroy(digest_state *d) { EVP_MD_CTX_free((EVP_MD_CTX *)d); }

bool digest_of(const void *bytes, size_t size, char text[DIGEST_BYTES]) {
  digest_state *d = digest_create();
  if (!d) return false;
  digest_add(d, bytes, size);
  digest_finish(d, text);
  digest_destroy(d);
  return true;
}

bool digest_valid(const char *text) {
  return !strncmp(text, "sha256:", 7) && strlen(text) == 71 && strspn(text + 7, "0123456789abcdef") == 64;
}
