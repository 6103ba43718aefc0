// SPDX-License-Identifier: Apache-2.0
// One line a request, also for what is none (option --access-log).
#include "base/host.h"
#include "server/call.h"
#include "server/log.h"

void call_log(const call *c, uint64_t ns) {
  const http_request *r = &c->x.request;
  char time[CLOCK_STAMP], client[ADDRESS_TEXT];
  clock_stamp(time);
  address_print(&c->x.client, client);
  // What came of a request that is none is quoted as it came, cut: it cannot begin a line of its own.
  str path = r->path[0] ? str_from(r->path) : r->target, method = r->method_name;
  if (path.size > 200) path.size = 200;
  if (method.size > 20) method.size = 20;
  char trace_id[2 * TRACE_ID + 1], span_id[2 * SPAN_ID + 1];
  trace_hex(trace_id, c->trace.id, TRACE_ID);
  trace_hex(span_id, c->trace.recorded ? c->trace.span : c->trace.parent, SPAN_ID);
  text o = {0}, said = {0};
  text_format(&said, "%s %.*s ", client, method.size ? (int)method.size : 1, method.size ? method.at : "-");
  text_json_string(&said, path);
  text_format(&said, " %d %zu %.3fms", call_status(c), r->body.size, (double)ns / 1e6);
  if (log_is_json()) {
    text_format(&o, "{\"time\":\"%s\",\"level\":\"info\",\"client\":\"%s\",\"id\":", time, client);
    text_json_string(&o, str_from(c->id));
    text_format(&o, ",\"protocol\":\"%s\",\"method\":", c->x.stream ? "HTTP/2" : r->http_1_0 ? "HTTP/1.0" : "HTTP/1.1");
    text_json_string(&o, method);
    text_put(&o, ",\"path\":");
    text_json_string(&o, path);
    text_format(&o, ",\"status\":%d,\"bytes\":%zu,\"ms\":%.3f,\"run_ms\":%.3f", call_status(c), r->body.size,
                (double)ns / 1e6, (double)(c->done_ns - c->run_ns) / 1e6);
    if (c->trace.known) text_format(&o, ",\"trace_id\":\"%s\",\"span_id\":\"%s\"", trace_id, span_id);
    text_put(&o, "}");
  } else if (!said.failed) {
    text_format(&o, "%s %.*s %s", time, (int)said.size, said.at, c->id[0] ? c->id : "-");
    if (c->trace.known) text_format(&o, " %s", trace_id);
  }
  const char *level = call_status(c) < 400 ? "info" : call_status(c) < 500 ? "warning" : "error";
  log_text(&o, &(log_about){level, c->id, c->entry ? c->entry->name : ""}, (str){said.at, said.size});
  text_deinit(&said);
}
