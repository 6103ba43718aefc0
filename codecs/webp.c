// SPDX-License-Identifier: Apache-2.0
// WebP by libwebp, lossy and lossless; no animations.
#include <stdlib.h>
#include <webp/decode.h>

#include "codecs/codec.h"

static bool decode(picture *p) {
  WebPBitstreamFeatures features;
  if (WebPGetFeatures(p->bytes, p->size, &features) != VP8_STATUS_OK) return picture_fail(p, "the header is broken");
  if (features.has_animation) return picture_fail(p, "animations are not decoded");
  size_t width = (size_t)features.width, height = (size_t)features.height, bytes = width * height * 4;
  if (!picture_begin(p, width, height, 2 * bytes + (1 << 20))) return false;  // the lossless decoder keeps one more
  uint8_t *pixels = picture_memory(p, bytes);
  bool ok = pixels && (WebPDecodeRGBAInto(p->bytes, p->size, pixels, bytes, (int)width * 4) ||
                       picture_fail(p, "the pixels are broken or end early"));
  for (size_t y = 0; ok && y < height; y++) ok = picture_row(p, y, pixels + y * width * 4, 4);
  free(pixels);
  return ok;
}

CODEC(webp) = {"WebP", decode};
