// SPDX-License-Identifier: Apache-2.0
// A model's graph to look at: one page that needs nothing beside itself, or a picture. What is shown is a document in
// JSON, of one model or of two that are compared:
//
//   json_t *model = view_model(session, "model.onnx", VIEW_WEIGHT_BYTES, &f);
//   json_t *document = model ? view_document(model, NULL, &f) : NULL;
//   if (!document || view_page(document, &sink, &f)) return print(f.message);
//   json_decref(document);
//
// A server that sends the page sends view_policy as its Content-Security-Policy. Read next: model.c (what is told of a
// model), arrange.c (where nodes lie, what folds), difference.c, page.c, svg.c; in the browser: start.js.
#pragma once

#include <jansson.h>

#include "sardonyx/sardonyx.h"
#include "support/fault.h"

enum { VIEW_WEIGHT_BYTES = 4 << 20, VIEW_MOST_NODES = 200000 };

typedef struct view_sink {
  bool (*put)(void *context, const char *bytes, size_t size);  // false: no more is wanted
  void *context;
} view_sink;

// What there is to see of a session that has not run yet; of the bytes of its weights the smallest tensors, at most
// `weight_bytes` together. NULL on failure: a model of more than VIEW_MOST_NODES nodes is refused.
json_t *view_model(const sdx_session *session, const char *title, size_t weight_bytes, fault *f);
// Adds how long nodes took, from a Chrome trace as `sardonyx run --profile` writes it.
sdx_status view_add_times(json_t *model, const json_t *trace, fault *f);
// One model, or two and what differs. Takes both references over. NULL on failure.
json_t *view_document(json_t *model, json_t *other, fault *f);

sdx_status view_page(const json_t *document, const view_sink *sink, fault *f);
char *view_policy(void);  // to be freed; NULL: no memory
// The main graph of the (first) model.
sdx_status view_svg(const json_t *document, const view_sink *sink, fault *f);
// The same as PNG, drawn by the program rsvg-convert; *png is to be freed.
sdx_status view_png(const json_t *document, char **png, size_t *size, fault *f);
