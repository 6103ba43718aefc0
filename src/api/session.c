// SPDX-License-Identifier: Apache-2.0
// What a session tells about itself.
#include "run/session.h"

const char *sdx_session_error(const sdx_session *s) { return s ? s->err.message : "memory is exhausted"; }
char *sdx_session_error_json(const sdx_session *s) { return s ? error_object(&s->err) : NULL; }
const char *sdx_session_warnings(const sdx_session *s) {
  return s->model && s->model->warnings.at ? s->model->warnings.at : "";
}
size_t sdx_session_input_count(const sdx_session *s) { return s->input_count; }
size_t sdx_session_output_count(const sdx_session *s) { return s->output_count; }
size_t sdx_session_feed_count(const sdx_session *s) { return (size_t)s->input_count + s->default_count; }
const sdx_io *sdx_session_input(const sdx_session *s, size_t i) {
  return i < sdx_session_feed_count(s) ? &s->inputs[i] : NULL;
}
const sdx_io *sdx_session_output(const sdx_session *s, size_t i) { return i < s->output_count ? &s->outputs[i] : NULL; }

static int64_t find(const sdx_io *at, size_t count, const char *name) {
  for (size_t i = 0; i < count; i++)
    if (strcmp(at[i].name, name) == 0) return (int64_t)i;
  return -1;
}

int64_t sdx_session_find_input(const sdx_session *s, const char *name) {
  return find(s->inputs, sdx_session_feed_count(s), name);
}
bool sdx_session_is_fixed(const sdx_session *s, const char *name) {
  value_id id = s->main && sdx_session_find_input(s, name) < 0 ? graph_find(s->main, str_from(name)) : VALUE_ABSENT;
  return id && s->main->values[id].constant;
}

int64_t sdx_session_find_output(const sdx_session *s, const char *name) {
  return find(s->outputs, s->output_count, name);
}

const char *sdx_session_metadata(const sdx_session *s, const char *key) {
  if (strcmp(key, "opset:") == 0) key = "opset:ai.onnx";  // ONNX spells the domain either way
  for (size_t i = 0; i < s->custom_at; i++)
    if (strcmp(s->metadata[2 * i], key) == 0) return s->metadata[2 * i + 1];
  return NULL;
}

size_t sdx_session_custom_metadata_count(const sdx_session *s) { return s->metadata_count - s->custom_at; }

const char *sdx_session_custom_metadata(const sdx_session *s, size_t index, const char **value) {
  size_t i = s->custom_at + index;
  if (i >= s->metadata_count) return NULL;
  if (value) *value = s->metadata[2 * i + 1];
  return s->metadata[2 * i];
}
