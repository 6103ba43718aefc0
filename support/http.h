// SPDX-License-Identifier: Apache-2.0
// One HTTP exchange at a time over a kept connection, by libcurl, which is loaded when it is first needed: a command
// that talks to nobody does not start with it. Credentials are for the host they were given for and follow nowhere
// else.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/fault.h"

typedef struct http http;

typedef struct http_call {
  const char *method, *url;
  const char *unix_socket;    // the path of a socket to talk to, whatever the host of the URL; NULL: none
  bool any_certificate;       // of a server whose certificate need not be known here
  const char *authorization;  // the value of the header; NULL: none
  const char *content_type, *content_range, *accept;
  unsigned timeout_ms;  // of the whole exchange; 0: as long as something moves
  uint64_t from;        // Range: bytes=from-, where it is not 0
  // The body that is sent: `send_size` bytes of the file `send_fd` from `send_from`, or of `send_bytes`.
  bool sends;
  int send_fd;
  const void *send_bytes;
  uint64_t send_from, send_size;
  // What comes back, of a 2xx answer, in pieces; false ends the exchange. NULL: kept in the answer, up to 4 MiB.
  bool (*receive)(void *context, long status, const void *bytes, size_t size);
  void *context;
  void (*progress)(void *context, uint64_t sent);
  void *progress_context;
} http_call;

typedef struct http_answer {
  long status;  // 0: there was no answer
  char content_type[256], digest[128], location[2048], range[64], challenge[2048];
  unsigned retry_after_s;
  char *body;  // with a NUL behind it, or NULL; freed by http_answer_free
  size_t body_size;
  bool refused;  // `receive` ended it
} http_answer;

sdx_status http_open(http **h, fault *f);
void http_close(http *h);
// A failure is one of the connection; a refusal by the server is an answer.
sdx_status http_do(http *h, const http_call *call, http_answer *answer, fault *f);
void http_answer_free(http_answer *a);
