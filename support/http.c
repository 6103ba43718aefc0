// SPDX-License-Identifier: Apache-2.0
// libcurl (http.h).
#include "support/http.h"

#include <curl/curl.h>
#include <dlfcn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

enum { BODY_BYTES = 4 << 20, CONNECT_SECONDS = 15, STALLED_SECONDS = 30 };

#define CURL_CALLS(X)   \
  X(curl_global_init)   \
  X(curl_easy_init)     \
  X(curl_easy_cleanup)  \
  X(curl_easy_reset)    \
  X(curl_easy_setopt)   \
  X(curl_easy_getinfo)  \
  X(curl_easy_perform)  \
  X(curl_easy_strerror) \
  X(curl_slist_append)  \
  X(curl_slist_free_all)

static struct {
#define X(name) __typeof__(&name) name;
  CURL_CALLS(X)
#undef X
  void *library;
} lib;
// The macros of curl's header check argument types; the calls below go through the table.
#undef curl_easy_setopt
#undef curl_easy_getinfo

struct http {
  CURL *curl;
};

static sdx_status load(fault *f) {
  if (lib.library) return SDX_OK;
  void *library = dlopen("libcurl.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!library) library = dlopen("libcurl-gnutls.so.4", RTLD_NOW | RTLD_LOCAL);
  if (!library) {
    fault_set(f, SDX_NOT_SUPPORTED, "libcurl is needed to talk to other servers: %s", dlerror());
    return fault_hint(f, "apt-get install libcurl4");
  }
#define X(name)                                               \
  if (!(lib.name = (__typeof__(&name))dlsym(library, #name))) \
    return fault_set(f, SDX_NOT_SUPPORTED, "libcurl has no " #name);
  CURL_CALLS(X)
#undef X
  lib.curl_global_init(CURL_GLOBAL_DEFAULT);
  lib.library = library;
  return SDX_OK;
}

sdx_status http_open(http **h, fault *f) {
  *h = calloc(1, sizeof **h);
  if (!*h) return fault_no_memory(f);
  if (!load(f)) (*h)->curl = lib.curl_easy_init();
  if ((*h)->curl) return SDX_OK;
  fault_no_memory(f);
  http_close(*h);
  *h = NULL;
  return f->status;
}

void http_close(http *h) {
  if (!h) return;
  if (h->curl) lib.curl_easy_cleanup(h->curl);
  free(h);
}

// ---- callbacks ---------------------------------------------------------------------------------

typedef struct exchange {
  http *h;
  const http_call *call;
  http_answer *answer;
  uint64_t sent;
} exchange;

static size_t take_body(char *bytes, size_t one, size_t size, void *context) {
  exchange *x = context;
  http_answer *a = x->answer;
  lib.curl_easy_getinfo(x->h->curl, CURLINFO_RESPONSE_CODE, &a->status);
  if (x->call->receive && a->status / 100 == 2) {
    a->refused = !x->call->receive(x->call->context, a->status, bytes, size);
    return a->refused ? 0 : size;
  }
  char *more = a->body_size + size <= BODY_BYTES ? realloc(a->body, a->body_size + size + 1) : NULL;
  if (!more) {
    a->refused = true;
    return 0;
  }
  a->body = more;
  memcpy(a->body + a->body_size, bytes, size);
  a->body_size += size;
  a->body[a->body_size] = 0;
  return size;
}

static void keep(char *place, size_t room, const char *value, size_t size) {
  while (size && (*value == ' ' || *value == '\t')) value++, size--;
  while (size && (value[size - 1] == '\r' || value[size - 1] == '\n' || value[size - 1] == ' ')) size--;
  if (size < room) snprintf(place, room, "%.*s", (int)size, value);
}

static size_t take_header(char *line, size_t one, size_t size, void *context) {
  http_answer *a = ((exchange *)context)->answer;
  char number[16] = "";
  const struct {
    const char *name;
    char *place;
    size_t room;
  } wanted[] = {{"content-type:", a->content_type, sizeof a->content_type},
                {"docker-content-digest:", a->digest, sizeof a->digest},
                {"location:", a->location, sizeof a->location},
                {"range:", a->range, sizeof a->range},
                {"www-authenticate:", a->challenge, sizeof a->challenge},
                {"retry-after:", number, sizeof number}};
  if (size > 5 && !strncmp(line, "HTTP/", 5)) {  // of a redirected exchange only the last answer counts
    char *body = a->body;
    *a = (http_answer){.body = body};
  }
  for (size_t i = 0; i < sizeof wanted / sizeof *wanted; i++) {
    size_t length = strlen(wanted[i].name);
    if (size > length && !strncasecmp(line, wanted[i].name, length))
      keep(wanted[i].place, wanted[i].room, line + length, size - length);
  }
  if (number[0]) a->retry_after_s = (unsigned)strtoul(number, NULL, 10);
  return size;
}

static size_t give_body(char *buffer, size_t one, size_t room, void *context) {
  exchange *x = context;
  const http_call *c = x->call;
  uint64_t left = c->send_size - x->sent;
  size_t size = left < room ? (size_t)left : room;
  if (c->send_bytes) {
    memcpy(buffer, (const char *)c->send_bytes + x->sent, size);
  } else if (size) {
    ssize_t got = pread(c->send_fd, buffer, size, (off_t)(c->send_from + x->sent));
    if (got <= 0) return CURL_READFUNC_ABORT;
    size = (size_t)got;
  }
  x->sent += size;
  if (c->progress) c->progress(c->progress_context, x->sent);
  return size;
}

// ---- exchanges ---------------------------------------------------------------------------------

static struct curl_slist *header(struct curl_slist *list, const char *name, const char *value) {
  char line[4096 + 2048];
  if (!value || (size_t)snprintf(line, sizeof line, "%s: %s", name, value) >= sizeof line) return list;
  struct curl_slist *more = lib.curl_slist_append(list, line);
  return more ? more : list;
}

static void set_up(exchange *x, struct curl_slist *headers) {
  CURL *c = x->h->curl;
  const http_call *call = x->call;
  lib.curl_easy_reset(c);
  lib.curl_easy_setopt(c, CURLOPT_URL, call->url);
  lib.curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, call->method);
  lib.curl_easy_setopt(c, CURLOPT_NOBODY, (long)!strcmp(call->method, "HEAD"));
  lib.curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers);
  lib.curl_easy_setopt(c, CURLOPT_USERAGENT, "sardonyx");
  lib.curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, (long)!call->any_certificate);
  lib.curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, call->any_certificate ? 0L : 2L);
  lib.curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L);
  lib.curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_SECONDS);
  lib.curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, 1L);
  lib.curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, (long)STALLED_SECONDS);
  if (call->timeout_ms) lib.curl_easy_setopt(c, CURLOPT_TIMEOUT_MS, (long)call->timeout_ms);
  // A redirect may lead to another host (blobs in an object store): libcurl leaves Authorization behind then. It never
  // leads to anything but HTTP, nor from a protected connection to a plain one.
  bool plain = !strncmp(call->url, "http://", 7);
#if LIBCURL_VERSION_NUM >= 0x075500
  lib.curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR, "http,https");
  lib.curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR, plain ? "http,https" : "https");
#else
  lib.curl_easy_setopt(c, CURLOPT_PROTOCOLS, (long)(CURLPROTO_HTTP | CURLPROTO_HTTPS));
  lib.curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS, (long)(plain ? CURLPROTO_HTTP | CURLPROTO_HTTPS : CURLPROTO_HTTPS));
#endif
  lib.curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, (long)!call->sends);
  lib.curl_easy_setopt(c, CURLOPT_MAXREDIRS, 5L);
  lib.curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, take_body);
  lib.curl_easy_setopt(c, CURLOPT_WRITEDATA, x);
  lib.curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, take_header);
  lib.curl_easy_setopt(c, CURLOPT_HEADERDATA, x);
  if (call->unix_socket) lib.curl_easy_setopt(c, CURLOPT_UNIX_SOCKET_PATH, call->unix_socket);
  char range[40];
  snprintf(range, sizeof range, "%llu-", (unsigned long long)call->from);
  if (call->from) lib.curl_easy_setopt(c, CURLOPT_RANGE, range);
  if (!call->sends) return;
  lib.curl_easy_setopt(c, CURLOPT_UPLOAD, 1L);
  lib.curl_easy_setopt(c, CURLOPT_READFUNCTION, give_body);
  lib.curl_easy_setopt(c, CURLOPT_READDATA, x);
  lib.curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t)call->send_size);
}

sdx_status http_do(http *h, const http_call *call, http_answer *answer, fault *f) {
  exchange x = {.h = h, .call = call, .answer = answer};
  *answer = (http_answer){0};
  struct curl_slist *headers = header(NULL, "Expect", "");
  headers = header(headers, "Authorization", call->authorization);
  headers = header(headers, "Content-Type", call->content_type);
  headers = header(headers, "Content-Range", call->content_range);
  headers = header(headers, "Accept", call->accept);
  set_up(&x, headers);
  CURLcode code = lib.curl_easy_perform(h->curl);
  lib.curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &answer->status);
  lib.curl_slist_free_all(headers);
  if (code == CURLE_OK) return SDX_OK;
  fault_set(f, code == CURLE_OPERATION_TIMEDOUT ? SDX_DEADLINE_EXCEEDED : SDX_IO_ERROR, "%.200s: %s", call->url,
            answer->refused ? "the answer is larger than it may be" : lib.curl_easy_strerror(code));
  http_answer_free(answer);
  return f->status;
}

void http_answer_free(http_answer *a) {
  free(a->body);
  a->body = NULL;
}
