// SPDX-License-Identifier: Apache-2.0
// The pictures of the fuzz corpus: each format shows the same 11 x 7 pixels (red grows to the right by 25,
// green downwards by 40, blue is a checkerboard), and no cut or damaged file does harm. Then ImageDecoder.
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "codecs/codec.h"
#include "tests/onnx/make.h"

enum { W = 11, H = 7, MOST = 1 << 16 };
#define LITERAL(text) text, sizeof(text) - 1

typedef struct canvas {
  uint8_t at[MOST];
  size_t height, width, work_bytes;
  int asked;  // go_on: how often it may still say yes; negative = always
} canvas;

static uint8_t *place(void *context, size_t height, size_t width, size_t channels, size_t work_bytes) {
  canvas *c = context;
  c->height = height;
  c->width = width;
  c->work_bytes = work_bytes;
  return height * width * channels <= MOST ? c->at : NULL;
}

static bool go_on(void *context) {
  canvas *c = context;
  return c->asked < 0 || c->asked-- > 0;
}

static sdx_status decode(const void *bytes, size_t size, picture_layout layout, canvas *c, char *message) {
  picture_target target = {.layout = layout, .context = c, .place = place, .go_on = go_on};
  c->height = c->width = 0;
  c->asked = -1;
  // Behind an exact block of memory a sanitizer sees every step too far.
  char *copy = malloc(size ? size : 1);
  assert_non_null(copy);
  memcpy(copy, bytes, size);
  sdx_status status = picture_decode(copy, size, &target, message);
  assert_true((status == SDX_OK) == !message[0]);
  free(copy);
  return status;
}

static uint8_t *slurp(const char *name, size_t *size) {
  char path[200];
  snprintf(path, sizeof path, "tests/fuzz/corpus/image/%s", name);
  FILE *f = fopen(path, "rb");
  if (!f) fail_msg("%s is missing", path);
  uint8_t *bytes = malloc(MOST);
  *size = fread(bytes, 1, MOST, f);
  fclose(f);
  return bytes;
}

typedef enum kind { COLOUR, GREY, BITS, RAMP } kind;
static const struct sample {
  const char *name;
  int off;  // how far a channel may be off
  kind kind;
} samples[] = {
    {"rgb.png", 0, COLOUR},         {"interlaced.png", 0, COLOUR}, {"palette.png", 0, COLOUR},
    {"alpha.png", 0, COLOUR},       {"grey.png", 0, GREY},         {"rgb.jpg", 6, COLOUR},
    {"grey.jpg", 3, GREY},          {"rgb.jp2", 0, COLOUR},        {"rgb.j2k", 0, COLOUR},
    {"rgb.tiff", 0, COLOUR},        {"lzw.tiff", 0, COLOUR},       {"lossless.webp", 0, COLOUR},
    {"alpha.webp", 0, COLOUR},      {"rgb.bmp", 0, COLOUR},        {"alpha.bmp", 0, COLOUR},
    {"masks.bmp", 8, COLOUR},       {"palette.bmp", 0, COLOUR},    {"packed.bmp", 0, RAMP},
    {"bits.bmp", 0, BITS},          {"bits.pbm", 0, BITS},         {"grey.pgm", 0, GREY},
    {"rgb.ppm", 0, COLOUR},         {"text.ppm", 0, COLOUR},       {"rgb.pam", 0, COLOUR},
    {"progressive.jpg", 6, COLOUR}, {"cmyk.jpg", 6, COLOUR},       {"lossy.webp", 255, COLOUR},
};
enum { SAMPLES = sizeof samples / sizeof *samples };

static void expected(kind kind, size_t x, size_t y, int rgb[3]) {
  int r = (int)x * 25, g = (int)y * 40, b = (x + y) % 2 ? 255 : 0;
  int grey = (r * 19595 + g * 38470 + b * 7471 + 32768) >> 16;
  if (kind == RAMP) grey = x < 6 ? (int)y * 40 : (int)(y + x - 6);
  for (int c = 0; c < 3; c++) rgb[c] = kind != COLOUR ? grey : c == 0 ? r : c == 1 ? g : b;
}

static bool is_built(const char *name) {
  canvas c;
  char message[PICTURE_MESSAGE];
  size_t size;
  uint8_t *bytes = slurp(name, &size);
  sdx_status status = decode(bytes, size, PICTURE_RGB, &c, message);
  free(bytes);
  if (status == SDX_NOT_SUPPORTED) print_message("SKIPPED %s: %s\n", name, message);
  return status != SDX_NOT_SUPPORTED;
}

static void every_format_shows_the_same(void **state) {
  static canvas rgb, other;
  char message[PICTURE_MESSAGE];
  for (int i = 0; i < SAMPLES; i++) {
    const struct sample *s = &samples[i];
    if (!is_built(s->name)) continue;
    size_t size;
    uint8_t *bytes = slurp(s->name, &size);
    if (decode(bytes, size, PICTURE_RGB, &rgb, message)) fail_msg("%s: %s", s->name, message);
    if (rgb.width != W || rgb.height != H) fail_msg("%s: %zu x %zu", s->name, rgb.width, rgb.height);
    for (size_t p = 0; p < W * H; p++) {
      int want[3];
      expected(s->kind, p % W, p / W, want);
      for (int c = 0; c < 3; c++)
        if (s->kind == BITS ? rgb.at[3 * p] % 255 != 0 : abs(rgb.at[3 * p + c] - want[c]) > s->off)
          fail_msg("%s: pixel %zu,%zu channel %d is %d, want %d", s->name, p % W, p / W, c, rgb.at[3 * p + c], want[c]);
    }
    assert_int_equal(decode(bytes, size, PICTURE_BGR, &other, message), SDX_OK);
    for (size_t p = 0; p < W * H; p++) assert_int_equal(other.at[3 * p], rgb.at[3 * p + 2]);
    assert_int_equal(decode(bytes, size, PICTURE_GREY, &other, message), SDX_OK);
    for (size_t p = 0; p < W * H; p++)
      assert_int_equal(other.at[p],
                       (rgb.at[3 * p] * 19595 + rgb.at[3 * p + 1] * 38470 + rgb.at[3 * p + 2] * 7471 + 32768) >> 16);
    assert_int_equal(decode(bytes, size, PICTURE_RGBA, &other, message), SDX_OK);
    bool alpha = !strncmp(s->name, "alpha", 5) && strcmp(s->name, "alpha.bmp");
    for (size_t p = 0; p < W * H; p++) assert_int_equal(other.at[4 * p + 3], alpha ? p % W * 20 : 255);
    free(bytes);
  }
}

static void alpha_over_black(void **state) {
  static canvas c;
  char message[PICTURE_MESSAGE];
  size_t size;
  if (!is_built("alpha.png")) return;
  uint8_t *bytes = slurp("alpha.png", &size);
  picture_target target = {.over_black = true, .layout = PICTURE_RGB, .context = &c, .place = place};
  assert_int_equal(picture_decode(bytes, size, &target, message), SDX_OK);
  for (size_t p = 0; p < W * H; p++) assert_int_equal(c.at[3 * p], ((p % W) * 25 * (p % W) * 20 + 127) / 255);
  free(bytes);
}

static void cut_files_do_no_harm(void **state) {
  static canvas c;
  char message[PICTURE_MESSAGE];
  for (int i = 0; i < SAMPLES; i++) {
    size_t size, whole = 0;
    uint8_t *bytes = slurp(samples[i].name, &size);
    for (size_t cut = 0; cut < size; cut++) whole += decode(bytes, cut, PICTURE_RGB, &c, message) == SDX_OK;
    // Some formats end in what pixels do not need: checksums, markers, padding, the last digits of text.
    if (whole > 40) fail_msg("%s: %zu of %zu beginnings are taken for a picture", samples[i].name, whole, size);
    free(bytes);
  }
}

static void damaged_files_do_no_harm(void **state) {
  static canvas c;
  char message[PICTURE_MESSAGE];
  uint32_t random = 1;
  for (int i = 0; i < SAMPLES; i++) {
    size_t size;
    uint8_t *bytes = slurp(samples[i].name, &size), *copy = malloc(size);
    for (int round = 0; round < 400; round++) {
      memcpy(copy, bytes, size);
      for (int hits = round % 4; hits >= 0; hits--) {
        random = random * 1664525 + 1013904223;
        size_t at = (random >> 8) % (round % 2 ? size : size < 64 ? size : 64);
        copy[at] = round % 3 ? (uint8_t)(random >> 24) : (uint8_t)(copy[at] ^ 1u << (random >> 29));
      }
      decode(copy, size, PICTURE_RGBA, &c, message);
    }
    free(copy);
    free(bytes);
  }
}

static void claimed(const void *bytes, size_t size, sdx_status want, const char *part) {
  static canvas c;
  char message[PICTURE_MESSAGE];
  sdx_status status = decode(bytes, size, PICTURE_RGB, &c, message);
  if (status == SDX_NOT_SUPPORTED) return;
  if (status != want || !strstr(message, part)) fail_msg("got %d '%s', want %d '%s'", status, message, want, part);
}

static void claims_are_judged_before_memory_is_taken(void **state) {
  size_t size;
  uint8_t *bytes = slurp("claims-too-much.png", &size);
  claimed(bytes, size, SDX_LIMIT_EXCEEDED, "PNG: 2147483647 x 2147483647 pixels");
  free(bytes);
  bytes = slurp("rgb.j2k", &size);
  memcpy(bytes + 24, "\0\0\0\1\0\0\0\1", 8);  // tiles of one pixel ...
  memcpy(bytes + 8, "\0\1\0\0\0\1\0\0", 8);   // ... of 65536 x 65536
  claimed(bytes, size, SDX_LIMIT_EXCEEDED, "4294967296 tiles");
  memcpy(bytes + 24, "\0\1\0\0\0\1\0\0", 8);
  claimed(bytes, size, SDX_LIMIT_EXCEEDED, "65536 x 65536 pixels");
  free(bytes);
  bytes = slurp("rgb.bmp", &size);
  memcpy(bytes + 18, "\0\x20\0\0\0\x20\0\0", 8);
  claimed(bytes, size, SDX_INVALID_ARGUMENT, "do not fit");
  memcpy(bytes + 18, "\xff\xff\xff\x7f\xff\xff\xff\x7f", 8);
  claimed(bytes, size, SDX_INVALID_ARGUMENT, "do not fit");
  memcpy(bytes + 18, "\1\0\0\0\0\0\0\x80", 8);
  claimed(bytes, size, SDX_INVALID_ARGUMENT, "do not fit");
  free(bytes);
  bytes = slurp("packed.bmp", &size);
  memcpy(bytes + 18, "\0\x20\0\0\0\x20\0\0", 8);
  claimed(bytes, size, SDX_LIMIT_EXCEEDED, "8192 x 8192 pixels in");
  free(bytes);
  claimed(LITERAL("P5 20000 20000 255\n"), SDX_INVALID_ARGUMENT, "do not fit");
  claimed(LITERAL("P6 99999999999 1 255\n"), SDX_INVALID_ARGUMENT, "above");
  claimed(LITERAL("P6 0 1 255\n"), SDX_INVALID_ARGUMENT, "0 x 1");
  claimed(LITERAL("P6 1 1 0\nabc"), SDX_INVALID_ARGUMENT, "maximum");
  claimed(LITERAL("P6 1 1 70000\nabc"), SDX_INVALID_ARGUMENT, "above 65535");
  claimed(LITERAL("P6 # no end"), SDX_INVALID_ARGUMENT, "missing");
  claimed(LITERAL("P7\nDEPTH 9\n"), SDX_INVALID_ARGUMENT, "above 4");
  claimed(LITERAL("P7\nENDHDR\n"), SDX_INVALID_ARGUMENT, "missing");
  claimed(LITERAL("P2 2 1 9 9 10"), SDX_INVALID_ARGUMENT, "above 9");
  claimed(LITERAL("GIF89a"), SDX_INVALID_ARGUMENT, "none of PNG");
  claimed(LITERAL(""), SDX_INVALID_ARGUMENT, "none of PNG");
}

static void depths_of_pnm(void **state) {
  static canvas c;
  char message[PICTURE_MESSAGE];
  assert_int_equal(decode(LITERAL("P5 2 1 65535\n\xff\xff\x80\x00"), PICTURE_GREY, &c, message), SDX_OK);
  assert_int_equal(c.at[0], 255);
  assert_int_equal(c.at[1], 128);
  assert_int_equal(decode(LITERAL("P2 3 1 3 0 1 3"), PICTURE_GREY, &c, message), SDX_OK);
  assert_memory_equal(c.at, "\0\x55\xff", 3);
  assert_int_equal(decode(LITERAL("P1 4 1 0110"), PICTURE_GREY, &c, message), SDX_OK);
  assert_memory_equal(c.at, "\xff\0\0\xff", 4);
  assert_int_equal(decode(LITERAL("P7\nWIDTH 1\nHEIGHT 1\nDEPTH 2\nMAXVAL 255\nENDHDR\nAB"), PICTURE_RGBA, &c, message),
                   SDX_OK);
  assert_memory_equal(c.at, "AAAB", 4);
}

// ---- ImageDecoder ----------------------------------------------------------------------------------------

static void put_node_with_format(wire_out *t, const char *format) {
  size_t node = begin_node(t, 1, "ImageDecoder", "x", "y"), at;
  if (format) {
    at = wire_begin(t, 5);
    put(t, 1, "pixel_format");
    put(t, 4, format);
    wire_put_int(t, 20, ATTR_STRING);
    wire_end(t, at);
  }
  wire_end(t, node);
}

static void put_typed(wire_out *t, uint32_t field, const char *name) {
  size_t at = wire_begin(t, field), type, tensor;
  put(t, 1, name);
  type = wire_begin(t, 2);
  tensor = wire_begin(t, 1);
  wire_put_int(t, 1, SDX_UINT8);
  wire_end(t, tensor);
  wire_end(t, type);
  wire_end(t, at);
}

static sdx_status load(const char *format, bool codecs, sdx_session **s) {
  wire_out t = {0};
  wire_put_int(&t, 1, 9);
  put_opset(&t, 8, "", 20);
  size_t graph = wire_begin(&t, 7);
  put_node_with_format(&t, format);
  put(&t, 2, "g");
  put_typed(&t, 11, "x");
  put_typed(&t, 12, "y");
  wire_end(&t, graph);
  sdx_options *o = sdx_options_create();
  if (codecs) assert_int_equal(codecs_add_operator(o), SDX_OK);
  sdx_status status = sdx_session_load_bytes(t.kept.at, t.kept.size, false, o, s);
  sdx_options_destroy(o);
  wire_out_deinit(&t);
  return status;
}

static sdx_run *ready(sdx_session *s, const void *bytes, size_t size) {
  sdx_run *r;
  sdx_value *x = sdx_tensor_create(SDX_UINT8, 1, (int64_t[]){(int64_t)size});
  if (size) memcpy(sdx_tensor_data(x), bytes, size);
  assert_int_equal(sdx_run_create(s, &r), SDX_OK);
  assert_int_equal(sdx_run_set_input(r, 0, x), SDX_OK);
  sdx_value_release(x);
  return r;
}

static void expect_shape(sdx_run *r, int64_t h, int64_t w, int64_t c) {
  if (sdx_run_execute(r)) fail_msg("%s", sdx_run_error(r));
  const sdx_value *y = sdx_run_output(r, 0);
  assert_int_equal(sdx_tensor_dtype(y), SDX_UINT8);
  assert_int_equal(sdx_tensor_rank(y), 3);
  const int64_t *shape = sdx_tensor_shape(y);
  if (shape[0] != h || shape[1] != w || shape[2] != c)
    fail_msg("got %lld %lld %lld", (long long)shape[0], (long long)shape[1], (long long)shape[2]);
}

static void the_operator_decodes(void **state) {
  sdx_session *s;
  size_t size;
  uint8_t *bytes = slurp("rgb.ppm", &size);
  if (load("BGR", true, &s)) fail_msg("%s", sdx_session_error(s));
  sdx_run *r = ready(s, bytes, size);
  expect_shape(r, H, W, 3);
  const uint8_t *y = sdx_tensor_data(sdx_run_output(r, 0));
  assert_memory_equal(y + 3 * (W + 2), "\xff\x28\x32", 3);  // x 2, y 1
  sdx_run_destroy(r);
  r = ready(s, bytes, size - 1);  // broken: no pixels
  expect_shape(r, 0, 0, 3);
  sdx_run_destroy(r);
  r = ready(s, "", 0);
  expect_shape(r, 0, 0, 3);
  sdx_run_destroy(r);
  free(bytes);
  sdx_session_destroy(s);
  assert_int_equal(load("Grayscale", true, &s), SDX_OK);
  bytes = slurp("text.ppm", &size);
  bytes[size / 2] = 'x';  // broken after memory was placed
  r = ready(s, bytes, size);
  expect_shape(r, 0, 0, 1);
  free(bytes);
  sdx_run_destroy(r);
  sdx_session_destroy(s);
}

static void the_operator_keeps_its_budget(void **state) {
  sdx_session *s;
  char header[64];
  size_t size = 4000000 + (size_t)snprintf(header, sizeof header, "P5 4000 1000 255\n");
  uint8_t *bytes = calloc(size, 1);
  memcpy(bytes, header, strlen(header));
  assert_int_equal(load(NULL, true, &s), SDX_OK);
  sdx_run *r = ready(s, bytes, size);
  expect_shape(r, 1000, 4000, 3);
  assert_true(sdx_run_peak_bytes(r) >= 12000000);
  sdx_run_destroy(r);
  r = ready(s, bytes, size);
  sdx_run_set_memory_limit_bytes(r, 8000000);
  assert_int_equal(sdx_run_execute(r), SDX_NO_MEMORY);
  assert_non_null(strstr(sdx_run_error(r), "ImageDecoder"));
  sdx_run_set_memory_limit_bytes(r, 0);
  sdx_run_cancel(r);
  assert_int_equal(sdx_run_execute(r), SDX_CANCELLED);
  expect_shape(r, 1000, 4000, 3);
  sdx_run_destroy(r);
  free(bytes);
  bytes = slurp("packed.bmp", &size);  // what the codec holds besides is charged as well
  memcpy(bytes + 18, "\0\x10\0\0\0\x10\0\0", 8);
  r = ready(s, bytes, size);
  sdx_run_set_memory_limit_bytes(r, 60000000);  // 48 MiB of pixels fit, but not with 16 MiB of indices
  assert_int_equal(sdx_run_execute(r), SDX_NO_MEMORY);
  sdx_run_destroy(r);
  free(bytes);
  sdx_session_destroy(s);
}

static void the_operator_says_what_it_needs(void **state) {
  sdx_session *s;
  assert_int_equal(load(NULL, false, &s), SDX_OK);
  sdx_run *r = ready(s, "x", 1);
  assert_int_equal(sdx_run_execute(r), SDX_NOT_SUPPORTED);
  assert_non_null(strstr(sdx_run_error(r), "sdx_options_add_op"));
  sdx_run_destroy(r);
  sdx_session_destroy(s);
  assert_int_not_equal(load("CMYK", true, &s), SDX_OK);
  assert_non_null(strstr(sdx_session_error(s), "expected RGB, BGR or Grayscale"));
  sdx_session_destroy(s);
}

static void names_of_pictures(void **state) {
  assert_true(picture_has_ending("a/b.png") && picture_has_ending("B.JPEG") && picture_has_ending("x.y.pam"));
  assert_false(picture_has_ending("png") || picture_has_ending("a.png.npy") || picture_has_ending("a.pn"));
  assert_false(picture_has_ending(""));
}

int main(void) {
  const struct CMUnitTest tests[] = {
      cmocka_unit_test(names_of_pictures),
      cmocka_unit_test(every_format_shows_the_same),
      cmocka_unit_test(alpha_over_black),
      cmocka_unit_test(cut_files_do_no_harm),
      cmocka_unit_test(damaged_files_do_no_harm),
      cmocka_unit_test(claims_are_judged_before_memory_is_taken),
      cmocka_unit_test(depths_of_pnm),
      cmocka_unit_test(the_operator_decodes),
      cmocka_unit_test(the_operator_keeps_its_budget),
      cmocka_unit_test(the_operator_says_what_it_needs),
  };
  return cmocka_run_group_tests(tests, NULL, NULL);
}
