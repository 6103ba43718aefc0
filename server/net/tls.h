// SPDX-License-Identifier: Apache-2.0
// TLS by OpenSSL, as a transport of connections. Certificate and key are read again when asked, and by themselves when
// their files have changed; a pair that does not fit leaves the old one in place.
#pragma once

#include <stdbool.h>
#include <stddef.h>

typedef struct tls tls;

tls *tls_create(const char *certificate, const char *key, char *why, size_t why_size);
void tls_destroy(tls *t);
void tls_reload(tls *t);
void *tls_accept(tls *t, int fd);  // the state of one connection; NULL: memory
void tls_drop(void *state);
bool tls_chose_http2(void *state);
