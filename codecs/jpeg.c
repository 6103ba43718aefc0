// SPDX-License-Identifier: Apache-2.0
// JPEG by libjpeg(-turbo) with its defaults: accurate integer DCT, "fancy" chroma upsampling as ONNX asks.
// Grey stays grey, CMYK (as Adobe writes it, inverted) becomes RGB. Orientation in EXIF is not applied.
#include <stddef.h>
#include <stdio.h>

#include <jerror.h>
#include <jpeglib.h>
#include <setjmp.h>
#include <stdlib.h>

#include "codecs/codec.h"

enum { MAX_SCANS = 500 };  // each scan of a progressive file costs a walk over the picture

typedef struct reading {  // outlives the frame that setjmp marks
  struct jpeg_decompress_struct info;
  struct jpeg_error_mgr errors;
  struct jpeg_progress_mgr progress;
  jmp_buf back;
  picture *p;
  uint8_t *row;
} reading;

static reading *of(j_common_ptr info) { return (reading *)((char *)info - offsetof(reading, info)); }

static void on_error(j_common_ptr info) {
  char text[JMSG_LENGTH_MAX];
  info->err->format_message(info, text);
  picture_fail(of(info)->p, "%s", text);
  longjmp(of(info)->back, 1);
}

// A file that ends early is broken; what else the library warns of it has repaired as everybody does.
static void on_message(j_common_ptr info, int level) {
  if (level < 0 && info->err->msg_code == JWRN_JPEG_EOF) on_error(info);
}

static void on_progress(j_common_ptr info) {
  reading *r = of(info);
  if (r->info.input_scan_number > MAX_SCANS) picture_fail(r->p, "more than %d scans", MAX_SCANS);
  else if (picture_go_on(r->p)) return;
  longjmp(r->back, 1);
}

static void cmyk_to_rgb(uint8_t *row, size_t width, bool inverted) {
  for (size_t x = 0; x < width; x++) {
    uint8_t *from = row + 4 * x, *to = row + 3 * x;
    uint32_t k = inverted ? from[3] : 255u - from[3];
    for (int c = 0; c < 3; c++) to[c] = (uint8_t)(((inverted ? from[c] : 255u - from[c]) * k + 127) / 255);
  }
}

static bool read_all(reading *r) {
  picture *p = r->p;
  struct jpeg_decompress_struct *info = &r->info;
  if (setjmp(r->back)) return false;
  jpeg_create_decompress(info);
  info->progress = &r->progress;
  jpeg_mem_src(info, p->bytes, p->size);
  jpeg_read_header(info, TRUE);
  bool grey = info->jpeg_color_space == JCS_GRAYSCALE;
  bool cmyk = info->jpeg_color_space == JCS_CMYK || info->jpeg_color_space == JCS_YCCK;
  info->out_color_space = grey ? JCS_GRAYSCALE : cmyk ? JCS_CMYK : JCS_RGB;
  // Several scans: coefficients of 16 bits are kept for the whole picture, padded to blocks.
  size_t width = info->image_width, height = info->image_height;
  size_t kept = jpeg_has_multiple_scans(info) ? (width + 64) * (height + 64) * 2 * (size_t)info->num_components : 0;
  if (!picture_begin(p, width, height, kept + 256 * width)) return false;
  jpeg_start_decompress(info);
  size_t channels = (size_t)info->output_components;
  r->row = picture_memory(p, width * channels);
  if (!r->row) return false;
  while (info->output_scanline < info->output_height) {
    size_t y = info->output_scanline;
    JSAMPROW rows[1] = {r->row};
    jpeg_read_scanlines(info, rows, 1);
    if (cmyk) cmyk_to_rgb(r->row, width, info->saw_Adobe_marker);
    if (!picture_row(p, y, r->row, grey ? 1 : 3)) return false;
  }
  return true;
}

static bool decode(picture *p) {
  reading r = {.p = p};
  r.info.err = jpeg_std_error(&r.errors);
  r.errors.error_exit = on_error;
  r.errors.emit_message = on_message;
  r.progress.progress_monitor = on_progress;
  bool ok = read_all(&r);
  jpeg_destroy_decompress(&r.info);
  free(r.row);
  return ok;
}

CODEC(jpeg) = {"JPEG", decode};
