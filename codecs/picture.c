// SPDX-License-Identifier: Apache-2.0
// What all formats share (codec.h): telling them apart by their first bytes, limits, and rows of any kind
// into the layout that is wanted.
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "codecs/codec.h"

// A picture of 60 bytes may claim any size, and a few kilobytes hold any number of pixels of one colour.
enum { MAX_SIDE = 65535, MAX_PIXELS = 1 << 27, FREE_PIXELS = 1 << 24, PIXELS_PER_BYTE = 256 };

enum { MAX_MAGICS = 8 };
static const struct {
  const char *name, *endings;
  struct {
    const char *bytes;  // NULL: no more
    size_t at, size;
  } magics[MAX_MAGICS];
} formats[] = {
#define MAGIC(at, bytes) {bytes, at, sizeof bytes - 1},
#define PICTURE(id, name, library, endings, ...) {name, endings, {__VA_ARGS__}},
#include "base/pictures.def"
};
enum { FORMATS = sizeof formats / sizeof *formats };

static bool fail_list(picture *p, sdx_status status, const char *format, va_list list) {
  if (p->status != SDX_OK) return false;
  p->status = status;
  int used = p->format ? snprintf(p->message, PICTURE_MESSAGE, "%s: ", p->format) : 0;
  vsnprintf(p->message + used, PICTURE_MESSAGE - (size_t)used, format, list);
  return false;
}

bool picture_fail(picture *p, const char *format, ...) {
  va_list list;
  va_start(list, format);
  fail_list(p, SDX_INVALID_ARGUMENT, format, list);
  va_end(list);
  return false;
}

bool picture_fail_as(picture *p, sdx_status status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  fail_list(p, status, format, list);
  va_end(list);
  return false;
}

void *picture_memory(picture *p, size_t bytes) {
  void *memory = malloc(bytes ? bytes : 1);
  if (!memory) picture_fail_as(p, SDX_NO_MEMORY, "no memory for %zu KiB", bytes >> 10);
  return memory;
}

static size_t channels_of(picture_layout layout) { return layout == PICTURE_GREY ? 1 : layout == PICTURE_RGBA ? 4 : 3; }

bool picture_begin(picture *p, size_t width, size_t height, size_t work_bytes) {
  if (!width || !height) return picture_fail(p, "the picture is %zu x %zu pixels", width, height);
  if (width > MAX_SIDE || height > MAX_SIDE || width * height > MAX_PIXELS)
    return picture_fail_as(p, SDX_LIMIT_EXCEEDED, "%zu x %zu pixels; at most %d a side and %d in all are decoded",
                           width, height, MAX_SIDE, MAX_PIXELS);
  if (width * height > FREE_PIXELS && width * height / PIXELS_PER_BYTE > p->size)
    return picture_fail_as(p, SDX_LIMIT_EXCEEDED, "%zu x %zu pixels in %zu bytes; at most %d pixels a byte are decoded",
                           width, height, p->size, PIXELS_PER_BYTE);
  p->width = width;
  p->height = height;
  p->pixels = p->target->place(p->target->context, height, width, channels_of(p->target->layout), work_bytes);
  return p->pixels || picture_fail_as(p, SDX_NO_MEMORY, "no memory for %zu x %zu pixels", width, height);
}

bool picture_go_on(picture *p) {
  return !p->target->go_on || p->target->go_on(p->target->context) ||
         picture_fail_as(p, SDX_CANCELLED, "decoding was stopped");
}

bool picture_row(picture *p, size_t y, const uint8_t *samples, size_t channels) {
  const picture_target *target = p->target;
  size_t wanted = channels_of(target->layout);
  uint8_t *to = p->pixels + y * p->width * wanted;
  if (target->channels) *target->channels = channels;
  for (size_t x = 0; x < p->width; x++, samples += channels, to += wanted) {
    bool colour = channels >= 3;
    uint8_t alpha = channels == 2 || channels == 4 ? samples[channels - 1] : 255;
    uint32_t r = samples[0], g = samples[colour ? 1 : 0], b = samples[colour ? 2 : 0];
    if (target->over_black && alpha < 255 && target->layout != PICTURE_RGBA) {
      r = (r * alpha + 127) / 255;
      g = (g * alpha + 127) / 255;
      b = (b * alpha + 127) / 255;
    }
    switch (target->layout) {
      case PICTURE_GREY:  // weights in 1/65536; they add up to 1, so grey stays as it is
        to[0] = (uint8_t)((r * 19595 + g * 38470 + b * 7471 + 32768) >> 16);
        break;
      case PICTURE_BGR:
        to[0] = (uint8_t)b, to[1] = (uint8_t)g, to[2] = (uint8_t)r;
        break;
      case PICTURE_RGB:
        to[0] = (uint8_t)r, to[1] = (uint8_t)g, to[2] = (uint8_t)b;
        break;
      case PICTURE_RGBA:
        to[0] = (uint8_t)r, to[1] = (uint8_t)g, to[2] = (uint8_t)b, to[3] = alpha;
        break;
    }
  }
  return y % 16 != 15 || picture_go_on(p);
}

static bool begins_as(const char *bytes, size_t size, size_t format) {
  for (size_t i = 0; i < MAX_MAGICS && formats[format].magics[i].bytes; i++) {
    size_t at = formats[format].magics[i].at, length = formats[format].magics[i].size;
    if (size >= at + length && !memcmp(bytes + at, formats[format].magics[i].bytes, length)) return true;
  }
  return false;
}

const char *picture_format(const void *bytes, size_t size) {
  for (size_t i = 0; i < FORMATS; i++)
    if (begins_as(bytes, size, i)) return formats[i].name;
  return NULL;
}

static bool fail_unknown(picture *p) {
  char names[PICTURE_MESSAGE] = "";
  for (size_t i = 0, used = 0; i < FORMATS && used < sizeof names; i++)
    used += (size_t)snprintf(names + used, sizeof names - used, "%s%s", i ? ", " : "", formats[i].name);
  return picture_fail(p, "the bytes begin like none of %s", names);
}

static bool decode(picture *p) {
  p->format = picture_format(p->bytes, p->size);
  if (!p->format) return fail_unknown(p);
  for (const codec *const *c = codecs; *c; c++)
    if (!strcmp((*c)->format, p->format)) return (*c)->decode(p) || picture_fail(p, "the picture is broken");
  return picture_fail_as(p, SDX_NOT_SUPPORTED,
                         "this build has no codec for it; install its library and configure again");
}

sdx_status picture_decode(const void *bytes, size_t size, const picture_target *target, char message[PICTURE_MESSAGE]) {
  picture p = {.bytes = bytes, .size = size, .target = target, .message = message};
  message[0] = 0;
  decode(&p);
  return p.status;
}

bool picture_has_ending(const char *path) {
  size_t length = strlen(path);
  for (size_t i = 0; i < FORMATS; i++)
    for (const char *ending = formats[i].endings; *ending;) {
      size_t size = strcspn(ending, " ");
      if (size <= length && !strncasecmp(path + length - size, ending, size)) return true;
      ending += size + (ending[size] == ' ');
    }
  return false;
}
