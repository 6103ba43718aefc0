// SPDX-License-Identifier: Apache-2.0
// gzip by zlib, zstd by libzstd (coding.h). A body expands into memory that grows with what was written, never with
// what a header claims; a zstd window beyond 8 MB is refused as RFC 9659 says. Several members in a row are one body.
#include "server/net/coding.h"

#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <zlib.h>
#include <zstd.h>

#include "server/net/message.h"

enum { GZIP_WINDOW = 15 + 16, ZSTD_WINDOW_LOG = 23, LEVEL = 1, PIECE = 16384 };

static const char *const names[] = {"identity", "gzip", "zstd"};

coding coding_from_name(str name) {
  for (int c = CODING_IDENTITY; c < CODING_UNKNOWN; c++)
    if (name.size == strlen(names[c]) && !strncasecmp(name.at, names[c], name.size)) return (coding)c;
  return name.size == 6 && !strncasecmp(name.at, "x-gzip", 6) ? CODING_GZIP : CODING_UNKNOWN;
}

const char *coding_name(coding c) { return names[c]; }

// "q=0.5" -> 500; 1000 where there is none or where it cannot be read.
static int quality(str parameters) {
  for (size_t i = 0; i + 2 < parameters.size; i++) {
    if ((parameters.at[i] | 32) != 'q' || parameters.at[i + 1] != '=') continue;
    int q = parameters.at[i + 2] == '1' ? 1000 : 0, unit = 100;
    if (i + 3 < parameters.size && parameters.at[i + 3] == '.')
      for (size_t k = i + 4; k < parameters.size && parameters.at[k] >= '0' && parameters.at[k] <= '9'; k++, unit /= 10)
        q += (parameters.at[k] - '0') * unit;
    return q > 1000 ? 1000 : q;
  }
  return 1000;
}

coding coding_choose(str accept) {
  coding best = CODING_IDENTITY;
  int best_quality = 0;
  const char *p = accept.at, *end = p ? p + accept.size : NULL;
  while (p < end) {
    const char *comma = memchr(p, ',', (size_t)(end - p)), *next = comma ? comma : end;
    while (p < next && (*p == ' ' || *p == '\t')) p++;
    size_t name = 0;
    while (p + name < next && !strchr("; \t", p[name])) name++;
    coding c = coding_from_name((str){p, name});
    int q = quality((str){p + name, (size_t)(next - p) - name});
    // Of equals the later row of the table: zstd is the faster one.
    if (c != CODING_UNKNOWN && q && (q > best_quality || (q == best_quality && c > best))) best = c, best_quality = q;
    p = next + 1;
  }
  return best;
}

// ---- decoding ------------------------------------------------------------------------------------

// One step of a decoder: from `in` into the room behind `to->size`. Returns 1 at the end of a member, 0 when it wants
// to be called again, -1 when the data are wrong.
typedef int decode_step(void *decoder, str *in, http_body *to);

static int gzip_step(void *decoder, str *in, http_body *to) {
  z_stream *z = decoder;
  size_t room = to->capacity - to->size;
  z->next_in = (Bytef *)in->at;
  z->avail_in = in->size < UINT_MAX ? (uInt)in->size : UINT_MAX;
  z->next_out = (Bytef *)to->at + to->size;
  z->avail_out = room < UINT_MAX ? (uInt)room : UINT_MAX;
  int code = inflate(z, Z_NO_FLUSH);
  size_t taken = (size_t)((const char *)z->next_in - in->at);
  *in = (str){in->at + taken, in->size - taken};
  to->size = (size_t)((char *)z->next_out - to->at);
  if (code == Z_STREAM_END) return inflateReset(z) == Z_OK ? 1 : -1;
  return code == Z_OK || code == Z_BUF_ERROR ? 0 : -1;
}

static int zstd_step(void *decoder, str *in, http_body *to) {
  ZSTD_inBuffer from = {in->at, in->size, 0};
  ZSTD_outBuffer out = {to->at, to->capacity, to->size};
  size_t code = ZSTD_decompressStream(decoder, &out, &from);
  *in = (str){in->at + from.pos, in->size - from.pos};
  to->size = out.pos;
  return ZSTD_isError(code) ? -1 : code == 0;
}

static bool decode(coding c, decode_step *step, void *decoder, http_body *body, size_t limit, http_problem *p) {
  http_body plain = {.held = body->held, .held_limit = body->held_limit};
  str in = {body->at, body->size};
  const char *name = coding_name(c);
  bool good = true, whole = false;
  while (good && !(whole && in.size == 0)) {
    size_t room = plain.capacity - plain.size, before = in.size, had = plain.size;
    if (room < PIECE / 4 && plain.size <= limit) {
      size_t wanted = plain.capacity ? plain.capacity * 2 : body->size * 4 + PIECE;
      if (wanted > limit + 1) wanted = limit + 1;  // one more shows that there is more
      if (wanted > plain.capacity && !body_reserve(&plain, wanted))
        good = http_wrong(p, 503, "request bodies fill the memory kept for them (limit max-buffered-bytes)");
    }
    int code = good ? step(decoder, &in, &plain) : 0;
    whole = code == 1;
    if (code < 0) {
      good = http_wrong(p, 400, "the body is no %s at byte %zu of %zu", name, body->size - in.size, body->size);
    } else if (plain.size > limit) {
      good = http_wrong(p, 413, "the %s body expands to more than %zu bytes (limit max-body-bytes)", name, limit);
    } else if (good && !whole && in.size == before && plain.size == had && plain.size < plain.capacity) {
      good = http_wrong(p, 400, "the %s body ends too early, after %zu bytes", name, body->size);
    }
  }
  if (good) {
    body_drop(body);
    *body = plain;
  } else {
    body_drop(&plain);
  }
  return good;
}

bool coding_decode(coding c, http_body *body, size_t limit, http_problem *p) {
  if (c == CODING_IDENTITY) return true;
  bool good = false;
  if (!body->size) return http_wrong(p, 400, "the %s body is empty", coding_name(c));  // and counted nowhere
  if (c == CODING_GZIP) {
    z_stream z = {0};
    if (inflateInit2(&z, GZIP_WINDOW) != Z_OK) return http_wrong(p, 503, "memory is exhausted");
    good = decode(c, gzip_step, &z, body, limit, p);
    inflateEnd(&z);
  } else {
    ZSTD_DCtx *z = ZSTD_createDCtx();
    if (!z) return http_wrong(p, 503, "memory is exhausted");
    ZSTD_DCtx_setParameter(z, ZSTD_d_windowLogMax, ZSTD_WINDOW_LOG);
    good = decode(c, zstd_step, z, body, limit, p);
    ZSTD_freeDCtx(z);
  }
  return good;
}

// ---- encoding ------------------------------------------------------------------------------------

struct coding_stream {
  coding coding;
  z_stream gzip;
  ZSTD_CCtx *zstd;
};

coding_stream *coding_stream_create(coding c) {
  coding_stream *s = calloc(1, sizeof *s);
  if (!s) return NULL;
  s->coding = c;
  bool good = false;
  if (c == CODING_GZIP) {
    good = deflateInit2(&s->gzip, LEVEL, Z_DEFLATED, GZIP_WINDOW, 8, Z_DEFAULT_STRATEGY) == Z_OK;
  } else if ((s->zstd = ZSTD_createCCtx()) != NULL) {
    good = !ZSTD_isError(ZSTD_CCtx_setParameter(s->zstd, ZSTD_c_compressionLevel, LEVEL));
  }
  if (good) return s;
  free(s);
  return NULL;
}

void coding_stream_destroy(coding_stream *s) {
  if (!s) return;
  if (s->coding == CODING_GZIP) deflateEnd(&s->gzip);
  else ZSTD_freeCCtx(s->zstd);
  free(s);
}

bool coding_stream_write(coding_stream *s, str piece, bool last, text *to) {
  char out[PIECE];
  size_t made;
  bool done = false;
  if (s->coding == CODING_GZIP) {
    s->gzip.next_in = (Bytef *)piece.at;
    s->gzip.avail_in = (uInt)piece.size;
    do {
      s->gzip.next_out = (Bytef *)out;
      s->gzip.avail_out = sizeof out;
      if (deflate(&s->gzip, last ? Z_FINISH : Z_NO_FLUSH) == Z_STREAM_ERROR) return false;
      made = sizeof out - s->gzip.avail_out;
      text_append(to, out, made);
    } while (s->gzip.avail_out == 0);
    return !to->failed;
  }
  ZSTD_inBuffer from = {piece.at, piece.size, 0};
  while (!done) {
    ZSTD_outBuffer into = {out, sizeof out, 0};
    size_t left = ZSTD_compressStream2(s->zstd, &into, &from, last ? ZSTD_e_end : ZSTD_e_continue);
    if (ZSTD_isError(left)) return false;
    text_append(to, out, into.pos);
    done = last ? left == 0 : from.pos == from.size;
  }
  return !to->failed;
}
