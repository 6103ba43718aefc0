// SPDX-License-Identifier: Apache-2.0
// Tokens that end by themselves: JSON Web Tokens (RFC 7519) with HMAC-SHA256, for one audience. Who has the key makes
// and checks them; nobody else needs to be asked. Only tokens made here are taken: no other algorithm is known.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { TOKEN_LONGEST = 2048 };

// Good from now on for `seconds`. NULL: no memory; free() it.
char *token_make(const char *key, const char *audience, int64_t seconds);
// Whether it was made with the key and has not ended. Takes as long wherever it differs.
bool token_good(const char *key, const char *token, size_t size);
