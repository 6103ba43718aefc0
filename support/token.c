// SPDX-License-Identifier: Apache-2.0
// Tokens (token.h): HEAD.CLAIMS.SIGNATURE, each in base64url; the head is always the same.
#include "support/token.h"

#include <jansson.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "support/files.h"

enum { SIGNATURE_BYTES = 32, SIGNATURE_TEXT = 43 };
static const char head[] = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.";  // {"alg":"HS256","typ":"JWT"}

// Base64 with the two characters that are safe in URLs, and no padding. Room: 4 * ((size + 2) / 3) + 1.
static size_t encode(const void *bytes, size_t size, char *text) {
  size_t length = (size_t)EVP_EncodeBlock((unsigned char *)text, bytes, (int)size);
  while (length && text[length - 1] == '=') length--;
  for (size_t i = 0; i < length; i++) text[i] = text[i] == '+' ? '-' : text[i] == '/' ? '_' : text[i];
  text[length] = 0;
  return length;
}

// The bytes of a text of at most TOKEN_LONGEST characters, or -1.
static int decode(const char *text, size_t size, unsigned char bytes[TOKEN_LONGEST]) {
  unsigned char padded[TOKEN_LONGEST + 4];
  if (!size || size > TOKEN_LONGEST || size % 4 == 1) return -1;
  for (size_t i = 0; i < size; i++) padded[i] = (unsigned char)(text[i] == '-' ? '+' : text[i] == '_' ? '/' : text[i]);
  size_t whole = (size + 3) / 4 * 4;
  memset(padded + size, '=', whole - size);
  int got = EVP_DecodeBlock(bytes, padded, (int)whole);
  return got < 0 ? -1 : got - (int)(whole - size);
}

static void sign(const char *key, const char *text, size_t size, char signature[SIGNATURE_TEXT + 2]) {
  unsigned char bytes[SIGNATURE_BYTES];
  unsigned length = 0;
  HMAC(EVP_sha256(), key, (int)strlen(key), (const unsigned char *)text, size, bytes, &length);
  encode(bytes, length, signature);
}

char *token_make(const char *key, const char *audience, int64_t seconds) {
  int64_t now = (int64_t)(clock_wall_ns() / 1000000000);
  char signature[SIGNATURE_TEXT + 2], coded[TOKEN_LONGEST];
  json_t *claims =
      json_pack("{s:s,s:I,s:I}", "aud", audience, "iat", (json_int_t)now, "exp", (json_int_t)(now + seconds));
  char *text = claims ? json_dumps(claims, JSON_COMPACT) : NULL, *token = NULL, *signed_part = NULL;
  if (text && strlen(text) < TOKEN_LONGEST / 2) {
    encode(text, strlen(text), coded);
    signed_part = path_format("%s%s", head, coded);
  }
  if (signed_part) {
    sign(key, signed_part, strlen(signed_part), signature);
    token = path_format("%s.%s", signed_part, signature);
  }
  json_decref(claims);
  free(text);
  free(signed_part);
  return token;
}

static bool ended(const char *coded, size_t size) {
  unsigned char text[TOKEN_LONGEST];
  int length = decode(coded, size, text);
  json_t *claims = length > 0 ? json_loadb((const char *)text, (size_t)length, JSON_REJECT_DUPLICATES, NULL) : NULL;
  const json_t *end = json_object_get(claims, "exp");
  bool over = !json_is_integer(end) || json_integer_value(end) <= (json_int_t)(clock_wall_ns() / 1000000000);
  json_decref(claims);
  return over;
}

bool token_good(const char *key, const char *token, size_t size) {
  size_t first = sizeof head - 1;
  char expected[SIGNATURE_TEXT + 2];
  if (size > TOKEN_LONGEST || size < first + SIGNATURE_TEXT + 2 || memcmp(token, head, first) != 0) return false;
  size_t part = size - SIGNATURE_TEXT - 1;
  if (token[part] != '.') return false;
  sign(key, token, part, expected);
  if (CRYPTO_memcmp(expected, token + part + 1, SIGNATURE_TEXT) != 0) return false;
  return !ended(token + first, part - first);
}
