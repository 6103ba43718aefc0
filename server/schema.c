// SPDX-License-Identifier: Apache-2.0
// Schemas of tensors (schema.h).
#include "server/schema.h"

const char schema_error[] =
    "{\"type\":\"object\",\"required\":[\"error\"],\"properties\":{\"error\":{\"type\":\"string\"}}}";

// The largest number that rounds to a finite one.
static const char *real_range(sdx_dtype dtype) {
  switch (dtype) {
    case SDX_FLOAT16:
      return "65519.99999999999";
    case SDX_BFLOAT16:
      return "3.3961775292304597e38";
    case SDX_FLOAT:
      return "3.4028235677973366e38";
    default:
      return NULL;
  }
}

// What JSON cannot carry: nothing is accepted, and any words come.
static void no_form(text *o, bool request) { text_put(o, request ? "{\"not\":{}}" : "{}"); }

static void integer(text *o, sdx_dtype dtype, bool request) {
  static const struct {
    sdx_dtype dtype;
    const char *least, *most;
  } ranges[] = {
      {SDX_INT8, "-128", "127"},
      {SDX_INT16, "-32768", "32767"},
      {SDX_INT32, "-2147483648", "2147483647"},
      {SDX_INT64, "-9223372036854775808", "9223372036854775807"},
      {SDX_UINT8, "0", "255"},
      {SDX_UINT16, "0", "65535"},
      {SDX_UINT32, "0", "4294967295"},
      {SDX_UINT64, "0", "18446744073709551615"},
  };
  for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
    if (ranges[i].dtype == dtype) {
      text_format(o, "{\"type\":\"integer\",\"minimum\":%s,\"maximum\":%s}", ranges[i].least, ranges[i].most);
      return;
    }
  no_form(o, request);
}

void schema_element(text *o, sdx_dtype dtype, bool request) {
  const char *range = request ? real_range(dtype) : NULL;
  switch (dtype) {
    case SDX_STRING:
      text_put(o, "{\"type\":\"string\"}");
      return;
    case SDX_BOOL:
      text_put(o, request ? "{\"enum\":[true,false,0,1]}" : "{\"type\":\"boolean\"}");
      return;
    case SDX_FLOAT:
    case SDX_DOUBLE:
    case SDX_FLOAT16:
    case SDX_BFLOAT16:
      text_put(o, "{\"type\":\"number\",\"nullable\":true");
      if (range) text_format(o, ",\"minimum\":-%s,\"maximum\":%s", range, range);
      text_put(o, "}");
      return;
    default:
      integer(o, dtype, request);
  }
}

void schema_nested(text *o, const sdx_io *io, size_t skip, bool request) {
  if (io->dtype == SDX_UNDEFINED) {
    no_form(o, request);
    return;
  }
  if (!io->has_shape) {
    text_put(o, "{\"anyOf\":[");
    schema_element(o, io->dtype, request);
    text_put(o, ",{\"type\":\"array\",\"items\":");
    if (request) schema_element(o, io->dtype, request);
    else text_put(o, "{}");
    text_put(o, "}]}");
    return;
  }
  for (size_t i = skip; i < io->rank; i++) {
    text_put(o, "{\"type\":\"array\",");
    if (io->shape[i] >= 0)
      text_format(o, "\"minItems\":%lld,\"maxItems\":%lld,", (long long)io->shape[i], (long long)io->shape[i]);
    text_put(o, "\"items\":");
  }
  schema_element(o, io->dtype, request);
  for (size_t i = skip; i < io->rank; i++) text_put(o, "}");
}

bool schema_is_fixed(const sdx_io *io) {
  for (size_t i = 0; io->has_shape && i < io->rank; i++)
    if (io->shape[i] < 0) return false;
  return io->has_shape;
}

void schema_flat(text *o, const sdx_io *io, bool request) {
  unsigned long long count = 1;
  text_put(o, "{\"type\":\"array\",");
  for (size_t i = 0; schema_is_fixed(io) && i < io->rank; i++) count *= (unsigned long long)io->shape[i];
  if (schema_is_fixed(io)) text_format(o, "\"minItems\":%llu,\"maxItems\":%llu,", count, count);
  text_put(o, "\"items\":");
  schema_element(o, io->dtype, request);
  text_put(o, "}");
}
