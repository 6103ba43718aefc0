// SPDX-License-Identifier: Apache-2.0
// How a format is written: one file that ends in a CODEC record, found by scanning. It reads the header,
// calls picture_begin, and hands every row over with picture_row, as 8-bit grey, grey + alpha, RGB or RGBA;
// picture.c turns that into what the caller wants. Nothing in a file is believed.
#pragma once

#include "codecs/codecs.h"

typedef struct picture {
  const uint8_t *bytes;
  size_t size;
  size_t width, height;  // after picture_begin
  const picture_target *target;
  uint8_t *pixels;
  const char *format;
  sdx_status status;  // the first failure
  char *message;
} picture;

typedef struct codec {
  const char *format;  // as in base/pictures.def
  bool (*decode)(picture *p);
} codec;

#define CODEC(id) const codec codec_##id
extern const codec *const codecs[];  // generated, ends with NULL

// Both return false, to be returned; the first failure is kept. picture_fail: the file is broken.
bool picture_fail(picture *p, const char *format, ...) __attribute__((format(printf, 2, 3)));
bool picture_fail_as(picture *p, sdx_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));

// The size of the picture, and the bytes the codec will hold at most while it decodes. False: refused.
bool picture_begin(picture *p, size_t width, size_t height, size_t work_bytes);
// Row y, top first, in any order; 1 to 4 channels. False: stop.
bool picture_row(picture *p, size_t y, const uint8_t *samples, size_t channels);
bool picture_go_on(picture *p);
// malloc, or a failure of the picture.
void *picture_memory(picture *p, size_t bytes);

// Little- and big-endian numbers at `at`, which the caller has checked.
static inline uint32_t read_le16(const uint8_t *at) { return (uint32_t)at[0] | (uint32_t)at[1] << 8; }
static inline uint32_t read_le32(const uint8_t *at) { return read_le16(at) | read_le16(at + 2) << 16; }
static inline uint32_t read_be16(const uint8_t *at) { return (uint32_t)at[0] << 8 | at[1]; }
static inline uint32_t read_be32(const uint8_t *at) { return read_be16(at) << 16 | read_be16(at + 2); }
