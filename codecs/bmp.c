// SPDX-License-Identifier: Apache-2.0
// BMP of all header versions: palettes of 1, 4 and 8 bits (plain or run-length coded), 16, 24 and 32 bits
// with or without bit masks, bottom-up or top-down.
#include <stdlib.h>
#include <string.h>

#include "codecs/codec.h"

enum { PLAIN = 0, RLE8 = 1, RLE4 = 2, MASKS = 3, ALPHA_MASKS = 6 };

typedef struct header {
  size_t width, height;
  bool top_down;
  uint32_t bits, coding;
  uint32_t masks[4];  // red, green, blue, alpha
  uint8_t palette[256][3];
  const uint8_t *from;  // pixels
  size_t left;          // bytes there
} header;

static bool read_palette(picture *p, header *h, size_t at, size_t entry_bytes) {
  uint32_t used = entry_bytes == 4 ? read_le32(p->bytes + 46) : 0, most = 1u << h->bits;
  size_t count = used && used < most ? used : most;
  for (size_t i = 0; i < count && at + entry_bytes <= p->size; i++, at += entry_bytes)
    for (int c = 0; c < 3; c++) h->palette[i][c] = p->bytes[at + 2 - (size_t)c];
  return true;
}

static bool read_header(picture *p, header *h) {
  if (p->size < 26) return picture_fail(p, "the header ends early");
  uint32_t offset = read_le32(p->bytes + 10), header_bytes = read_le32(p->bytes + 14);
  bool old = header_bytes == 12;
  if ((!old && header_bytes < 40) || header_bytes > 4096 || p->size < 14 + (size_t)header_bytes)
    return picture_fail(p, "a header of %u bytes", header_bytes);
  int64_t width = old ? (int64_t)read_le16(p->bytes + 18) : (int32_t)read_le32(p->bytes + 18);
  int64_t height = old ? (int64_t)read_le16(p->bytes + 20) : (int32_t)read_le32(p->bytes + 22);
  if (width <= 0 || !height) return picture_fail(p, "%lld x %lld pixels", (long long)width, (long long)height);
  h->width = (size_t)width;
  h->height = (size_t)(height < 0 ? -height : height);
  h->top_down = height < 0;
  h->bits = read_le16(p->bytes + (old ? 24 : 28));
  h->coding = old ? PLAIN : read_le32(p->bytes + 30);
  size_t after = 14 + (size_t)header_bytes;
  if (h->coding == MASKS || h->coding == ALPHA_MASKS) {
    size_t count = h->coding == ALPHA_MASKS || header_bytes >= 56 ? 4 : 3;
    if (p->size < 54 + 4 * count) return picture_fail(p, "the bit masks are missing");
    for (size_t i = 0; i < count; i++) h->masks[i] = read_le32(p->bytes + 54 + 4 * i);
    if (header_bytes < 52) after += 4 * count;
  } else if (h->bits == 16) {
    memcpy(h->masks, (uint32_t[]){0x7c00, 0x3e0, 0x1f, 0}, sizeof h->masks);
  } else {
    memcpy(h->masks, (uint32_t[]){0xff0000, 0xff00, 0xff, 0}, sizeof h->masks);
  }
  bool palette = h->bits == 1 || h->bits == 4 || h->bits == 8, wide = h->bits == 16 || h->bits == 32;
  bool known = h->coding == PLAIN  ? palette || wide || h->bits == 24
               : h->coding == RLE8 ? h->bits == 8
               : h->coding == RLE4 ? h->bits == 4
                                   : (h->coding == MASKS || h->coding == ALPHA_MASKS) && wide;
  if (!known) return picture_fail(p, "%u bits a pixel with coding %u are not decoded", h->bits, h->coding);
  if (offset > p->size) return picture_fail(p, "the pixels lie behind the end of the file");
  h->from = p->bytes + offset;
  h->left = p->size - offset;
  return !palette || read_palette(p, h, after, old ? 3 : 4);
}

static uint8_t masked(uint32_t v, uint32_t mask) {
  if (!mask) return 0;
  uint32_t most = mask >> __builtin_ctz(mask), value = (v & mask) >> __builtin_ctz(mask);
  return (uint8_t)(((uint64_t)value * 255 + most / 2) / most);
}

// A row of plain pixels as RGB or RGBA.
static void read_row(const header *h, const uint8_t *from, uint8_t *to, size_t channels) {
  for (size_t x = 0; x < h->width; x++, to += channels) {
    if (h->bits <= 8) {
      uint32_t per = 8 / h->bits, shift = 8 - h->bits - (uint32_t)(x % per) * h->bits;
      memcpy(to, h->palette[from[x / per] >> shift & ((1u << h->bits) - 1)], 3);
    } else if (h->bits == 24) {
      to[0] = from[3 * x + 2], to[1] = from[3 * x + 1], to[2] = from[3 * x];
    } else {
      uint32_t v = h->bits == 16 ? read_le16(from + 2 * x) : read_le32(from + 4 * x);
      for (size_t c = 0; c < channels; c++) to[c] = masked(v, h->masks[c]);
    }
  }
}

// Run-length codes into one palette index a pixel, rows bottom first; pixels that are skipped are 0.
static bool unpack(picture *p, const header *h, uint8_t *to) {
  const uint8_t *at = h->from, *end = h->from + h->left;
  size_t x = 0, y = 0;
  bool nibbles = h->coding == RLE4;
  while (y < h->height) {
    if (end - at < 2) return picture_fail(p, "the pixels end early");
    size_t count = at[0], value = at[1];
    at += 2;
    if (!count && value <= 1) {  // end of the row, of the picture
      if (value == 1) return true;
      x = 0, y++;
      continue;
    }
    if (!count && value == 2) {  // a step to the right and up
      if (end - at < 2) return picture_fail(p, "the pixels end early");
      x += at[0], y += at[1];
      at += 2;
      continue;
    }
    const uint8_t *literal = count ? NULL : at;
    if (literal) {
      count = value;
      size_t bytes = nibbles ? (count + 1) / 2 : count;
      bytes += bytes % 2;
      if ((size_t)(end - at) < bytes) return picture_fail(p, "the pixels end early");
      at += bytes;
    }
    for (size_t i = 0; i < count; i++, x++) {
      size_t pair = !literal ? value : literal[nibbles ? i / 2 : i];
      if (x < h->width) to[y * h->width + x] = (uint8_t)(!nibbles ? pair : i % 2 ? pair & 15 : pair >> 4);
    }
  }
  return true;
}

static bool read_packed(picture *p, header *h) {
  uint8_t *indices = calloc(h->width, h->height), *row = picture_memory(p, 3 * h->width);
  bool ok = row && (indices || picture_fail_as(p, SDX_NO_MEMORY, "no memory")) && unpack(p, h, indices);
  h->bits = 8;
  for (size_t y = 0; ok && y < h->height; y++) {
    read_row(h, indices + y * h->width, row, 3);
    ok = picture_row(p, h->top_down ? y : h->height - 1 - y, row, 3);
  }
  free(indices);
  free(row);
  return ok;
}

static bool decode(picture *p) {
  header h = {0};
  if (!read_header(p, &h)) return false;
  size_t channels = h.masks[3] ? 4 : 3;
  if (h.coding == RLE8 || h.coding == RLE4)
    return picture_begin(p, h.width, h.height, h.width * h.height + 3 * h.width) && read_packed(p, &h);
  size_t stride = (h.width * h.bits + 31) / 32 * 4;
  size_t least = (h.width * h.bits + 7) / 8;  // the padding of the last row may be missing
  if (h.left < least || (h.left - least) / stride < h.height - 1)
    return picture_fail(p, "%zu x %zu pixels do not fit into %zu bytes", h.width, h.height, h.left);
  if (!picture_begin(p, h.width, h.height, h.width * channels)) return false;
  uint8_t *row = picture_memory(p, h.width * channels);
  bool ok = row != NULL;
  for (size_t y = 0; ok && y < h.height; y++) {
    read_row(&h, h.from + y * stride, row, channels);
    ok = picture_row(p, h.top_down ? y : h.height - 1 - y, row, channels);
  }
  free(row);
  return ok;
}

CODEC(bmp) = {"BMP", decode};
