// SPDX-License-Identifier: Apache-2.0
// Files to values and back, one io_<format>.c each. Readers get the bytes and, where the format does
// not say dtype and shape itself, the model's description of the input. They return NULL and say why.
// Nothing in a file is believed: every length is checked against the bytes that are there.
#pragma once

#include <jansson.h>

#include "cli/cli.h"
#include "sardonyx/sardonyx.h"

typedef struct named_values {
  struct named_value {
    char *name;
    sdx_value *value;  // one reference
  } * at;
  size_t count;
} named_values;

void named_add(named_values *list, const char *name, sdx_value *value);  // takes the reference
sdx_value *named_find(const named_values *list, const char *name);       // borrowed; NULL: none
void named_clear(named_values *list);

// .npy versions 1 to 3: numbers, bool, complex, text (<U, |S); any byte order, C or Fortran order.
// '|V2' is read as bfloat16, which is how numpy stores it.
sdx_value *npy_read(const void *bytes, size_t size, why *w);
// Types without a numpy name are widened: bfloat16, float8 and float4 to float32, int4 and smaller to
// int8/uint8. free() the result.
char *npy_write(const sdx_value *v, size_t *size, why *w);

bool npz_read(const void *bytes, size_t size, named_values *out, why *w);
bool npz_write(const char *path, const named_values *list, why *w);  // stored, not compressed

// `type` as in sdx_io. pb_name: the name inside a TensorProto, "" if it has none.
sdx_value *pb_read(const void *bytes, size_t size, const char *type, why *w);
const char *pb_name(const void *bytes, size_t size, char *buffer, size_t buffer_size);

// Plain elements in the machine's order; at most one free dimension follows from the size.
sdx_value *raw_read(const void *bytes, size_t size, const sdx_io *io, why *w);

// Numbers, strings, booleans, nested lists. "NaN", "Infinity" and "-Infinity" stand for themselves.
sdx_value *json_read_value(const json_t *json, const sdx_io *io, why *w);
json_t *json_of_value(const sdx_value *v);  // nested lists; maps become objects; NULL: no memory

// A row is an item of the batch, a column an input or a feature; `only`: all columns are of this input, or -1. Missing
// values are NaN where the input takes floats.
bool csv_read(const char *bytes, size_t size, const sdx_session *session, int64_t only, named_values *out, why *w);
bool csv_write(const char *path, const named_values *list, why *w);  // all outputs side by side

// Of a picture of another size: all of it in other proportions, all of it between black bars, its middle, or an error.
typedef enum image_fit { FIT_STRETCH, FIT_LETTERBOX, FIT_CROP, FIT_NONE } image_fit;

typedef struct image_options {
  double scale;            // NAN: 1/255 for float inputs, 1 for integers
  double mean[4], std[4];  // after scaling, per channel
  bool invert;             // 255 - x first
  const char *layout;      // "nchw", "nhwc" or NULL: from the input's shape
  image_fit fit;
} image_options;
// A picture of any format of codecs/, made to fit the input's height and width, grey or RGB by its channels. `note`
// gets what was done ("" if nothing).
sdx_value *image_read(const void *bytes, size_t size, const sdx_io *io, const image_options *options, char note[200],
                      why *w);

// Makes a value fit an input: converts numbers to its dtype, adds or drops dimensions of 1, folds flat
// data into the shape. `note` gets what was done ("" if nothing). Takes and returns a reference; NULL
// and `w` when it cannot fit.
sdx_value *value_fit(sdx_value *v, const sdx_io *io, char note[200], why *w);
bool shape_fits(const sdx_io *io, size_t rank, const int64_t *shape);
// Whether two shapes differ only in dimensions of 1, or one of them is flat: no data moves then.
bool shape_same_but_ones(size_t a_rank, const int64_t *a, size_t b_rank, const int64_t *b);
