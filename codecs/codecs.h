// SPDX-License-Identifier: Apache-2.0
// Encoded pictures (PNG, JPEG, JPEG 2000, TIFF, WebP, BMP, PNM) to pixels, for clients of the engine: the
// engine itself depends on no codec. A caller says where pixels go once the size is known, so that they can
// be decoded straight into a tensor and be refused before memory is taken. Nothing here has state: any
// number of threads may decode at once. Read next: codec.h (how a format is written), operator.c.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "sardonyx/sardonyx.h"

typedef enum picture_layout { PICTURE_GREY, PICTURE_RGB, PICTURE_BGR, PICTURE_RGBA } picture_layout;

typedef struct picture_target {
  picture_layout layout;  // grey is 0.299 R + 0.587 G + 0.114 B
  bool over_black;        // transparent pixels show black; else alpha is dropped (RGBA keeps it)
  void *context;
  // Called once, after the header and before anything of the picture's size is allocated or decoded.
  // Returns height * width * channels bytes, row-major; NULL refuses. `work_bytes` is what the codec will
  // hold besides (of libraries: an upper estimate).
  uint8_t *(*place)(void *context, size_t height, size_t width, size_t channels, size_t work_bytes);
  size_t *channels;              // of the picture itself: set while it is decoded; may be NULL
  bool (*go_on)(void *context);  // asked now and then; false stops. NULL: never
} picture_target;

// What the first bytes say: "PNG", "JPEG", ... or NULL.
const char *picture_format(const void *bytes, size_t size);

enum { PICTURE_MESSAGE = 300 };

// SDX_INVALID_ARGUMENT: not a picture, or a broken one; what was placed then holds anything.
// SDX_NOT_SUPPORTED: the codec is not part of this build. SDX_LIMIT_EXCEEDED: more than 2^27 pixels or 65535
// a side. SDX_NO_MEMORY: `place` refused, or the codec found no memory. SDX_CANCELLED: `go_on` said so.
// `message` then says what, where the format is known with its name in front.
sdx_status picture_decode(const void *bytes, size_t size, const picture_target *target, char message[PICTURE_MESSAGE]);

// Whether a file is called like a picture, ".PNG" included.
bool picture_has_ending(const char *path);

// Lets models loaded with these options use ImageDecoder.
sdx_status codecs_add_operator(sdx_options *options);
