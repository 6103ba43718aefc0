// SPDX-License-Identifier: Apache-2.0
// A session as a document: its description (docs/inspect.md), what its constants hold, and the steps of its plan.
#include <float.h>
#include <math.h>
#include <openssl/evp.h>
#include <stdlib.h>
#include <string.h>

#include "support/digest.h"
#include "support/elements.h"
#include "view/parts.h"

enum { BINS = 32, HEAD = 32, MOST_LOOKED_AT = 1 << 22 };

static json_t *description(const sdx_session *session, const char *what, fault *f) {
  char *text = sdx_session_describe(session, what);
  json_t *all = text ? json_loads(text, JSON_ALLOW_NUL, NULL) : NULL;
  sdx_string_free(text);
  if (!all) fault_no_memory(f);
  return all;
}

// ---- constants --------------------------------------------------------------------------------------

typedef struct range {
  double low, high, sum, squares;
  size_t finite, zeros, others;  // others: not finite
} range;

static range find_range(const sdx_value *v, size_t step) {
  range r = {.low = DBL_MAX, .high = -DBL_MAX};
  for (size_t i = 0; i < sdx_tensor_count(v); i += step) {
    double x = (double)element_number(v, i);
    if (!isfinite(x)) {
      r.others++;
      continue;
    }
    if (x < r.low) r.low = x;
    if (x > r.high) r.high = x;
    r.sum += x, r.squares += x * x;
    r.finite++, r.zeros += x == 0;
  }
  return r;
}

static json_t *count_bins(const sdx_value *v, size_t step, const range *r) {
  size_t bins[BINS] = {0};
  double scale = r->high > r->low ? BINS / (r->high - r->low) : 0;
  for (size_t i = 0; i < sdx_tensor_count(v); i += step) {
    double x = (double)element_number(v, i);
    if (!isfinite(x)) continue;
    double at = (x - r->low) * scale;
    bins[isfinite(at) && at < BINS ? (size_t)at : BINS - 1]++;
  }
  json_t *list = json_array();
  for (size_t i = 0; i < BINS; i++) json_array_append_new(list, json_integer((json_int_t)bins[i]));
  return list;
}

// Numbers are told; what is not finite is told as null.
static json_t *first_elements(const sdx_value *v) {
  json_t *list = json_array();
  for (size_t i = 0; i < sdx_tensor_count(v) && i < HEAD; i++)
    json_array_append_new(list, json_real((double)element_number(v, i)) ?: json_null());
  return list;
}

static json_t *statistics(const sdx_value *v) {
  json_t *all = json_object();
  char digest[DIGEST_BYTES];
  size_t count = sdx_tensor_count(v), step = count / MOST_LOOKED_AT + 1;
  json_t *shape = json_array();
  for (size_t i = 0; i < sdx_tensor_rank(v); i++) json_array_append_new(shape, json_integer(sdx_tensor_shape(v)[i]));
  json_object_set_new(all, "shape", shape);
  json_object_set_new(all, "dtype", json_string(sdx_dtype_name(sdx_tensor_dtype(v))));
  if (digest_of(sdx_tensor_data(v) ?: "", sdx_tensor_bytes(v), digest))
    json_object_set_new(all, "digest", json_string(digest));
  if (!count || !dtype_is_number(sdx_tensor_dtype(v))) return all;
  range r = find_range(v, step);
  if (step > 1) json_object_set_new(all, "every", json_integer((json_int_t)step));
  json_object_set_new(all, "head", first_elements(v));
  json_object_set_new(all, "zeros", json_integer((json_int_t)r.zeros));
  json_object_set_new(all, "not_finite", json_integer((json_int_t)r.others));
  if (!r.finite) return all;
  double mean = r.sum / (double)r.finite, variance = r.squares / (double)r.finite - mean * mean;
  json_object_set_new(all, "min", json_real(r.low));
  json_object_set_new(all, "max", json_real(r.high));
  json_object_set_new(all, "mean", json_real(mean));
  json_object_set_new(all, "deviation", json_real(sqrt(variance > 0 ? variance : 0)));
  json_object_set_new(all, "bins", count_bins(v, step, &r));
  return all;
}

static void add_bytes(json_t *constant, const sdx_value *v) {
  size_t size = sdx_tensor_bytes(v);
  char *text = malloc(4 * ((size + 2) / 3) + 1);
  if (text && size) EVP_EncodeBlock((unsigned char *)text, sdx_tensor_data(v), (int)size);
  if (text && size) json_object_set_new(constant, "data", json_string(text));
  free(text);
}

typedef struct known {
  size_t number, bytes;
} known;

static int by_bytes(const void *a, const void *b) {
  const known *x = a, *y = b;
  if (x->bytes != y->bytes) return x->bytes < y->bytes ? -1 : 1;
  return x->number < y->number ? -1 : x->number > y->number;
}

static size_t count_constants(const json_t *graphs) {
  size_t count = 0, g, i, k;
  json_t *graph, *at, *attribute;
  json_array_foreach((json_t *)graphs, g, graph) {
    json_array_foreach(json_object_get(graph, "values"), i, at) count += json_object_get(at, "constant") != NULL;
    json_array_foreach(json_object_get(graph, "nodes"), i, at) json_array_foreach(
        json_object_get(at, "attributes"), k, attribute) count += json_object_get(attribute, "constant") != NULL;
  }
  return count;
}

static json_t *constants(const sdx_session *session, size_t count, size_t weight_bytes, fault *f) {
  known *all = calloc(count + 1, sizeof *all);
  json_t *list = json_array();
  for (size_t i = 0; all && i < count; i++) {
    sdx_value *v = sdx_session_constant(session, i);
    all[i] = (known){i, v ? sdx_tensor_bytes(v) : SIZE_MAX};
    json_array_append_new(list, v ? statistics(v) : json_object());
    sdx_value_release(v);
  }
  if (all) qsort(all, count, sizeof *all, by_bytes);
  for (size_t i = 0; all && i < count && all[i].bytes <= weight_bytes && all[i].bytes < INT32_MAX; i++) {
    sdx_value *v = sdx_session_constant(session, all[i].number);
    if (v) add_bytes(json_array_get(list, all[i].number), v);
    weight_bytes -= all[i].bytes;
    sdx_value_release(v);
  }
  if (!all || json_array_size(list) != count) fault_no_memory(f);
  free(all);
  return list;
}

// ---- steps ------------------------------------------------------------------------------------------

// By node: the kernel that computes it, where, and what its results take. None of a model that is only read.
static json_t *steps(const sdx_session *session) {
  json_t *plan = description(session, "plan", NULL), *all = json_object(), *step, *output;
  size_t i, k;
  json_array_foreach(json_object_get(plan, "steps"), i, step) {
    json_int_t bytes = 0;
    json_array_foreach(json_object_get(step, "outputs"), k, output) bytes += number_of(output, "bytes");
    json_object_set_new(all, text_of(step, "node"),
                        json_pack("{s:O?,s:O?,s:O?,s:I}", "kernel", json_object_get(step, "kernel"), "place",
                                  json_object_get(step, "place"), "layout", json_object_get(step, "layout"), "bytes",
                                  bytes + number_of(step, "scratch_bytes")));
  }
  json_decref(plan);
  return all;
}

json_t *view_model(const sdx_session *session, const char *title, size_t weight_bytes, fault *f) {
  json_t *summary = description(session, "summary", f), *graph = NULL;
  if (number_of(summary, "nodes") > VIEW_MOST_NODES) {
    fault_set(f, SDX_LIMIT_EXCEEDED, "the model has %lld nodes; at most %d can be shown",
              (long long)number_of(summary, "nodes"), VIEW_MOST_NODES);
    fault_hint(f, "`sardonyx cut` takes a part out of a model");
  } else if (summary) {
    graph = description(session, "graph", f);
  }
  json_t *model = json_object(), *graphs = json_object_get(graph, "graphs");
  static const char *const kept[] = {"metadata", "custom_metadata", "inputs",    "outputs",    "nodes",
                                     "weights",  "weight_bytes",    "operators", "file_bytes", "functions"};
  json_object_set_new(model, "title", json_string(title) ?: json_string("model"));
  json_object_set_new(model, "warnings", json_string(sdx_session_warnings(session) ?: "") ?: json_string(""));
  for (size_t i = 0; summary && i < sizeof kept / sizeof *kept; i++)
    if (json_object_get(summary, kept[i])) json_object_set(model, kept[i], json_object_get(summary, kept[i]));
  json_object_set(model, "graphs", graphs);
  if (graph) {
    json_object_set_new(model, "constants", constants(session, count_constants(graphs), weight_bytes, f));
    json_object_set_new(model, "steps", steps(session));
  }
  if (graph && !f->status) view_arrange(model, f);
  json_decref(graph);
  json_decref(summary);
  if (!f->status) return model;
  json_decref(model);
  return NULL;
}

sdx_status view_add_times(json_t *model, const json_t *trace, fault *f) {
  const json_t *events = json_is_array(trace) ? trace : json_object_get(trace, "traceEvents");
  json_t *times = json_object(), *event;
  size_t i;
  json_array_foreach((json_t *)events, i, event) {
    const char *node = text_of(json_object_get(event, "args"), "node");
    double so_far = json_number_value(json_object_get(times, node));
    if (*node) json_object_set_new(times, node, json_real(so_far + json_number_value(json_object_get(event, "dur"))));
  }
  bool any = json_object_size(times);
  json_object_set_new(model, "times", times);
  if (any) return SDX_OK;
  fault_set(f, SDX_INVALID_ARGUMENT, "no event of the trace names a node");
  return fault_hint(f, "`sardonyx run MODEL --profile FILE` writes one");
}

json_t *view_document(json_t *model, json_t *other, fault *f) {
  if (other) view_compare(model, other, f);
  json_t *models = json_array(), *document = json_object();
  json_array_append_new(models, model);
  if (other) json_array_append_new(models, other);
  json_object_set_new(document, "models", models);
  if (!f->status) return document;
  json_decref(document);
  return NULL;
}
