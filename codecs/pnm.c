// SPDX-License-Identifier: Apache-2.0
// Netpbm: P1 to P6 (bits, grey, RGB; as text or bytes) and P7 (PAM) with one to four channels. Values are
// scaled from their declared maximum, up to 65535, to 255.
#include <stdlib.h>
#include <string.h>

#include "codecs/codec.h"

typedef struct reader {
  picture *p;
  size_t at;
} reader;

static bool is_space(uint8_t c) { return c == ' ' || (c >= '\t' && c <= '\r'); }

static void skip_line(reader *r) {
  while (r->at < r->p->size && r->p->bytes[r->at] != '\n') r->at++;
}

// Blanks and comments up to the next word.
static void skip_blanks(reader *r) {
  for (; r->at < r->p->size; r->at++) {
    if (r->p->bytes[r->at] == '#') skip_line(r);
    if (r->at == r->p->size || !is_space(r->p->bytes[r->at])) return;
  }
}

static bool read_number(reader *r, uint32_t most, uint32_t *value) {
  skip_blanks(r);
  size_t start = r->at;
  uint32_t v = 0;
  for (; r->at < r->p->size; r->at++) {
    uint32_t digit = (uint32_t)r->p->bytes[r->at] - '0';
    if (digit > 9) break;
    v = v * 10 + digit;
    if (v > most) return picture_fail(r->p, "a number at byte %zu is above %u", start, most);
  }
  *value = v;
  return r->at > start || picture_fail(r->p, "a number is missing at byte %zu", start);
}

typedef struct header {
  uint32_t width, height, channels, most;
  bool text, bits;
} header;

enum { SIDE = 99999999 };  // what a number of the header may be before picture_begin judges it

static bool read_header(reader *r, header *h) {
  int kind = r->p->bytes[1] - '0';
  *h = (header){.channels = kind == 3 || kind == 6 ? 3 : 1, .most = 1, .text = kind <= 3, .bits = kind == 4};
  return read_number(r, SIDE, &h->width) && read_number(r, SIDE, &h->height) &&
         (kind == 1 || kind == 4 || read_number(r, 65535, &h->most));
}

// "WIDTH 4" and its like, a line each, up to ENDHDR.
static bool read_pam_header(reader *r, header *h) {
  *h = (header){0};
  for (;;) {
    skip_blanks(r);
    const char *word = (const char *)r->p->bytes + r->at;
    size_t left = r->p->size - r->at, length = 0;
    while (length < left && !is_space((uint8_t)word[length])) length++;
    r->at += length;
    bool ok = true;
    if (length == 6 && !memcmp(word, "ENDHDR", 6)) return true;
    if (length == 5 && !memcmp(word, "WIDTH", 5)) ok = read_number(r, SIDE, &h->width);
    else if (length == 6 && !memcmp(word, "HEIGHT", 6)) ok = read_number(r, SIDE, &h->height);
    else if (length == 5 && !memcmp(word, "DEPTH", 5)) ok = read_number(r, 4, &h->channels);
    else if (length == 6 && !memcmp(word, "MAXVAL", 6)) ok = read_number(r, 65535, &h->most);
    else if (length == 8 && !memcmp(word, "TUPLTYPE", 8)) skip_line(r);
    else return picture_fail(r->p, "the header has no such word at byte %zu", r->at - length);
    if (!ok) return false;
  }
}

static uint8_t scale(uint32_t v, uint32_t most) { return (uint8_t)((v * 255 + most / 2) / most); }

static bool read_row(reader *r, const header *h, uint8_t *row) {
  const uint8_t *from = r->p->bytes + r->at;
  size_t count = (size_t)h->width * h->channels;
  if (h->text) {
    for (size_t i = 0; i < count; i++) {
      uint32_t v;
      bool ink = r->p->bytes[1] == '1';  // its digits may stand without blanks
      if (ink) {
        skip_blanks(r);
        v = r->at < r->p->size ? (uint32_t)r->p->bytes[r->at++] - '0' : 2;
        if (v > 1) return picture_fail(r->p, "expected 0 or 1 at byte %zu", r->at);
      } else if (!read_number(r, h->most, &v)) {
        return false;
      }
      row[i] = ink ? (uint8_t)(v ? 0 : 255) : scale(v, h->most);
    }
    return true;
  }
  size_t bytes = h->bits ? (count + 7) / 8 : h->most > 255 ? 2 * count : count;
  r->at += bytes;  // decode has seen that they are there
  for (size_t i = 0; i < count; i++) {
    if (h->bits) {
      row[i] = from[i / 8] >> (7 - i % 8) & 1 ? 0 : 255;
      continue;
    }
    uint32_t v = h->most > 255 ? read_be16(from + 2 * i) : from[i];
    if (v > h->most) return picture_fail(r->p, "a value of %u is above the maximum of %u", v, h->most);
    row[i] = scale(v, h->most);
  }
  return true;
}

static bool decode(picture *p) {
  reader r = {p, 2};
  header h;
  if (!(p->bytes[1] == '7' ? read_pam_header(&r, &h) : read_header(&r, &h))) return false;
  if (!h.most || !h.channels) return picture_fail(p, "the maximum or the number of channels is 0 or missing");
  if (r.at == p->size || !is_space(p->bytes[r.at])) return picture_fail(p, "the header ends early");
  if (!h.text) r.at++;  // one blank, then bytes
  size_t count = (size_t)h.width * h.channels, row_bytes = h.bits ? (count + 7) / 8 : h.most > 255 ? 2 * count : count;
  size_t least = h.text ? count : row_bytes;  // in text a value has a digit at least
  if ((p->size - r.at) / (least ? least : 1) < h.height)
    return picture_fail(p, "%u x %u pixels do not fit into %zu bytes", h.width, h.height, p->size - r.at);
  if (!picture_begin(p, h.width, h.height, count)) return false;
  uint8_t *row = picture_memory(p, count);
  bool ok = row != NULL;
  for (size_t y = 0; ok && y < h.height; y++) ok = read_row(&r, &h, row) && picture_row(p, y, row, h.channels);
  free(row);
  return ok;
}

CODEC(pnm) = {"PNM", decode};
