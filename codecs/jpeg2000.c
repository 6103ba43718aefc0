// SPDX-License-Identifier: Apache-2.0
// JPEG 2000 by OpenJPEG, as a .jp2 file or a bare codestream. The library allocates by what the header
// claims while it reads it, so size and tiles are read here first. Profiles are not applied.
#include <openjpeg.h>
#include <stdlib.h>
#include <string.h>

#include "codecs/codec.h"

enum { TILE_BYTES = 8192, MAX_TILES = 4096 };  // what the library keeps for a tile before it reads it

typedef struct reading {
  picture *p;
  size_t at;
} reading;

static OPJ_SIZE_T read_bytes(void *to, OPJ_SIZE_T count, void *context) {
  reading *r = context;
  size_t left = r->p->size - r->at;
  if (!left) return (OPJ_SIZE_T)-1;
  if (count > left) count = left;
  memcpy(to, r->p->bytes + r->at, count);
  r->at += count;
  return count;
}
static OPJ_OFF_T skip(OPJ_OFF_T count, void *context) {
  reading *r = context;
  size_t left = r->p->size - r->at;
  if (count < 0) return -1;
  if ((uint64_t)count > left) count = (OPJ_OFF_T)left;
  r->at += (size_t)count;
  return count;
}
static OPJ_BOOL seek(OPJ_OFF_T to, void *context) {
  reading *r = context;
  if (to < 0 || (uint64_t)to > r->p->size) return OPJ_FALSE;
  r->at = (size_t)to;
  return OPJ_TRUE;
}

static void on_error(const char *text, void *context) {
  picture_fail(((reading *)context)->p, "%.*s", (int)strcspn(text, "\n"), text);
}

// Where the codestream begins: after the boxes of a .jp2 file. SIZE_MAX: nowhere. *palette: how many
// channels a palette makes of one; 0 without.
static size_t find_codestream(const picture *p, size_t *palette) {
  *palette = 0;
  if (p->bytes[0] == 0xff) return 0;
  for (size_t at = 0; p->size - at >= 16;) {
    const uint8_t *box = p->bytes + at;
    uint64_t length = read_be32(box), head = 8;
    if (length == 1) length = (uint64_t)read_be32(box + 8) << 32 | read_be32(box + 12), head = 16;
    if (!memcmp(box + 4, "jp2c", 4)) return at + head;
    if (length < head || length > p->size - at) break;
    if (!memcmp(box + 4, "pclr", 4)) *palette = box[10];
    at += (size_t)(memcmp(box + 4, "jp2h", 4) ? length : head);  // the boxes inside of a header follow it
  }
  return SIZE_MAX;
}

typedef struct claims {
  size_t width, height, channels, work_bytes;
} claims;

static bool read_claims(picture *p, claims *c) {
  size_t palette, at = find_codestream(p, &palette);
  if (at > p->size || p->size - at < 42 || memcmp(p->bytes + at, "\xff\x4f\xff\x51", 4))
    return picture_fail(p, "there is no codestream");
  const uint8_t *siz = p->bytes + at + 8;
  uint32_t v[8];  // x1 y1 x0 y0, tile width and height, tile offset
  for (int i = 0; i < 8; i++) v[i] = read_be32(siz + 4 * i);
  c->channels = read_be16(siz + 32);
  if (v[0] <= v[2] || v[1] <= v[3] || !v[4] || !v[5] || v[6] > v[2] || v[7] > v[3] || !c->channels)
    return picture_fail(p, "the sizes in the header contradict each other");
  if (palette > c->channels) c->channels = palette;
  if (c->channels > 4) return picture_fail(p, "%zu channels; at most 4 are decoded", c->channels);
  c->width = v[0] - v[2];
  c->height = v[1] - v[3];
  uint64_t tiles = (((uint64_t)v[0] - v[6] + v[4] - 1) / v[4]) * (((uint64_t)v[1] - v[7] + v[5] - 1) / v[5]);
  if (tiles > MAX_TILES)
    return picture_fail_as(p, SDX_LIMIT_EXCEEDED, "%llu tiles; at most %d are decoded", (unsigned long long)tiles,
                           MAX_TILES);
  // Samples of 32 bits, once in the tile and once in the picture.
  c->work_bytes = (size_t)tiles * TILE_BYTES + c->width * c->height * c->channels * 8 + 4 * c->width;
  return true;
}

// Sample of component `c` at a pixel of the picture, as 0 to 255.
static int sample(const opj_image_t *image, const opj_image_comp_t *c, size_t x, size_t y) {
  size_t cx = x / c->dx, cy = y / c->dy;
  if (cx >= c->w) cx = c->w - 1;
  if (cy >= c->h) cy = c->h - 1;
  int64_t v = c->data[cy * c->w + cx];
  if (c->sgnd) v += (int64_t)1 << (c->prec - 1);
  v = c->prec > 8 ? v >> (c->prec - 8) : c->prec < 8 ? v * 255 / ((1 << c->prec) - 1) : v;
  return v < 0 ? 0 : v > 255 ? 255 : (int)v;
}

static uint8_t clamp(double v) { return v < 0 ? 0 : v > 255 ? 255 : (uint8_t)(v + 0.5); }

static void ycc_to_rgb(uint8_t *at) {
  double y = at[0], b = at[1] - 128., r = at[2] - 128.;
  at[0] = clamp(y + 1.402 * r);
  at[1] = clamp(y - 0.344136 * b - 0.714136 * r);
  at[2] = clamp(y + 1.772 * b);
}

static bool emit(picture *p, const opj_image_t *image) {
  size_t channels = image->numcomps;
  if (!channels || channels > 4) return picture_fail(p, "%zu channels after decoding", channels);
  for (size_t i = 0; i < channels; i++) {
    const opj_image_comp_t *c = &image->comps[i];
    if (!c->data || !c->w || !c->h || !c->dx || !c->dy || !c->prec || c->prec > 31)
      return picture_fail(p, "channel %zu is empty or has an unusual depth", i);
  }
  bool ycc = channels >= 3 && image->color_space == OPJ_CLRSPC_SYCC;
  uint8_t *row = picture_memory(p, p->width * channels);
  bool ok = row != NULL;
  for (size_t y = 0; ok && y < p->height; y++) {
    for (size_t x = 0; x < p->width; x++) {
      uint8_t *at = row + x * channels;
      for (size_t i = 0; i < channels; i++) at[i] = (uint8_t)sample(image, &image->comps[i], x, y);
      if (ycc) ycc_to_rgb(at);
    }
    ok = picture_row(p, y, row, channels);
  }
  free(row);
  return ok;
}

static bool read_all(reading *r, opj_codec_t *codec, opj_stream_t *stream) {
  picture *p = r->p;
  opj_dparameters_t parameters;
  opj_image_t *image = NULL;
  opj_set_default_decoder_parameters(&parameters);
  opj_set_error_handler(codec, on_error, r);
  opj_stream_set_user_data(stream, r, NULL);
  opj_stream_set_user_data_length(stream, p->size);
  opj_stream_set_read_function(stream, read_bytes);
  opj_stream_set_skip_function(stream, skip);
  opj_stream_set_seek_function(stream, seek);
  bool ok = opj_setup_decoder(codec, &parameters) && opj_read_header(stream, codec, &image);
  if (ok && (image->x1 - image->x0 != p->width || image->y1 - image->y0 != p->height))
    ok = picture_fail(p, "two headers disagree");
  ok = ok && opj_decode(codec, stream, image) && opj_end_decompress(codec, stream) && emit(p, image);
  opj_image_destroy(image);
  return ok;
}

static bool decode(picture *p) {
  reading r = {.p = p};
  claims c = {0};
  if (!read_claims(p, &c) || !picture_begin(p, c.width, c.height, c.work_bytes)) return false;
  opj_codec_t *codec = opj_create_decompress(p->bytes[0] == 0xff ? OPJ_CODEC_J2K : OPJ_CODEC_JP2);
  opj_stream_t *stream = opj_stream_create(1 << 16, OPJ_TRUE);
  bool ok = codec && stream ? read_all(&r, codec, stream) : picture_fail_as(p, SDX_NO_MEMORY, "no memory");
  opj_stream_destroy(stream);
  opj_destroy_codec(codec);
  return ok;
}

CODEC(jpeg2000) = {"JPEG 2000", decode};
