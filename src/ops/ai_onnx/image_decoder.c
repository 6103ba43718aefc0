// SPDX-License-Identifier: Apache-2.0
// ImageDecoder: the bytes of a picture file to [height, width, 3 or 1]; no pixels where the bytes are no
// picture. The library has no codecs: a caller registers compute (the command and the server do, see
// codecs/operator.c). Here is what does not need them.
#include "ops/infer.h"

typedef struct decoder_params {
  int64_t channels;
} decoder_params;

static sdx_status image_decoder_read(op_params_context *c, void *p) {
  str format = params_string(c, "pixel_format");
  bool grey = str_is(format, "Grayscale");
  if (!grey && !str_is(format, "RGB") && !str_is(format, "BGR"))
    return params_fail(c, "pixel_format", "is '%.*s', expected RGB, BGR or Grayscale", STR_ARG(format));
  ((decoder_params *)p)->channels = grey ? 1 : 3;
  return SDX_OK;
}

static sdx_status image_decoder_infer(op_step *c) {
  const decoder_params *p = c->params;
  SDX_TRY(infer_rank(c, 0, 1, 1));
  return infer_output(c, 0, SDX_UINT8, 3, (int64_t[]){DIM_UNKNOWN, DIM_UNKNOWN, p->channels});
}

static sdx_status image_decoder_compute(op_step *c) {
  return step_fail(c, SDX_NOT_SUPPORTED,
                   "the library decodes no pictures itself; register compute for ImageDecoder of domain '' with "
                   "sdx_options_add_op before the load, or use the sardonyx command or server, which have codecs");
}

SDX_OP(ImageDecoder) = {
    .since = 20,
    .versions = "20",
    .inputs = "encoded_stream:T1",
    .outputs = "image:T2",
    .types = "T1=uint8;T2=uint8",
    .attrs = "pixel_format:string=RGB",
    .flags = OP_BY_CALLER,
    .params_size = sizeof(decoder_params),
    .params = image_decoder_read,
    .infer = image_decoder_infer,
    .compute = image_decoder_compute,
};
