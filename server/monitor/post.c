// SPDX-License-Identifier: Apache-2.0
// One POST (post.h).
#include "server/monitor/post.h"

#include <stdio.h>

enum { TIMEOUT_MS = 5000, LAST_MS = 1000 };

static bool may_pass(long status) { return status == 429 || status == 502 || status == 503 || status == 504; }

delivery post_bytes(http *h, const char *url, const char *type, const char *bytes, size_t size, bool last, char *why,
                    size_t why_size) {
  http_answer answer;
  fault f = {0};
  http_call call = {.method = "POST",
                    .url = url,
                    .content_type = type,
                    .timeout_ms = last ? LAST_MS : TIMEOUT_MS,
                    .sends = true,
                    .send_bytes = bytes,
                    .send_size = size};
  if (http_do(h, &call, &answer, &f)) {
    snprintf(why, why_size, "%s", f.message);
    return DELIVER_AGAIN;
  }
  long status = answer.status;
  http_answer_free(&answer);
  if (status / 100 == 2) return DELIVERED;
  snprintf(why, why_size, "%.200s answers %ld", url, status);
  return may_pass(status) ? DELIVER_AGAIN : DELIVER_NEVER;
}
