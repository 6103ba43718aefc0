// SPDX-License-Identifier: Apache-2.0
// What an inference of protocol_v2.h takes and gives, as schemas. No schema can say that a list has as many elements as
// another one's numbers multiply to: where a dimension is free, `data` may have any length here.
#include "server/protocol_v2.h"
#include "server/schema.h"
#include "server/tensor_io.h"

// Parameters whose meaning would be lost are refused (protocol_v2.c); those nobody knows are passed over.
static void parameters(text *o, bool beside_data) {
  static const char *const refused[] = {"classification", "sequence_id", "shared_memory_region", "shared_memory_offset",
                                        "shared_memory_byte_size"};
  text_put(o,
           "\"parameters\":{\"type\":\"object\",\"properties\":{\"binary_data\":{\"type\":\"boolean\"},"
           "\"binary_data_output\":{\"type\":\"boolean\"},\"timeout\":{\"type\":\"integer\",\"minimum\":0,"
           "\"maximum\":9223372036854775807},\"binary_data_size\":");
  text_put(o, beside_data ? "{\"not\":{}}" : "{\"type\":\"integer\",\"minimum\":0,\"maximum\":9223372036854775807}");
  for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) text_format(o, ",\"%s\":{\"not\":{}}", refused[i]);
  text_put(o,
           "},\"additionalProperties\":{\"anyOf\":[{\"type\":\"string\"},{\"type\":\"number\"},"
           "{\"type\":\"boolean\"}]}}");
}

static void shape(text *o, const sdx_io *io, bool request) {
  if (request && schema_is_fixed(io)) {
    text_put(o, "{\"enum\":[[");
    for (size_t i = 0; i < io->rank; i++) text_format(o, i ? ",%lld" : "%lld", (long long)io->shape[i]);
    text_put(o, "]]}");
    return;
  }
  text_put(o, "{\"type\":\"array\",");
  if (io->has_shape) text_format(o, "\"minItems\":%zu,\"maxItems\":%zu,", io->rank, io->rank);
  text_put(o, "\"items\":{\"type\":\"integer\",\"minimum\":0}}");
}

static void name(text *o, const sdx_io *io) {
  text_put(o, "\"name\":{\"enum\":[");
  text_json_string(o, str_from(io->name));
  text_put(o, "]}");
}

static void data(text *o, const sdx_io *io) {
  text_put(o, "{\"anyOf\":[");
  schema_flat(o, io, true);
  if (!io->has_shape || io->rank != 1) {
    text_append(o, ",", 1);
    schema_nested(o, io, 0, true);
  }
  text_put(o, "]}");
}

// A type without a JSON form comes behind the JSON.
static void input(text *o, const sdx_io *io) {
  bool json = v2_type_has_json(io->dtype);
  text_format(
      o,
      "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"name\",\"datatype\",\"shape\",\"%s\"],"
      "\"properties\":{",
      json ? "data" : "parameters");
  name(o, io);
  text_put(o, ",\"datatype\":{\"enum\":[");
  text_json_string(o, str_from(v2_type_name(io)));
  text_put(o, "]},\"shape\":");
  shape(o, io, true);
  if (json) {
    text_put(o, ",\"data\":");
    data(o, io);
  }
  text_append(o, ",", 1);
  parameters(o, json);
  text_put(o, "}}");
}

static void wanted(text *o, const sdx_io *io) {
  text_put(o, "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"name\"],\"properties\":{");
  name(o, io);
  text_append(o, ",", 1);
  parameters(o, false);
  text_put(o, "}}");
}

static void output(text *o, const sdx_io *io) {
  text_put(o,
           "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"name\",\"datatype\",\"shape\","
           "\"data\"],\"properties\":{");
  name(o, io);
  text_put(o, ",\"datatype\":{\"type\":\"string\"},\"shape\":");
  shape(o, io, false);
  text_put(o, ",\"data\":{\"type\":\"array\",\"items\":");
  if (io->dtype == SDX_UNDEFINED) text_put(o, "{}");
  else schema_element(o, io->dtype, false);
  text_put(o, "}}}");
}

static void list(text *o, const sdx_session *s, size_t count, const sdx_io *(*get)(const sdx_session *, size_t),
                 void (*each)(text *, const sdx_io *)) {
  if (!count) {
    text_put(o, "\"items\":{}}");
    return;
  }
  text_put(o, "\"items\":{\"anyOf\":[");
  for (size_t i = 0; i < count; i++) {
    if (i) text_append(o, ",", 1);
    each(o, get(s, i));
  }
  text_put(o, "]}}");
}

static void request_schema(text *o, const model *m) {
  size_t least = 0;
  for (size_t i = 0; i < m->input_count; i++) least += !sdx_session_input(m->session, i)->may_be_left_out;
  text_format(o,
              "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"inputs\"],\"properties\":{"
              "\"id\":{\"type\":\"string\"},\"model_name\":{\"type\":\"string\"},"
              "\"inputs\":{\"type\":\"array\",\"minItems\":%zu,\"maxItems\":%zu,",
              least, m->input_count);
  list(o, m->session, m->input_count, sdx_session_input, input);
  text_format(o, ",\"outputs\":{\"type\":\"array\",\"uniqueItems\":true,\"maxItems\":%zu,", m->output_count);
  list(o, m->session, m->output_count, sdx_session_output, wanted);
  text_append(o, ",", 1);
  parameters(o, false);
  text_put(o, "}}");
}

void v2_schema(text *o, const model *m, bool request) {
  if (request) {
    request_schema(o, m);
    return;
  }
  text_put(o,
           "{\"type\":\"object\",\"additionalProperties\":false,\"required\":[\"model_name\",\"model_version\","
           "\"outputs\"],\"properties\":{\"id\":{\"type\":\"string\"},\"model_name\":{\"type\":\"string\"},"
           "\"model_version\":{\"type\":\"string\"},\"outputs\":{\"type\":\"array\",");
  list(o, m->session, m->output_count, sdx_session_output, output);
  text_put(o, "}}");
}
