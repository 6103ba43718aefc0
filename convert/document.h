// SPDX-License-Identifier: Apache-2.0
// A document in JSON or in UBJSON (the binary form of it that XGBoost writes), walked as it stands: the caller asks for
// what it expects, no tree is built. The functions mirror base/json.h, which reads the text form. After a failure every
// call fails; `message` says where and why.
#pragma once

#include "base/json.h"
#include "convert/source.h"

enum { DOCUMENT_DEPTH = 64 };

typedef struct document {
  source *source;
  bool binary;
  json j;  // of the text; of the binary form its position and message
  struct document_level {
    bool list, counted;
    char type;  // of all elements, 0: each says its own
    uint64_t left;
  } levels[DOCUMENT_DEPTH];
  unsigned depth;
} document;

void document_init(document *d, source *s, bool binary);
static inline bool document_failed(const document *d) { return d->j.failed; }
static inline size_t document_at(const document *d) { return (size_t)(d->j.at - d->j.begin); }
bool document_fail(document *d, const char *format, ...) __attribute__((format(printf, 2, 3)));
// What comes next: '{' '[' '"' '0' (a number) 't' (true or false) 'n'; 0: the end or nothing known.
char document_peek(document *d);
bool document_string(document *d, str *text, const char *what);  // good until the source is closed or forgotten
bool document_bool(document *d, bool *value, const char *what);  // 0 and 1, too
bool document_i64(document *d, int64_t *value, const char *what);
bool document_f32(document *d, float *value, const char *what);  // rounded once
bool document_f64(document *d, double *value, const char *what);
bool document_skip(document *d);
bool document_end(document *d);

// for each member: while (document_member(d, what, &first, &key)) ...; it opens the object where `first` is true.
bool document_member(document *d, const char *what, bool *first, str *key);
// for each element: the same for lists.
bool document_element(document *d, const char *what, bool *first);
