// SPDX-License-Identifier: Apache-2.0
// Any bytes as the body of a scoring request: the JSON reader and the tensor reader must end in a
// tensor or in a message, with memory bounded by the text. The first byte chooses the element type and
// whether a size is expected. What is read is written and read again, and must come back the same.
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/text.h"
#include "server/json_tensor.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
  if (!holds) abort();
}

static const sdx_dtype dtypes[] = {SDX_FLOAT,    SDX_DOUBLE, SDX_INT64, SDX_UINT64, SDX_INT32,
                                   SDX_UINT8,    SDX_INT8,   SDX_BOOL,  SDX_STRING, SDX_FLOAT16,
                                   SDX_BFLOAT16, SDX_UINT16, SDX_INT16, SDX_UINT32, SDX_COMPLEX64};
enum { DTYPES = sizeof dtypes / sizeof *dtypes, MOST = 1 << 20 };

static void write_number(text *o, const json_tensor *t, size_t i) {
  switch (t->dtype) {
    case SDX_FLOAT:
      text_json_f32(o, ((float *)t->data)[i]);
      break;
    case SDX_DOUBLE:
      text_json_f64(o, ((double *)t->data)[i]);
      break;
    case SDX_INT64:
      text_json_i64(o, ((int64_t *)t->data)[i]);
      break;
    case SDX_UINT64:
      text_json_u64(o, ((uint64_t *)t->data)[i]);
      break;
    default:
      text_json_string(o, ((str *)t->data)[i]);
      break;
  }
}

// The elements as a flat list, read again.
static void round_trip(const json_tensor *t) {
  text o = {0};
  text_put(&o, "[");
  for (size_t i = 0; i < t->count; i++) {
    if (i) text_put(&o, ",");
    write_number(&o, t, i);
  }
  text_put(&o, "]");
  json j;
  json_init(&j, o.at, o.size, 64, MOST);
  json_tensor again = {.dtype = t->dtype, .path = "again", .max_count = MOST};
  need(json_tensor_read(&j, &again) && json_end(&j) && again.count == t->count);
  for (size_t i = 0; i < t->count && t->dtype == SDX_STRING; i++) {
    const str *a = (str *)t->data + i, *b = (str *)again.data + i;
    need(a->size == b->size && memcmp(a->at, b->at, a->size) == 0);
  }
  if (t->dtype != SDX_STRING && t->count)
    need(memcmp(t->data, again.data, t->count * json_tensor_element_bytes(t->dtype)) == 0);
  json_tensor_free(&again);
  text_deinit(&o);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size == 0) return 0;
  uint8_t choice = data[0];
  data++, size--;
  char *text = malloc(size + !size);
  if (!text) return 0;
  memcpy(text, data, size);
  json j;
  json_init(&j, text, size, 32, 100000);
  bool valid = json_skip(&j) && json_end(&j);
  need(valid != j.failed && (valid || j.message[0]));
  need(size == 0 || memcmp(text, data, size) == 0);  // skipping changes nothing

  json_init(&j, text, size, 32, 100000);
  json_tensor t = {.dtype = dtypes[choice % DTYPES],
                   .path = "data",
                   .max_count = choice & 128 ? 6 : MOST,
                   .expect_count = choice & 64 ? 6 : 0};
  bool read = json_tensor_read(&j, &t);
  need(read != j.failed && (read || (j.message[0] && !t.data)));
  if (read) {
    size_t product = 1;
    for (size_t i = 0; i < t.rank; i++) product *= (size_t)t.shape[i];
    need(product == t.count && t.count <= t.max_count && t.capacity <= size + 64);
    if (json_end(&j)) need(valid);
    sdx_dtype d = t.dtype;
    if (d == SDX_FLOAT || d == SDX_DOUBLE || d == SDX_INT64 || d == SDX_UINT64 || d == SDX_STRING) round_trip(&t);
    json_tensor_free(&t);
  }
  free(text);
  return 0;
}
