// SPDX-License-Identifier: Apache-2.0
// Bodies of /score to inputs (score_body.h).
#include "server/score_body.h"

#include <stdio.h>

#include "server/tensor_io.h"

enum { SHAPE_TEXT = 200 };

typedef struct reader {
  json *j;
  const sdx_session *session;
  sdx_value **inputs;
} reader;

// Gives the nested shape that was read its place in the declared one: equal, or with missing leading
// dimensions of 1, or a flat list of all elements. False: it does not fit.
static bool fit_shape(const sdx_io *io, const json_tensor *t, int64_t *shape) {
  if (t->rank <= io->rank) {
    size_t missing = io->rank - t->rank;
    bool fits = true;
    for (size_t i = 0; i < io->rank; i++) {
      shape[i] = i < missing ? 1 : t->shape[i - missing];
      if (io->shape[i] >= 0 && io->shape[i] != shape[i]) fits = false;
    }
    if (fits) return true;
  }
  if (t->rank != 1) return false;
  size_t fixed = 1, open = SIZE_MAX;
  for (size_t i = 0; i < io->rank; i++) {
    shape[i] = io->shape[i];
    if (shape[i] < 0 && open != SIZE_MAX) return false;
    if (shape[i] < 0) open = i;
    else if (__builtin_mul_overflow(fixed, (size_t)shape[i], &fixed)) return false;
  }
  if (open == SIZE_MAX) return fixed == t->count;
  if (fixed == 0 || t->count % fixed) return false;
  shape[open] = (int64_t)(t->count / fixed);
  return true;
}

static bool read_input(reader *r, size_t index, const char *path) {
  json *j = r->j;
  const sdx_io *io = sdx_session_input(r->session, index);
  if (r->inputs[index]) return json_fail(j, "%s: given twice", path);
  if (io->dtype == SDX_UNDEFINED)
    return json_fail(j, "%s: the model wants %s, which JSON cannot carry", path, io->type);
  json_tensor t = {.dtype = io->dtype, .path = path, .max_count = SIZE_MAX / 64};
  size_t count = 1;
  bool fixed = io->has_shape;
  for (size_t i = 0; fixed && i < io->rank; i++)
    fixed = io->shape[i] >= 0 && !__builtin_mul_overflow(count, (size_t)io->shape[i], &count);
  // Memory at once when the size is known; a wrong count is reported as a shape below.
  if (fixed && count <= (size_t)(j->end - j->at) / 2) t.expect_count = count;
  if (!json_tensor_read(j, &t)) return false;
  int64_t shape[JSON_TENSOR_RANK];
  char found[SHAPE_TEXT], wanted[SHAPE_TEXT];
  bool fits = !io->has_shape || (io->rank <= JSON_TENSOR_RANK && fit_shape(io, &t, shape));
  if (!fits) {
    json_fail(j, "%s: found shape %s, expected %s of %s", path,
              shape_format(t.shape, NULL, t.rank, found, sizeof found),
              shape_format(io->shape, io->symbols, io->rank, wanted, sizeof wanted), sdx_dtype_name(io->dtype));
    json_tensor_free(&t);
    return false;
  }
  r->inputs[index] = tensor_take(&t, io->has_shape ? io->rank : t.rank, io->has_shape ? shape : t.shape);
  return r->inputs[index] || json_fail(j, "%s: not enough memory", path);
}

static bool unknown_input(reader *r, str name, const char *prefix) {
  size_t count = sdx_session_feed_count(r->session);
  const char *fixed = input_why_fixed(r->session, name);
  if (*fixed)
    return json_fail(r->j, "%s%.*s: the model has no such input%s", prefix, name.size > 100 ? 100 : (int)name.size,
                     name.at, fixed);
  str_nearest nearest;
  str_nearest_init(&nearest, name);
  for (size_t i = 0; i < count; i++) str_nearest_offer(&nearest, str_from(sdx_session_input(r->session, i)->name));
  const char *first = count ? sdx_session_input(r->session, 0)->name : "";
  return json_fail(r->j, "%s%.*s: the model has no such input; %s '%.100s'%s", prefix,
                   name.size > 100 ? 100 : (int)name.size, name.at,
                   nearest.best.at ? "did you mean" : "its first one is", nearest.best.at ? nearest.best.at : first,
                   nearest.best.at ? "?" : "");
}

static bool read_named(reader *r, str name, const char *prefix) {
  size_t index;
  if (!input_find(r->session, name, &index)) return unknown_input(r, name, prefix);
  char path[200];
  snprintf(path, sizeof path, "%s%s", prefix, sdx_session_input(r->session, index)->name);
  return read_input(r, index, path);
}

bool score_body_read(json *j, const sdx_session *session, sdx_value **inputs) {
  reader r = {j, session, inputs};
  size_t count = sdx_session_input_count(session);
  bool first = true;
  str key, inner;
  if (!json_open(j, '{', "the body")) return false;
  while (json_more(j, '{', &first)) {
    if (!json_key(j, &key)) return false;
    bool data = str_is(key, "data");
    if (data && json_peek(j) == '{') {
      bool inner_first = true;
      if (!json_open(j, '{', "data")) return false;
      while (json_more(j, '{', &inner_first))
        if (!json_key(j, &inner) || !read_named(&r, inner, "data.")) return false;
    } else if (data && count == 1) {
      if (!read_input(&r, 0, "data")) return false;
    } else if (data && !input_find(session, key, &(size_t){0})) {
      return json_fail(j, "data: the model has %zu inputs, expected an object with one member for each", count);
    } else if (!read_named(&r, key, "")) {
      return false;
    }
  }
  if (!json_end(j)) return false;
  for (size_t i = 0; i < count; i++)
    if (!inputs[i] && !sdx_session_input(session, i)->may_be_left_out)
      return json_fail(j, "input '%.100s' is missing; expected {\"data\": ...}", sdx_session_input(session, i)->name);
  return true;
}
