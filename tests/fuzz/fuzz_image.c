// SPDX-License-Identifier: Apache-2.0
// Any bytes as a picture, in each layout: pixels or a message, and never more than was placed. The last byte
// chooses the layout, so that pictures of the corpus are files as they are.
#include <stdlib.h>

#include "codecs/codecs.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

enum { MOST = 1 << 20 };

static uint8_t *place(void *context, size_t height, size_t width, size_t channels, size_t work_bytes) {
  uint8_t **at = context;
  if (*at) abort();  // once
  *at = width * height * channels <= MOST && work_bytes <= 64 * MOST ? malloc(width * height * channels) : NULL;
  return *at;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  uint8_t *pixels = NULL, choice = size ? data[size - 1] : 0;
  picture_target target = {
      .layout = (picture_layout)(choice % 4), .over_black = choice & 4, .context = &pixels, .place = place};
  char message[PICTURE_MESSAGE];
  sdx_status status = picture_decode(data, size, &target, message);
  if ((status == SDX_OK) != !message[0] || (status == SDX_OK && !pixels)) abort();
  free(pixels);
  return 0;
}
