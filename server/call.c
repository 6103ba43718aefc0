// SPDX-License-Identifier: Apache-2.0
// Responses of calls (call.h).
#include "server/call.h"

#include <stdarg.h>

#include "base/host.h"

void call_error(call *c, int status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  http_response_verror(&c->x.response, status, format, list);
  va_end(list);
}

void call_retry(call *c, int status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  http_response_verror(&c->x.response, status, format, list);
  va_end(list);
  http_response_header(&c->x.response, "Retry-After", "%u", server_retry_seconds(c->srv));
}

void call_retry_after(call *c, uint64_t ns, const char *format, ...) {
  va_list list;
  va_start(list, format);
  http_response_verror(&c->x.response, 503, format, list);
  va_end(list);
  http_response_header(&c->x.response, "Retry-After", "%llu", (unsigned long long)(ns / 1000000000 + 1));
}

void call_late(call *c) {
  call_error(c, 504, "the result was not there after %llu ms (limit timeout-ms or header x-request-timeout-ms)",
             (unsigned long long)((c->deadline_ns - c->x.body_ns) / 1000000));
}

void call_expired(call *c) {
  if (clock_ns() >= c->deadline_ns) {
    call_late(c);
    return;
  }
  atomic_fetch_add(&c->srv->refused_wait, 1);
  call_retry(c, 503, "no worker became free for %lld ms (limit max-queue-wait-ms)",
             (long long)c->srv->limits.max_queue_wait_ms);
}

int call_status(const call *c) { return c->answered_with ? c->answered_with : c->x.response.status; }

void call_take_wishes(call *c, uint64_t timeout_us, unsigned priority) {
  if (timeout_us && timeout_us < (c->deadline_ns - c->x.body_ns) / 1000) {
    c->deadline_ns = c->x.body_ns + timeout_us * 1000;
    c->hurried = true;
  }
  if (priority) c->asked = priority;
}

void call_json(call *c, int status) {
  c->x.response.status = status;
  c->x.response.content_type = "application/json";
}

void call_text(call *c, int status, const char *string) {
  text_put(call_body(c), string);
  c->x.response.status = status;
  c->x.response.content_type = "text/plain; charset=utf-8";
}

void call_engine_error(call *c, sdx_status status, const sdx_run *run) {
  const char *message = run ? sdx_run_error(run) : "";
  char *details = run ? sdx_run_error_json(run) : NULL;
  if (!*message) message = sdx_status_text(status);
  if (status == SDX_NO_MEMORY) call_retry(c, sdx_status_http(status), "%s", message);
  else call_error(c, sdx_status_http(status), "%s", message);
  if (details) http_response_error_details(&c->x.response, details);
  sdx_string_free(details);
}

void call_read_json(call *c, json *j) {
  http_body *b = &c->x.request.body;
  limits_json(&c->srv->limits, j, b->at, b->size);
}

void call_cancel(call *c, int status) {
  pthread_mutex_lock(&c->lock);
  if (!c->cancel_status) {
    c->cancel_status = status;
    if (c->run) sdx_run_cancel(c->run);
  }
  pthread_mutex_unlock(&c->lock);
}
