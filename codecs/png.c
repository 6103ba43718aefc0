// SPDX-License-Identifier: Apache-2.0
// PNG by libpng: any colour type and depth to 8 bits (of 16 the upper ones), palettes and transparent
// colours expanded. Gamma and colour profiles are not applied.
#include <png.h>
#include <setjmp.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/codec.h"

typedef struct reading {  // outlives the frame that setjmp marks
  picture *p;
  size_t at;
  png_structp png;
  png_infop info;
  uint8_t *rows;  // one, or all where they are interlaced
} reading;

static void on_error(png_structp png, png_const_charp text) {
  reading *r = png_get_error_ptr(png);
  picture_fail(r->p, "%s", text);
  png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp text) { (void)png, (void)text; }

static void read_bytes(png_structp png, png_bytep to, size_t count) {
  reading *r = png_get_io_ptr(png);
  if (count > r->p->size - r->at) png_error(png, "the file ends early");
  memcpy(to, r->p->bytes + r->at, count);
  r->at += count;
}

static bool read_all(reading *r) {
  picture *p = r->p;
  if (setjmp(png_jmpbuf(r->png))) return false;
  png_set_read_fn(r->png, r, read_bytes);
  png_set_user_limits(r->png, 0x7fffffff, 0x7fffffff);  // picture_begin says it better
  png_set_chunk_malloc_max(r->png, 8 << 20);
  png_set_chunk_cache_max(r->png, 64);
  png_read_info(r->png, r->info);
  png_set_expand(r->png);
  png_set_strip_16(r->png);
  int passes = png_set_interlace_handling(r->png);
  size_t width = png_get_image_width(r->png, r->info), height = png_get_image_height(r->png, r->info);
  size_t most = 8 * width;  // four channels of 16 bits
  if (!picture_begin(p, width, height, (passes > 1 ? height + 3 : 4) * most)) return false;
  png_read_update_info(r->png, r->info);
  size_t row_bytes = png_get_rowbytes(r->png, r->info), channels = png_get_channels(r->png, r->info);
  r->rows = picture_memory(p, passes > 1 ? height * row_bytes : row_bytes);
  if (!r->rows) return false;
  for (int pass = 0; pass < passes; pass++)
    for (size_t y = 0; y < height; y++) {
      uint8_t *row = r->rows + (passes > 1 ? y * row_bytes : 0);
      png_read_row(r->png, row, NULL);
      if (pass + 1 == passes ? !picture_row(p, y, row, channels) : y % 64 == 63 && !picture_go_on(p)) return false;
    }
  return true;
}

static bool decode(picture *p) {
  reading r = {.p = p};
  r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
  r.info = r.png ? png_create_info_struct(r.png) : NULL;
  bool ok = r.info ? read_all(&r) : picture_fail_as(p, SDX_NO_MEMORY, "no memory");
  png_destroy_read_struct(&r.png, &r.info, NULL);
  free(r.rows);
  return ok;
}

CODEC(png) = {"PNG", decode};
