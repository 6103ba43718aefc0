// SPDX-License-Identifier: Apache-2.0
// FLAT: a picture of one grey. "FLAT", then width, height and the grey, a byte each.
#include "codecs/codec.h"

static bool decode(picture *p) {
  if (p->size != 7) return picture_fail(p, "%zu bytes, expected 7", p->size);
  if (!picture_begin(p, p->bytes[4], p->bytes[5], 256)) return false;
  uint8_t row[255];
  for (size_t x = 0; x < p->width; x++) row[x] = p->bytes[6];
  for (size_t y = 0; y < p->height; y++)
    if (!picture_row(p, y, row, 1)) return false;
  return true;
}

CODEC(flat) = {"FLAT", decode};
