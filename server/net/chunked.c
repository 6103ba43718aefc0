// SPDX-License-Identifier: Apache-2.0
// Chunked bodies (head.h): size in hex, extensions that nobody reads, data, trailers that are checked and dropped. One
// pass, constant memory; what frames the data is bounded as the data are.
#include "server/net/head.h"

enum { LINE_BYTES = 256, TRAILER_BYTES = 8192, SIZE_DIGITS = 15 };
enum { SIZE, EXTENSION, SIZE_LF, DATA, DATA_CR, DATA_LF, TRAILER, TRAILER_NAME, TRAILER_VALUE, TRAILER_LF, END_LF };

static bool in_size(chunked *c, char byte, http_problem *p) {
  int digit = head_hex(byte);
  if (digit >= 0) {
    if (++c->digits > SIZE_DIGITS) return http_wrong(p, 400, "chunk %zu: the size has too many digits", c->chunks);
    c->left = c->left * 16 + (unsigned)digit;
  } else if (c->digits && byte == '\r') {
    c->state = SIZE_LF;
  } else if (c->digits && (byte == ';' || byte == ' ' || byte == '\t')) {
    c->state = EXTENSION;
  } else {
    return http_wrong(p, 400, "chunk %zu: expected its size in hex, found byte 0x%02x", c->chunks, (unsigned char)byte);
  }
  return true;
}

static bool in_extension(chunked *c, char byte, http_problem *p) {
  if (byte == '\r') c->state = SIZE_LF;
  else if (!head_is_text(byte))
    return http_wrong(p, 400, "chunk %zu: control character 0x%02x behind its size", c->chunks, (unsigned char)byte);
  if (++c->line > LINE_BYTES)
    return http_wrong(p, 400, "chunk %zu: more than %d bytes of extensions", c->chunks, LINE_BYTES);
  return true;
}

static bool in_trailer(chunked *c, char byte, http_problem *p) {
  if (++c->trailers > TRAILER_BYTES) return http_wrong(p, 431, "more than %d bytes of trailers", TRAILER_BYTES);
  bool name = head_is_token(byte);
  if (c->state == TRAILER && byte == '\r') c->state = END_LF;
  else if (c->state == TRAILER && name) c->state = TRAILER_NAME;
  else if (c->state == TRAILER_NAME && byte == ':') c->state = TRAILER_VALUE;
  else if (c->state == TRAILER_VALUE && byte == '\r') c->state = TRAILER_LF;
  else if (!(c->state == TRAILER_NAME && name) && !(c->state == TRAILER_VALUE && head_is_text(byte)))
    return http_wrong(p, 400, "a trailer: expected NAME: VALUE, found byte 0x%02x", (unsigned char)byte);
  return true;
}

// Line ends and the first byte of what follows them.
static bool in_framing(chunked *c, char byte, size_t max_chunks, http_problem *p) {
  if (byte != (c->state == DATA_CR ? '\r' : '\n'))
    return http_wrong(p, 400, "chunk %zu: expected CR LF, found byte 0x%02x", c->chunks, (unsigned char)byte);
  if (c->state == SIZE_LF) {
    c->state = c->left ? DATA : TRAILER;
    c->digits = c->line = 0;
    if (++c->chunks > max_chunks)
      return http_wrong(p, 413, "the body comes in more than %zu chunks (limit max-chunks)", max_chunks);
  } else {
    c->state = c->state == DATA_CR ? DATA_LF : c->state == DATA_LF ? SIZE : TRAILER;
  }
  return true;
}

chunked_event chunked_read(chunked *c, const char **at, const char *end, size_t max_chunks, str *data,
                           http_problem *p) {
  while (*at < end) {
    if (c->state == DATA) {
      size_t here = (size_t)(end - *at);
      *data = (str){*at, here < c->left ? here : (size_t)c->left};
      *at += data->size;
      c->left -= data->size;
      if (!c->left) c->state = DATA_CR;
      return CHUNKED_DATA;
    }
    char byte = *(*at)++;
    if (c->state == END_LF && byte == '\n') return CHUNKED_END;
    bool good = c->state == SIZE                                   ? in_size(c, byte, p)
                : c->state == EXTENSION                            ? in_extension(c, byte, p)
                : c->state >= TRAILER && c->state <= TRAILER_VALUE ? in_trailer(c, byte, p)
                                                                   : in_framing(c, byte, max_chunks, p);
    if (!good) return CHUNKED_WRONG;
  }
  return CHUNKED_MORE;
}
