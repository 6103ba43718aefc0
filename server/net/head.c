// SPDX-License-Identifier: Apache-2.0
// Heads of requests (head.h).
#include "server/net/head.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

size_t head_find(head_scan *scan, const char *bytes, size_t size, size_t max_bytes, http_problem *p) {
  if (size && !head_is_token(bytes[0])) {
    if (bytes[0] == 0x16) http_wrong(p, 400, "a TLS handshake where plain HTTP is spoken");
    else http_wrong(p, 400, "expected a request line, found byte 0x%02x", (unsigned char)bytes[0]);
    return 0;
  }
  for (;;) {
    const char *end = scan->at < size ? memchr(bytes + scan->at, '\n', size - scan->at) : NULL;
    size_t stop = end ? (size_t)(end - bytes) + 1 : size;
    if (stop > max_bytes) {
      if (scan->lines) http_wrong(p, 431, "the head has more than %zu bytes (limit max-head-bytes)", max_bytes);
      else http_wrong(p, 414, "the request line has more than %zu bytes (limit max-head-bytes)", max_bytes);
      return 0;
    }
    scan->at = stop;
    if (!end) return 0;
    if (stop - scan->line < 2 || end[-1] != '\r') {
      http_wrong(p, 400, "line %zu of the head ends in a line feed without a carriage return", scan->lines + 1);
      return 0;
    }
    if (stop - scan->line == 2) return stop;
    scan->line = stop;
    scan->lines++;
  }
}

static bool request_line(http_request *r, str line, http_problem *p) {
  const char *end = line.at + line.size, *space = memchr(line.at, ' ', line.size);
  const char *second = space ? memchr(space + 1, ' ', (size_t)(end - space - 1)) : NULL;
  r->method_name = (str){line.at, space ? (size_t)(space - line.at) : line.size};
  for (size_t i = 0; i < r->method_name.size; i++)
    if (!head_is_token(line.at[i])) return http_wrong(p, 400, "the method has a character that is not allowed");
  if (!second || second == space + 1)
    return http_wrong(p, 400, "the request line: expected METHOD, one blank, path, one blank, HTTP/1.1");
  r->target = (str){space + 1, (size_t)(second - space - 1)};
  str version = {second + 1, (size_t)(end - second - 1)};
  bool form = version.size == 8 && !memcmp(version.at, "HTTP/", 5) && version.at[6] == '.' && version.at[5] >= '0' &&
              version.at[5] <= '9' && version.at[7] >= '0' && version.at[7] <= '9';
  if (!form) return http_wrong(p, 400, "the request line: expected METHOD, one blank, path, one blank, HTTP/1.1");
  if (version.at[5] != '1') return http_wrong(p, 505, "the version is %.8s, expected HTTP/1.1", version.at);
  r->http_1_0 = version.at[7] == '0';
  return true;
}

static bool field_line(http_request *r, char *line, size_t size, size_t number, http_problem *p) {
  if (*line == ' ' || *line == '\t')
    return http_wrong(p, 400, "header line %zu is folded (begins with a blank)", number);
  size_t name = 0;
  while (name < size && head_is_token(line[name])) name++;
  if (!name || name == size || line[name] != ':')
    return http_wrong(p, 400, "header line %zu: expected NAME: VALUE, the name without blanks", number);
  for (size_t i = 0; i < name; i++)
    if (line[i] >= 'A' && line[i] <= 'Z') line[i] |= 32;
  const char *at = line + name + 1, *end = line + size;
  for (const char *c = at; c < end; c++)
    if (!head_is_text(*c))
      return http_wrong(p, 400, "header %.*s holds the control character 0x%02x", name > 40 ? 40 : (int)name, line,
                        (unsigned char)*c);
  while (at < end && (*at == ' ' || *at == '\t')) at++;
  while (at < end && (end[-1] == ' ' || end[-1] == '\t')) end--;
  http_header *h = http_request_add(r);
  if (!h) return http_wrong(p, 503, "memory is exhausted");
  *h = (http_header){{line, name}, {at, (size_t)(end - at)}};
  return true;
}

bool head_parse(http_request *r, size_t max_headers, http_problem *p) {
  char *line = r->head.at, *end = line + r->head.size;
  for (size_t number = 0;; number++) {
    char *stop = memchr(line, '\n', (size_t)(end - line));
    size_t size = (size_t)(stop - line) - 1;
    if (number == 0) {
      if (!request_line(r, (str){line, size}, p)) return false;
    } else if (size == 0) {
      return head_finish(r, p);
    } else if (number > max_headers) {
      return http_wrong(p, 431, "the head has more than %zu headers (limit max-headers)", max_headers);
    } else if (!field_line(r, line, size, number, p)) {
      return false;
    }
    line = stop + 1;
  }
}

// ---- what the head means -------------------------------------------------------------------------

// Host, or the authority of an absolute target: a name or an address, and perhaps a port.
static bool host_valid(str host) {
  const char *p = host.at, *end = p + host.size;
  if (p < end && *p == '[') {
    for (p++; p < end && (head_hex(*p) >= 0 || *p == ':' || *p == '.'); p++) continue;
    if (p == end || *p++ != ']') return false;
  }
  for (; p < end && *p != ':'; p++) {
    bool escape = *p == '%' && end - p > 2 && head_hex(p[1]) >= 0 && head_hex(p[2]) >= 0;
    bool plain = (*p >= '0' && *p <= '9') || ((*p | 32) >= 'a' && (*p | 32) <= 'z') || strchr("-._~!$&'()*+,;=", *p);
    if (!*p || (!escape && !plain) || (host.at[0] == '[')) return false;
  }
  if (p == end) return true;
  for (p++; p < end; p++)
    if (*p < '0' || *p > '9') return false;
  return true;
}

// Decodes the path once; what is still a percent sign afterwards stays one.
static bool take_path(http_request *r, http_problem *p) {
  str t = r->target;
  for (size_t i = 0; i < t.size; i++)
    if ((unsigned char)t.at[i] <= 0x20 || (unsigned char)t.at[i] >= 0x7F || t.at[i] == '#')
      return http_wrong(p, 400, "the path holds the character 0x%02x, which must be escaped", (unsigned char)t.at[i]);
  if (t.size > 7 && !strncasecmp(t.at, "http://", 7)) t = (str){t.at + 7, t.size - 7};
  else if (t.size > 8 && !strncasecmp(t.at, "https://", 8)) t = (str){t.at + 8, t.size - 8};
  if (t.at != r->target.at) {
    size_t authority = 0;
    while (authority < t.size && t.at[authority] != '/' && t.at[authority] != '?') authority++;
    if (!authority || !host_valid((str){t.at, authority})) return http_wrong(p, 400, "the target names no valid host");
    t = (str){t.at + authority, t.size - authority};
    if (!t.size || *t.at == '?') r->path[0] = '/';
  } else if (!(t.size && *t.at == '/') && !(str_is(t, "*") && str_is(r->method_name, "OPTIONS"))) {
    return http_wrong(p, 400, "the path must begin with '/'");
  }
  size_t n = r->path[0] ? 1 : 0, i = 0;
  for (; i < t.size && t.at[i] != '?'; i++) {
    if (n + 1 == sizeof r->path) return http_wrong(p, 414, "the path has more than %d bytes", HTTP_PATH_BYTES - 1);
    bool escape = t.at[i] == '%';
    int high = escape && i + 2 < t.size ? head_hex(t.at[i + 1]) : -1, low = high >= 0 ? head_hex(t.at[i + 2]) : -1;
    if (escape && low < 0) return http_wrong(p, 400, "the path has a broken percent escape");
    r->path[n++] = escape ? (char)(high * 16 + low) : t.at[i];
    if (escape) i += 2;
    if ((unsigned char)r->path[n - 1] < 0x20 || r->path[n - 1] == 0x7F)
      return http_wrong(p, 400, "the path has an escaped control character");
  }
  r->path[n] = 0;
  if (i < t.size) r->query = (str){t.at + i + 1, t.size - i - 1};
  return true;
}

static bool take_length(http_request *r, str value, http_problem *p) {
  if (!value.size || value.size > 18) goto wrong;
  for (size_t i = 0; i < value.size; i++) {
    if (value.at[i] < '0' || value.at[i] > '9') goto wrong;
    r->length = r->length * 10 + (uint64_t)(value.at[i] - '0');
  }
  r->has_length = true;
  return true;
wrong:
  return http_wrong(p, 400, "header Content-Length is '%.*s', expected a whole number", STR_ARG(value));
}

// One of a list of words separated by commas.
static bool lists(str value, const char *word) {
  size_t size = strlen(word);
  for (const char *p = value.at, *end = p + value.size; p < end;) {
    const char *comma = memchr(p, ',', (size_t)(end - p)), *next = comma ? comma : end, *stop = next;
    while (p < stop && (*p == ' ' || *p == '\t')) p++;
    while (stop > p && (stop[-1] == ' ' || stop[-1] == '\t')) stop--;
    if ((size_t)(stop - p) == size && !strncasecmp(p, word, size)) return true;
    p = next + 1;
  }
  return false;
}

static bool is_word(str value, const char *word) {
  return value.size == strlen(word) && !strncasecmp(value.at, word, value.size);
}

// Headers that say one thing: two of them are two opinions.
static bool check_single(const http_request *r, http_problem *p) {
  static const char *const single[] = {"host",
                                       "content-length",
                                       "transfer-encoding",
                                       "content-type",
                                       "content-encoding",
                                       "expect",
                                       "authorization",
                                       "inference-header-content-length",
                                       "x-request-id",
                                       "x-ms-request-id",
                                       "x-ms-client-request-id",
                                       "x-request-timeout-ms",
                                       "traceparent"};
  unsigned seen = 0;
  for (size_t i = 0; i < r->header_count; i++)
    for (size_t k = 0; k < sizeof single / sizeof *single; k++) {
      if (!str_is(r->headers[i].name, single[k])) continue;
      if (seen >> k & 1) return http_wrong(p, 400, "header %s is given twice", single[k]);
      seen |= 1u << k;
    }
  return true;
}

static bool take_expect(http_request *r, str value, http_problem *p) {
  if (!is_word(value, "100-continue"))
    return http_wrong(p, 417, "header Expect is '%.*s', expected 100-continue", STR_ARG(value));
  r->expects_continue = !r->http_1_0;
  return true;
}

bool head_finish(http_request *r, http_problem *p) {
  for (int i = 0; http_methods[i]; i++)
    if (str_is(r->method_name, http_methods[i])) r->method = (http_method)(1 << i);
  bool host = false, close = false, keep = false;
  if (!check_single(r, p)) return false;
  for (size_t i = 0; i < r->header_count; i++) {
    str name = r->headers[i].name, value = r->headers[i].value;
    if (str_is(name, "host")) {
      host = true;
      if (!host_valid(value)) return http_wrong(p, 400, "header Host is '%.*s', expected a host", STR_ARG(value));
    } else if (str_is(name, "content-length")) {
      if (!take_length(r, value, p)) return false;
    } else if (str_is(name, "transfer-encoding")) {
      if (!is_word(value, "chunked") || r->http_1_0)
        return http_wrong(p, 400, "header Transfer-Encoding is '%.*s', expected 'chunked' with HTTP/1.1",
                          STR_ARG(value));
      r->chunked = true;
    } else if (str_is(name, "connection")) {
      close |= lists(value, "close");
      keep |= lists(value, "keep-alive");
    } else if (str_is(name, "expect")) {
      if (!take_expect(r, value, p)) return false;
    }
  }
  if (!host && !r->http_1_0) return http_wrong(p, 400, "header Host is missing");
  if (r->has_length && r->chunked)
    return http_wrong(p, 400, "found both Content-Length and Transfer-Encoding, expected one of them");
  r->keep_alive = !close && (!r->http_1_0 || keep);
  return take_path(r, p);
}
