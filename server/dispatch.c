// SPDX-License-Identifier: Apache-2.0
// From a head to an answer: what the connection layer asks of the server (net_handler).
//   head    id, route, model, caps: a refusal is decided here, before a byte of the body is kept
//   body    a route answers at once, or admission takes the call
//   end     metrics, access log, memory back
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/host.h"
#include "server/admission/script.h"
#include "server/cors.h"
#include "server/dispatch.h"
#include "server/grpc.h"
#include "server/monitor/monitor.h"
#include "server/monitor/otlp.h"
#include "server/response_cache.h"
#include "server/script_reply.h"
#include "server/v2_tensor.h"

enum { SMALL_BODY_BYTES = 65536 };  // of requests that run no model
static const uint64_t ms = 1000000;

// ---- head ----------------------------------------------------------------------------------------

// What the client calls its request: printable, short, echoed.
static bool id_is_good(call *c, const char *name) {
  const str *given = http_request_header(&c->x.request, name);
  for (size_t i = 0; given && i < given->size; i++)
    if (!isprint((unsigned char)given->at[i])) {
      call_error(c, 400, "header %s: expected printable ASCII", name);
      return false;
    }
  if (!given || given->size <= CALL_ID_BYTES) return true;
  call_error(c, 431, "header %s has %zu characters, expected at most %d", name, given->size, CALL_ID_BYTES);
  return false;
}

static bool take_id(call *c) {
  static const char hex[] = "0123456789abcdef";
  if (!id_is_good(c, "x-request-id") || !id_is_good(c, "x-ms-request-id") || !id_is_good(c, "x-ms-client-request-id"))
    return false;
  const str *given = http_request_header(&c->x.request, "x-request-id");
  if (given) {
    memcpy(c->id, given->at, given->size);
    return true;
  }
  static atomic_uint_fast64_t serial;
  uint64_t seed = c->srv->seed, words[2] = {seed, (seed ^ atomic_fetch_add(&serial, 1)) * 0x9E3779B97F4A7C15u};
  for (size_t i = 0; i < 32; i++) c->id[i] = hex[words[i / 16] >> (i % 16 * 4) & 15];
  return true;
}

static void take_trace(call *c) {
  const str *given = http_request_header(&c->x.request, "traceparent");
  c->trace = (trace){0};
  if (given) trace_read(&c->trace, *given);
  if (c->srv->otlp) otlp_begin(c->srv->otlp, c);
}

// Where {model}, {name}, {version} and {file} go, by their first letters.
static str *word_of_path(call *c, char letter) {
  switch (letter) {
    case 'm':
      return &c->model_name;
    case 'n':
      return &c->asset_name;
    case 'v':
      return &c->version_name;
    default:
      return &c->file_name;
  }
}

static bool match(call *c, const char *pattern) {
  const char *p = c->x.request.path;
  c->model_name = c->asset_name = c->version_name = c->file_name = (str){0};
  while (*pattern) {
    if (*pattern == '{') {
      str word = {p, strcspn(p, ":/")};  // no name has a colon; a verb stands behind one
      if (!word.size) return false;
      *word_of_path(c, pattern[1]) = word;
      p += word.size;
      pattern += strcspn(pattern, "}") + 1;
    } else if (*pattern++ != *p++) {
      return false;
    }
  }
  return !*p;
}

static void refuse_method(call *c, unsigned allowed) {
  char list[64];
  int used = 0;
  for (int i = 0; http_methods[i]; i++)
    if (allowed >> i & 1)
      used += snprintf(list + used, sizeof list - (size_t)used, "%s%s", used ? ", " : "", http_methods[i]);
  str name = c->x.request.method_name;
  call_error(c, 405, "method %.*s is not allowed here, expected %s", name.size < 20 ? (int)name.size : 20, name.at,
             list);
  http_response_header(&c->x.response, "Allow", "%s", list);
}

static bool find_route(call *c) {
  unsigned allowed = 0;
  // Paths without words first: /v2/models/stats is no model named stats.
  for (int words = 0; words < 2 && !allowed; words++)
    for (const http_route *const *r = c->srv->routes; *r && !c->route; r++)
      for (size_t i = 0; i < ROUTE_PATHS && (*r)->paths[i] && !c->route; i++)
        if (!strchr((*r)->paths[i], '{') == !words && match(c, (*r)->paths[i])) {
          allowed |= (*r)->methods;
          if ((*r)->methods & c->x.request.method) c->route = *r;
        }
  if (c->route) return true;
  if (allowed) refuse_method(c, allowed);
  else call_error(c, 404, "no such path; GET /v2 describes the server, GET /openapi.json its paths");
  return false;
}

// A proxy on this machine speaks for others, unless it is trusted and says who they are.
bool dispatch_is_local(const call *c) { return address_is_loopback(&c->x.client) && !c->x.unproven; }

static void refuse_model(call *c) {
  const model_list *all = models_list(&c->srv->models);
  if (!all->count) call_error(c, 404, "no model '%.*s'; there are none beside the script", STR_ARG(c->model_name));
  else
    call_error(c, 404, "no model '%.*s'; there %s %zu, the first is '%s'", STR_ARG(c->model_name),
               all->count > 1 ? "are" : "is", all->count, all->first->name);
}

// The model of an entry that is loaded because it is asked for. False: the response is set.
static bool load_model(call *c) {
  char why[1400];
  c->model = residence_acquire(&c->srv->models, c->entry, why, sizeof why);
  if (!c->model)
    call_retry(c, 503, "model '%s' version %s cannot be loaded now; the log says why", c->entry->name,
               c->entry->version);
  return c->model != NULL;
}

bool dispatch_find_model(call *c) {
  models *t = &c->srv->models;
  c->scripted = c->route->script && c->srv->script;
  if (c->scripted) {
    c->entry = script_pool_entry(c->srv->script);
    return true;
  }
  char name[MODEL_NAME_BYTES] = "";
  if (!c->model_name.at) {
    if (c->route->access == ROUTE_SCORE && !c->route->answer) c->entry = models_default(t, &c->model);
    if (!c->entry || c->model) return true;
  } else if (!model_name_read(c->model_name, name)) {
    call_error(c, 400, "the name of the model: expected letters and digits of any script and . _ -, no dot first");
    return false;
  } else {
    c->entry = models_find(t, str_from(name), c->version_name, &c->model);
  }
  if (c->model || (c->entry && c->route->unloaded_too)) return true;
  if (c->entry && models_serve(t, c->entry)) {
    if (c->deferred) return load_model(c);
    return c->deferred = true;
  }
  model *other = NULL;
  model_entry *newest = c->entry ? NULL : models_find(t, str_from(name), (str){0}, &other);
  model_release(other);
  if (c->entry) call_retry(c, 503, "model '%s' version %s is not loaded", c->entry->name, c->entry->version);
  else if (newest)
    call_error(c, 404, "model '%s' has no version '%.*s'; the newest is %s", newest->name, STR_ARG(c->version_name),
               newest->version);
  else refuse_model(c);
  return false;
}

// The time a call may take: the server's, or less when the client says so.
static bool take_deadline(call *c) {
  uint64_t limit = (uint64_t)c->srv->limits.timeout_ms;
  const str *given = http_request_header(&c->x.request, "x-request-timeout-ms");
  const str *of_grpc = c->route->grpc ? http_request_header(&c->x.request, "grpc-timeout") : NULL;
  uint64_t ns = limit * ms;
  if (of_grpc && !grpc_timeout_read(*of_grpc, &ns)) {
    call_error(c, 400, "header grpc-timeout: expected up to 8 digits and a unit of H, M, S, m, u, n");
    return false;
  }
  if (given) {
    uint64_t wanted = 0;
    for (size_t i = 0; i < given->size && given->size <= 18; i++) {
      bool digit = given->at[i] >= '0' && given->at[i] <= '9';
      wanted = digit ? wanted * 10 + (uint64_t)(given->at[i] - '0') : 0;
      if (!digit) break;
    }
    if (!wanted) {
      call_error(c, 400, "header x-request-timeout-ms: expected a positive whole number of milliseconds");
      return false;
    }
    if (wanted < limit) limit = wanted;
  }
  c->deadline_ns = ns < limit * ms ? ns : limit * ms;  // made absolute when the body is complete
  return true;
}

static bool take_priority(call *c) {
  const str *given = http_request_header(&c->x.request, "x-request-priority");
  int64_t number = 0;
  if (!given) return true;
  if (!number_read_int(*given, &number) || number < 0 || number > V2_PRIORITIES) {
    call_error(c, 400, "header x-request-priority: expected a number from 1, the most urgent, to %d", V2_PRIORITIES);
    return false;
  }
  if (number) c->asked = (unsigned)number;
  return true;
}

// Who shares the threads with others: an address, and a key where one is given.
static uint64_t with_key(const call *c, uint64_t hash) {
  const str *key = http_request_header(&c->x.request, "authorization");
  for (size_t i = 0; key && i < key->size; i++) hash = (hash ^ (unsigned char)key->at[i]) * 0x100000001B3u;
  return hash ^ hash >> 32;
}

static bool media_type_is(str value, const char *type) {
  size_t size = strlen(type);
  return value.size >= size && !strncasecmp(value.at, type, size) &&
         (value.size == size || value.at[size] == ';' || value.at[size] == ' ');
}

static bool check_types(call *c) {
  const str *coding = http_request_header(&c->x.request, "content-encoding");
  const str *type = http_request_header(&c->x.request, "content-type");
  if (coding && coding_from_name(*coding) == CODING_UNKNOWN) {
    call_error(c, 415, "header Content-Encoding is '%.*s', expected gzip, zstd or none", STR_ARG(*coding));
    http_response_header(&c->x.response, "Accept-Encoding", "gzip, zstd");
    return false;
  }
  // Only types that a foreign web page cannot send without asking first (CORS); a script may take any.
  if (!type || c->scripted || c->route->grpc || media_type_is(*type, "application/json") ||
      (c->route->binary && media_type_is(*type, "application/octet-stream")))
    return true;
  bool form = media_type_is(*type, "application/x-www-form-urlencoded");  // what curl -d sends
  call_error(c, 415, "header Content-Type is '%.*s', expected application/json%s%s",
             type->size < 60 ? (int)type->size : 60, type->at,
             c->route->binary ? " or, with binary tensors, application/octet-stream" : "",
             form ? "; with curl: -H 'Content-Type: application/json'" : "");
  return false;
}

static bool take_options(call *c) {
  str nan;
  if (c->scripted || !http_request_query(&c->x.request, "nan", &nan)) return true;
  c->nan_literal = str_is(nan, "literal");
  if (c->nan_literal || str_is(nan, "null")) return true;
  call_error(c, 400, "query parameter nan: expected null or literal");
  return false;
}

static bool within_share(call *c, unsigned now) {
  int64_t most = c->srv->limits.max_client_requests;
  if (!most || now <= most) return true;
  atomic_fetch_add(&c->srv->refused_client, 1);
  call_retry(c, 429, "this client has %u scoring requests open, the limit max-client-requests is %lld", now - 1,
             (long long)most);
  return false;
}

static bool admit_scoring(call *c) {
  server *srv = c->srv;
  uint64_t client = address_hash(&c->x.client, srv->seed);
  c->client = (unsigned)(client % NET_CLIENTS);
  c->fair = with_key(c, client);
  unsigned now = atomic_fetch_add(&srv->clients[c->client], 1) + 1;
  c->counted = true;
  if (c->elsewhere) return take_deadline(c) && within_share(c, now);
  if (!check_types(c) || !take_options(c)) return false;
  if (!c->scripted && !http_request_has_body(&c->x.request) && !c->x.request.has_length && !c->x.stream) {
    call_error(c, 400, "the request has no body, expected JSON");
    return false;
  }
  return take_deadline(c) && take_priority(c) && within_share(c, now);
}

static bool head(exchange *x) {
  call *c = (call *)x;
  c->srv = x->net->context;
  c->asked = (unsigned)c->srv->limits.default_priority;
  pthread_mutex_init(&c->lock, NULL);
  take_trace(c);
  if (!take_id(c) || cors_preflight(c) || !find_route(c) || (c->route->grpc && !grpc_head(c))) return false;
  if (!c->route->open && !keys_allow(&c->srv->keys, http_request_header(&x->request, "authorization"))) {
    call_error(c, 401, "this path asks for a key: 'Authorization: Bearer KEY'");
    http_response_header(&x->response, "WWW-Authenticate", "Bearer");
    return false;
  }
  if (c->route->access == ROUTE_KEYED && !c->srv->keys.path) {
    call_error(c, 403, "this path is for who has a key, and this server was started without");
    return false;
  }
  if (c->route->access == ROUTE_MANAGE && !dispatch_is_local(c)) {
    call_error(c, 403, "this path is answered to clients on the same machine only");
    return false;
  }
  if (c->route->access == ROUTE_SCORE && !c->route->answer && !c->route->grpc) {
    c->elsewhere = split_takes(&c->srv->split, c);
    if (x->response.status) return false;
  }
  if (!c->elsewhere && !c->route->grpc && !dispatch_find_model(c)) return false;
  if (!c->route->answer) {
    x->messages = c->route->messages;
    if (admit_scoring(c)) return true;
    return x->messages = false;
  }
  x->messages = c->route->messages;
  if (!c->route->binary && x->body_limit > SMALL_BODY_BYTES) x->body_limit = SMALL_BODY_BYTES;
  return !http_request_has_body(&x->request) || !(x->request.method & (METHOD_POST | METHOD_PATCH)) || check_types(c);
}

// ---- body ----------------------------------------------------------------------------------------

static void answer(call *c) {
  if (c->route->grpc) {
    if (c->deferred || grpc_open(c)) c->route->answer(c);
    return;
  }
  if (c->deferred && !load_model(c)) return;
  const str *encoding = http_request_header(&c->x.request, "content-encoding");
  http_problem p = {0};
  if (encoding && http_request_has_body(&c->x.request) &&
      !coding_decode(coding_from_name(*encoding), &c->x.request.body, c->x.body_limit, &p))
    call_error(c, p.status, "%s", p.message);
  else c->route->answer(c);
}

static admission *policy(const call *c) {
  if (c->elsewhere) return c->srv->elsewhere;
  if (c->scripted) return script_pool_admission(c->srv->script);
  if (c->route->answer) return c->srv->chores;
  return c->deferred ? c->srv->queue : c->model->admission;
}

static bool body(exchange *x) {
  call *c = (call *)x;
  if (c->route->answer && !c->route->blocks) {
    bool waits = c->deferred;
    if (!waits) answer(c);
    if (!waits && !c->deferred) return true;
  }
  c->work = c->elsewhere ? split_work : c->route->answer ? answer : compute_work;
  if (c->route->grpc && !c->route->answer) {
    c->packed = x->request.body.size && x->request.body.at[0];
    c->deferred = c->packed;
    if (!c->packed && !grpc_infer_bind(c) && !c->deferred) return true;
  }
  if (c->srv->cache && !c->route->answer && response_cache_answer(c)) return true;
  admission *a = policy(c);
  c->deadline_ns = c->route->answer ? UINT64_MAX : c->deadline_ns + x->body_ns;
  return a->submit(a, c);
}

static bool withdrawn(call *c) {
  admission *a = policy(c);
  return a->withdraw(a, c);
}

static void cancel(exchange *x, int status) {
  call *c = (call *)x;
  if (!withdrawn(c)) {
    call_cancel(c, status);
    return;
  }
  atomic_fetch_add(&c->srv->cancelled, 1);
  if (status == 499) call_error(c, 499, "the client closed the connection before its turn came");
  else call_retry(c, status, "the server is shutting down");
  exchange_post(x);
}

static void expire(exchange *x) {
  call *c = (call *)x;
  if (!withdrawn(c)) return;
  if (c->scripted && clock_ns() >= c->deadline_ns) script_reply_late(c);
  else call_expired(c);
  exchange_post(x);
}

// ---- end -----------------------------------------------------------------------------------------

// What clients of the scoring container look for. x-ms-request-id is an older name of the client's id, and always
// there.
static void add_container_headers(call *c) {
  http_response *r = &c->x.response;
  const str *client = http_request_header(&c->x.request, "x-ms-client-request-id"),
            *older = http_request_header(&c->x.request, "x-ms-request-id");
  if (!client) client = older;
  if (!older) older = client;
  http_response_header(r, "x-ms-request-id", "%.*s", older ? (int)older->size : CALL_ID_BYTES,
                       older ? older->at : c->id);
  if (client) http_response_header(r, "x-ms-client-request-id", "%.*s", (int)client->size, client->at);
  http_response_header(r, "x-ms-server-version", "%s", sdx_version());
  if (c->run_ns) http_response_header(r, "x-ms-run-fn-exec-ms", "%.3f", (double)(c->done_ns - c->run_ns) / 1e6);
  if (c->run_ns || c->scripted)
    http_response_header(r, "x-ms-run-function-failed",
                         (c->scripted ? !c->run_failed : r->status == 200) ? "False" : "True");
}

static void seal(exchange *x) {
  call *c = (call *)x;
  bool container = c->route && c->route->container;
  if (!c->srv) return;
  if (x->stream && grpc_is(&x->request)) grpc_seal(c);
  if (!*c->id) return;
  cors_add(c);
  if (container || http_request_header(&x->request, "x-request-id") ||
      http_request_header(&x->request, "x-ms-request-id"))
    http_response_header(&x->response, "x-request-id", "%s", c->id);
  if (container) add_container_headers(c);
}

static void account(call *c) {
  server *srv = c->x.net->context;
  if (!c->x.response.status) c->x.response.status = 499;
  uint64_t now = clock_ns(), took = now - c->x.start_ns;
  model_metrics *metrics = c->counted && (c->model || c->scripted) ? &c->entry->metrics : &srv->no_model;
  metrics_count(metrics, call_status(c));
  histogram_seconds(&metrics->latency, took, call_trace(c));
  if (c->run_ns && call_status(c) < 400)
    histogram_seconds(&metrics->phases[METRIC_WRITE], now - c->done_ns, call_trace(c));
  monitor_end(c, now);
  if (srv->config->access_log) call_log(c, took);
}

static void release(call *c) {
  sequence_release(c);
  for (size_t i = 0; c->inputs && i < c->model->input_count; i++) sdx_value_release(c->inputs[i]);
  free(c->inputs);
  free(c->outputs);
  free(c->route_state);
  model_release(c->model);
}

static void next(exchange *x) {
  call *c = (call *)x;
  account(c);
  release(c);
  c->inputs = NULL;
  c->outputs = NULL;
  c->route_state = NULL;
  c->model = NULL;
  c->entry = NULL;
  c->parsed = c->hurried = c->deferred = c->cacheable = false;
  c->run_ns = c->done_ns = c->parse_ns = c->parsed_ns = c->waited_ns = c->turn = 0;
  take_trace(c);
  c->answered_with = 0;
  x->start_ns = clock_ns();
  take_deadline(c);
}

static void end(exchange *x) {
  call *c = (call *)x;
  server *srv = x->net->context;
  if (!x->messages || c->entry) account(c);  // each of its messages was
  if (c->counted) atomic_fetch_sub(&srv->clients[c->client], 1);
  release(c);
  if (c->srv) pthread_mutex_destroy(&c->lock);
}

const net_handler call_handler = {sizeof(call), head, body, cancel, expire, seal, next, end};
