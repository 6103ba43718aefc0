// SPDX-License-Identifier: Apache-2.0
// ImageDecoder's compute, through the public interface of custom operators. The picture is decoded into the
// output; its size, and what the codec holds besides, are charged to the run before. As ONNX wants it, bytes
// that are no picture give an output without pixels; a limit or a missing codec is an error.
#include <string.h>

#include "codecs/codecs.h"

typedef struct call {
  sdx_op_context *context;
  sdx_status status;  // of the engine
} call;

static uint8_t *place(void *context, size_t height, size_t width, size_t channels, size_t work_bytes) {
  call *c = context;
  c->status = sdx_op_charge(c->context, work_bytes);
  if (c->status) return NULL;
  return sdx_op_set_output(c->context, 0, SDX_UINT8, 3,
                           (int64_t[]){(int64_t)height, (int64_t)width, (int64_t)channels});
}

static bool go_on(void *context) {
  call *c = context;
  c->status = sdx_op_check(c->context);
  return c->status == SDX_OK;
}

static sdx_status compute(void *user, sdx_op_context *context) {
  const sdx_value *encoded = sdx_op_input(context, 0);
  size_t length = 0;
  const char *text = sdx_op_attr_string(context, "pixel_format", &length);
  picture_layout layout = PICTURE_RGB;
  if (text && length == 3 && !memcmp(text, "BGR", 3)) layout = PICTURE_BGR;
  if (text && length == 9 && !memcmp(text, "Grayscale", 9)) layout = PICTURE_GREY;
  call c = {.context = context};
  picture_target target = {.layout = layout, .context = &c, .place = place, .go_on = go_on};
  char message[PICTURE_MESSAGE];
  if (!encoded) return sdx_op_fail(context, SDX_NO_MEMORY, "no memory");
  sdx_status status = picture_decode(sdx_tensor_data(encoded), sdx_tensor_bytes(encoded), &target, message);
  if (c.status) return c.status;
  if (status == SDX_INVALID_ARGUMENT) {
    sdx_op_set_output(context, 0, SDX_UINT8, 3, (int64_t[]){0, 0, layout == PICTURE_GREY ? 1 : 3});
    return SDX_OK;
  }
  return status ? sdx_op_fail(context, status, message) : SDX_OK;
}

sdx_status codecs_add_operator(sdx_options *options) {
  return sdx_options_add_op(options, &(sdx_custom_op){.size = sizeof(sdx_custom_op),
                                                      .domain = "",
                                                      .name = "ImageDecoder",
                                                      .min_inputs = 1,
                                                      .max_inputs = 1,
                                                      .min_outputs = 1,
                                                      .max_outputs = 1,
                                                      .compute = compute});
}
