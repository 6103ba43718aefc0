// SPDX-License-Identifier: Apache-2.0
// Pictures as model inputs: decode (codecs/), grey or RGB, resize (triangle filter, which is
// bilinear when enlarging and averages when shrinking), scale and normalise, NCHW or NHWC.
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "cli/io.h"
#include "codecs/codecs.h"
#include "support/elements.h"

typedef struct decoded {
  size_t width, height, channels;  // 1 grey, 3 RGB, 4 RGBA
  size_t own_channels;             // before they were made so many
  unsigned char *pixels;
} decoded;

enum { MAX_SIDE = 1 << 15 };  // of what a picture is resized to

static uint8_t *place(void *context, size_t height, size_t width, size_t channels, size_t work_bytes) {
  decoded *p = context;
  *p = (decoded){width, height, channels, 0, malloc(height * width * channels)};
  return p->pixels;
}

static bool read_picture(const void *bytes, size_t size, size_t channels, decoded *p, why *w) {
  picture_target target = {.layout = channels == 1   ? PICTURE_GREY
                                     : channels == 4 ? PICTURE_RGBA
                                                     : PICTURE_RGB,
                           .over_black = true,
                           .context = p,
                           .channels = &p->own_channels,
                           .place = place};
  char message[PICTURE_MESSAGE];
  *p = (decoded){0};
  if (picture_decode(bytes, size, &target, message) == SDX_OK) return true;
  free(p->pixels);
  return why_set(w, "%s", message);
}

// One axis: `lines` rows of `from` groups of `step` floats become rows of `to` groups.
static float *resize_axis(const float *in, size_t lines, size_t from, size_t to, size_t step) {
  float *out = calloc(lines * to * step, sizeof *out);
  double ratio = (double)from / (double)to, reach = ratio > 1 ? ratio : 1;
  for (size_t t = 0; out && t < to; t++) {
    double centre = ((double)t + 0.5) * ratio - 0.5, total = 0;
    long first = (long)fmax(0, ceil(centre - reach)), last = (long)fmin((double)from - 1, floor(centre + reach));
    for (long k = first; k <= last; k++) total += fmax(0, 1 - fabs((double)k - centre) / reach);
    for (long k = first; k <= last; k++) {
      float weight = (float)(fmax(0, 1 - fabs((double)k - centre) / reach) / total);
      for (size_t line = 0; line < lines; line++)
        for (size_t s = 0; s < step; s++)
          out[(line * to + t) * step + s] += weight * in[(line * from + (size_t)k) * step + s];
    }
  }
  return out;
}

typedef struct area {
  size_t x, y, width, height;
} area;

// An area of the pixels as floats of the wanted size, height x width x channels.
static float *resize(const decoded *p, area from, size_t height, size_t width) {
  size_t row = from.width * p->channels;
  float *whole = malloc(from.height * row * sizeof *whole), *rows = NULL;
  if (!whole) return NULL;
  for (size_t y = 0; y < from.height; y++)
    for (size_t i = 0; i < row; i++)
      whole[y * row + i] = p->pixels[((from.y + y) * p->width + from.x) * p->channels + i];
  if (from.width != width) {
    rows = resize_axis(whole, from.height, from.width, width, p->channels);
    free(whole);
    whole = rows;
  }
  if (whole && from.height != height) {
    rows = resize_axis(whole, 1, from.height, height, width * p->channels);
    free(whole);
    whole = rows;
  }
  return whole;
}

static size_t scaled(size_t length, size_t by, size_t of) {
  size_t result = (size_t)lround((double)length * (double)by / (double)of);
  return result ? result : 1;
}

// The largest area in the middle of `width` x `height` with the proportions `w` : `h`.
static area middle(size_t width, size_t height, size_t w, size_t h) {
  area a = {0, 0, width, height};
  if (width * h > height * w) a.width = scaled(height, w, h);
  else a.height = scaled(width, h, w);
  a.x = (width - a.width) / 2;
  a.y = (height - a.height) / 2;
  return a;
}

static float *fit(const decoded *p, size_t height, size_t width, image_fit mode) {
  area all = {0, 0, p->width, p->height}, inner = middle(width, height, p->width, p->height);
  if (mode == FIT_CROP) return resize(p, middle(p->width, p->height, width, height), height, width);
  if (mode != FIT_LETTERBOX) return resize(p, all, height, width);
  float *pixels = resize(p, all, inner.height, inner.width), *canvas = NULL;
  if (pixels) canvas = calloc(height * width * p->channels, sizeof *canvas);
  for (size_t y = 0; canvas && y < inner.height; y++)
    memcpy(canvas + ((inner.y + y) * width + inner.x) * p->channels, pixels + y * inner.width * p->channels,
           inner.width * p->channels * sizeof *pixels);
  free(pixels);
  return canvas;
}

// What becomes of the picture, or why it may not.
static bool tell(const decoded *p, size_t height, size_t width, image_fit mode, char note[200], why *w) {
  static const char *const how[] = {"stretched", "between black bars", "its middle"};
  static const char *const kinds[] = {"", "grey", "grey", "RGB", "RGBA"};
  bool same = p->width == width && p->height == height, proportional = p->width * height == p->height * width;
  bool grey = p->own_channels && p->own_channels < 3;
  if (!same && mode == FIT_NONE)
    return (bool)why_set(w,
                         "the picture has %zu x %zu pixels, the input takes %zu x %zu; --fit stretch, letterbox or "
                         "crop makes it fit",
                         p->width, p->height, width, height);
  int used = 0;
  if (!same)
    used = snprintf(note, 200, "resized from %zu x %zu to %zu x %zu pixels%s%s%s", p->width, p->height, width, height,
                    proportional ? "" : ", ", proportional ? "" : how[mode],
                    proportional || mode != FIT_STRETCH ? "" : " (--fit letterbox or crop keeps its proportions)");
  if (p->own_channels && grey != (p->channels == 1))
    snprintf(note + used, 200 - (size_t)used, "%s%s made %s", used ? "; " : "", grey ? "grey" : "colour",
             kinds[p->channels]);
  return true;
}

// Where height, width and channels of the input are; -1: no such axis.
typedef struct layout {
  int channel, row, column;  // axes
} layout;

static bool is_channels(int64_t dim) { return dim == 1 || dim == 3 || dim == 4; }

static bool find_layout(const sdx_io *io, const char *wish, layout *l, why *w) {
  char wanted[256];
  int rank = (int)io->rank;
  if (!io->has_shape || rank > 4)
    return why_set(w, "an input of %s takes no picture", io_describe(io, wanted, sizeof wanted));
  if (rank >= 3) {
    int first = rank - 3;
    bool last = wish ? !strcasecmp(wish, "nhwc") : !is_channels(io->shape[first]) && is_channels(io->shape[rank - 1]);
    *l = last ? (layout){rank - 1, first, first + 1} : (layout){first, first + 1, first + 2};
  } else if (rank == 2 && io->shape[1] > 0 && (io->shape[0] == 1 || io->shape[0] < 0)) {
    *l = (layout){-1, -1, -1};  // one flat row of pixels
  } else if (rank == 2) {
    *l = (layout){-1, 0, 1};
  } else {
    return why_set(w, "an input of %s takes no picture", io_describe(io, wanted, sizeof wanted));
  }
  return true;
}

sdx_value *image_read(const void *bytes, size_t size, const sdx_io *io, const image_options *options, char note[200],
                      why *w) {
  layout l = {-1, -1, -1};
  char wanted[256];
  if (!dtype_is_number(io->dtype))
    return why_set(w, "an input of %s takes no picture", io_describe(io, wanted, sizeof wanted));
  if (!find_layout(io, options->layout, &l, w)) return NULL;
  int64_t channels = l.channel >= 0 ? io->shape[l.channel] : 1;
  if (l.channel >= 0 && channels < 0) channels = 3;
  if (!is_channels(channels)) return why_set(w, "%lld channels; a picture gives 1, 3 or 4", (long long)channels);
  decoded p;
  if (!read_picture(bytes, size, (size_t)channels, &p, w)) return NULL;
  int64_t height = l.row >= 0 ? io->shape[l.row] : -1, width = l.column >= 0 ? io->shape[l.column] : -1;
  if (l.row < 0) {  // flat: keep the size if it fits, else a square
    height = (int64_t)p.height;
    width = (int64_t)p.width;
    if (height * width != io->shape[1]) height = width = (int64_t)lround(sqrt((double)io->shape[1]));
    if (height * width != io->shape[1]) {
      free(p.pixels);
      return why_set(w, "%zux%zu pixels do not fit %s", p.width, p.height, io_describe(io, wanted, sizeof wanted));
    }
  }
  if (height < 0) height = (int64_t)p.height;
  if (width < 0) width = (int64_t)p.width;
  int64_t shape[4] = {1, 1, 1, 1};
  if (l.row < 0) shape[1] = height * width;
  else {
    if (l.channel >= 0) shape[l.channel] = channels;
    shape[l.row] = height;
    shape[l.column] = width;
  }
  bool fits = height > 0 && width > 0 && height <= MAX_SIDE && width <= MAX_SIDE;
  if (fits && !tell(&p, (size_t)height, (size_t)width, options->fit, note, w)) {
    free(p.pixels);
    return NULL;
  }
  float *pixels = fits ? fit(&p, (size_t)height, (size_t)width, options->fit) : NULL;
  free(p.pixels);
  sdx_value *v = pixels ? sdx_tensor_create(io->dtype, io->rank, shape) : NULL;
  if (!v) {
    free(pixels);
    return why_set(w, "not enough memory for the picture");
  }
  double scale = !isnan(options->scale) ? options->scale : dtype_is_real(io->dtype) ? 1 / 255. : 1;
  bool planes = l.channel >= 0 && l.channel < l.row;
  size_t area = (size_t)(height * width);
  for (size_t i = 0; i < area; i++)
    for (size_t c = 0; c < (size_t)channels; c++) {
      double x = pixels[i * (size_t)channels + c];
      if (options->invert) x = 255 - x;
      x = (x * scale - options->mean[c]) / options->std[c];
      element_set(v, planes ? c * area + i : i * (size_t)channels + c, dtype_is_real(io->dtype) ? x : nearbyint(x));
    }
  free(pixels);
  return v;
}
