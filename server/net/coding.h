// SPDX-License-Identifier: Apache-2.0
// Content codings: request bodies are decoded whole, up to a limit; responses are encoded in pieces as they are sent.
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "base/text.h"

typedef enum coding { CODING_IDENTITY, CODING_GZIP, CODING_ZSTD, CODING_UNKNOWN } coding;
typedef struct coding_stream coding_stream;
struct http_body;
struct http_problem;

coding coding_from_name(str name);  // a value of Content-Encoding
const char *coding_name(coding c);
// What Accept-Encoding likes best of what there is here; identity when in doubt.
coding coding_choose(str accept);

// `body` is replaced by what it stands for. False: the problem is set.
bool coding_decode(coding c, struct http_body *body, size_t limit, struct http_problem *p);

coding_stream *coding_stream_create(coding c);  // NULL: memory
void coding_stream_destroy(coding_stream *s);
bool coding_stream_write(coding_stream *s, str piece, bool last, text *to);
