// SPDX-License-Identifier: Apache-2.0
// TIFF by libtiff: the first picture of the file, any kind its RGBA interface knows, turned upright by the
// orientation tag. Samples of 16 bits lose the lower 8; colours come multiplied by alpha.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <tiffio.h>

#include "codecs/codec.h"

enum { MAX_BLOCK_BYTES = 512 << 20 };  // one allocation of the library

typedef struct reading {
  picture *p;
  uint64_t at;
} reading;

static tmsize_t read_bytes(thandle_t handle, void *to, tmsize_t count) {
  reading *r = handle;
  uint64_t left = r->at < r->p->size ? r->p->size - r->at : 0;
  if (count < 0) return 0;
  if ((uint64_t)count > left) count = (tmsize_t)left;
  if (count) memcpy(to, r->p->bytes + r->at, (size_t)count);
  r->at += (uint64_t)count;
  return count;
}
static tmsize_t write_bytes(thandle_t handle, void *from, tmsize_t count) { return -1; }
static toff_t seek(thandle_t handle, toff_t to, int whence) {
  reading *r = handle;
  r->at = whence == SEEK_SET ? to : whence == SEEK_CUR ? r->at + to : r->p->size + to;
  return r->at;
}
static int close_file(thandle_t handle) { return 0; }
static toff_t size_of(thandle_t handle) { return ((reading *)handle)->p->size; }

#if TIFFLIB_VERSION >= 20221213  // 4.5: reports and limits belong to the handle
static int on_error(TIFF *tiff, void *context, const char *module, const char *format, va_list list) {
  char text[PICTURE_MESSAGE];
  vsnprintf(text, sizeof text, format, list);
  picture_fail(((reading *)context)->p, "%s", text);
  return 1;
}
static int on_warning(TIFF *tiff, void *context, const char *module, const char *format, va_list list) { return 1; }

static TIFF *open_file(reading *r) {
  TIFFOpenOptions *options = TIFFOpenOptionsAlloc();
  if (!options) return NULL;
  TIFFOpenOptionsSetMaxSingleMemAlloc(options, MAX_BLOCK_BYTES);
  TIFFOpenOptionsSetErrorHandlerExtR(options, on_error, r);
  TIFFOpenOptionsSetWarningHandlerExtR(options, on_warning, r);
  TIFF *tiff = TIFFClientOpenExt("", "rm", r, read_bytes, write_bytes, seek, close_file, size_of, NULL, NULL, options);
  TIFFOpenOptionsFree(options);
  return tiff;
}
#else  // they belong to the process: silence is all that is safe between threads
static TIFF *open_file(reading *r) {
  TIFFSetErrorHandler(NULL);
  TIFFSetWarningHandler(NULL);
  return TIFFClientOpen("", "rm", r, read_bytes, write_bytes, seek, close_file, size_of, NULL, NULL);
}
#endif

static bool read_all(picture *p, TIFF *tiff) {
  uint32_t width = 0, height = 0;
  uint16_t samples = 1;
  char text[1024] = "the kind of picture is not known";
  if (!TIFFGetField(tiff, TIFFTAG_IMAGEWIDTH, &width) || !TIFFGetField(tiff, TIFFTAG_IMAGELENGTH, &height))
    return picture_fail(p, "width or height is missing");
  TIFFGetFieldDefaulted(tiff, TIFFTAG_SAMPLESPERPIXEL, &samples);
  if (!TIFFRGBAImageOK(tiff, text)) return picture_fail(p, "%s", text);
  uint64_t block = TIFFIsTiled(tiff) ? TIFFTileSize64(tiff) : TIFFStripSize64(tiff);
  if (!block || block > MAX_BLOCK_BYTES || !samples || samples > 64)
    return picture_fail(p, "a strip or tile of %llu bytes, %u samples", (unsigned long long)block, samples);
  if (!picture_begin(p, width, height, (size_t)4 * width * height + (size_t)block * (samples + 1u))) return false;
  uint32_t *pixels = picture_memory(p, (size_t)4 * width * height);
  bool ok = pixels && (TIFFReadRGBAImageOriented(tiff, width, height, pixels, ORIENTATION_TOPLEFT, 1) ||
                       picture_fail(p, "the pixels are broken or end early"));
  for (size_t y = 0; ok && y < height; y++) {
    uint32_t *row = pixels + y * width;
    for (size_t x = 0; x < width; x++) {  // in place: a number becomes four bytes
      uint32_t v = row[x];
      memcpy(row + x, (uint8_t[]){TIFFGetR(v), TIFFGetG(v), TIFFGetB(v), TIFFGetA(v)}, 4);
    }
    ok = picture_row(p, y, (uint8_t *)row, 4);
  }
  free(pixels);
  return ok;
}

static bool decode(picture *p) {
  reading r = {.p = p};
  TIFF *tiff = open_file(&r);
  if (!tiff) return picture_fail(p, "the header is broken");
  bool ok = read_all(p, tiff);
  TIFFClose(tiff);
  return ok;
}

CODEC(tiff) = {"TIFF", decode};
