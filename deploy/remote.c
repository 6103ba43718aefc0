// SPDX-License-Identifier: Apache-2.0
// An OCI registry over HTTP (remote.h): who one is, exchanges that are tried again, manifests, blobs down and up.
#include "deploy/remote.h"

#include <errno.h>
#include <openssl/evp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/random.h>
#include <unistd.h>

#include "deploy/auth.h"
#include "support/files.h"
#include "support/http.h"

enum { TRIES = 5, LONGEST_WAIT_MS = 30000, CHUNK = 16 << 20, URL_BYTES = 4096 };

struct remote {
  registry *r;
  http *connection;
  oci_reference reference;
  bool plain, asked_files;
  char server[OCI_TEXT + 16];    // "https://host"
  char base[2 * OCI_TEXT + 32];  // "https://host/v2/repository"
  char authorization[8192];
  auth who;
};

// Registries of this machine have no certificates.
static bool is_loopback(const char *host) {
  size_t length = strcspn(host, ":");
  return (length == 9 && !strncmp(host, "localhost", 9)) || !strncmp(host, "127.", 4) || !strncmp(host, "[::1]", 5);
}

sdx_status remote_open(registry *r, const oci_reference *reference, bool plain_http, remote **m, fault *f) {
  remote *made = *m = calloc(1, sizeof *made);
  if (!made) return fault_no_memory(f);
  made->r = r;
  made->reference = *reference;
  made->plain = plain_http || is_loopback(reference->host);
  const char *host = strcmp(reference->host, "docker.io") ? reference->host : "registry-1.docker.io";
  snprintf(made->server, sizeof made->server, "http%s://%s", made->plain ? "" : "s", host);
  snprintf(made->base, sizeof made->base, "%s/v2/%s", made->server, reference->repository);
  if (!http_open(&made->connection, f)) return SDX_OK;
  remote_close(made);
  *m = NULL;
  return f->status;
}

void remote_close(remote *m) {
  if (!m) return;
  http_close(m->connection);
  explicit_bzero(&m->who, sizeof m->who);
  free(m);
}

// ---- who one is --------------------------------------------------------------------------------

bool remote_parse_challenge(const char *header, challenge *c) {
  *c = (challenge){.basic = !strncasecmp(header, "basic", 5)};
  if (c->basic) return true;
  if (strncasecmp(header, "bearer ", 7)) return false;
  for (const char *at = header + 7; *at;) {
    at += strspn(at, " ,\t");
    size_t name = strcspn(at, "= ,");
    if (at[name] != '=') break;
    const char *value = at + name + 1;
    bool quoted = *value == '"';
    value += quoted;
    size_t length = strcspn(value, quoted ? "\"" : ", ");
    char *place = NULL;
    size_t room = 0;
    if (name == 5 && !strncasecmp(at, "realm", 5)) place = c->realm, room = sizeof c->realm;
    else if (name == 7 && !strncasecmp(at, "service", 7)) place = c->service, room = sizeof c->service;
    else if (name == 5 && !strncasecmp(at, "scope", 5)) place = c->scope, room = sizeof c->scope;
    if (place && length >= room) return false;
    if (place) snprintf(place, room, "%.*s", (int)length, value);
    at = value + length;
    at += quoted && *at == '"';
  }
  return c->realm[0] != 0;
}

static bool basic_value(const auth *who, char *out, size_t room) {
  char plain[sizeof who->user + sizeof who->secret + 2];
  int length = snprintf(plain, sizeof plain, "%s:%s", who->user, who->secret);
  if (6 + ((size_t)length + 2) / 3 * 4 + 1 > room) return false;
  memcpy(out, "Basic ", 6);
  EVP_EncodeBlock((unsigned char *)out + 6, (unsigned char *)plain, length);
  explicit_bzero(plain, sizeof plain);
  return true;
}

static void add_query(char *url, size_t room, const char *name, const char *value) {
  size_t used = strlen(url);
  used += (size_t)snprintf(url + used, room - used, "%c%s=", strchr(url, '?') ? '&' : '?', name);
  for (; *value && used + 4 < room; value++) {
    bool plain = (*value >= '0' && *value <= '9') || (*value >= 'A' && *value <= 'Z') ||
                 (*value >= 'a' && *value <= 'z') || strchr("-._~", *value);
    used += (size_t)snprintf(url + used, room - used, plain ? "%c" : "%%%02X", (unsigned char)*value);
  }
}

// Exchanges the credentials, or nobody's, for a token.
static sdx_status fetch_token(remote *m, const challenge *c, fault *f) {
  char url[URL_BYTES], basic[8192] = "", form[8192] = "";
  if (strncmp(c->realm, "https://", 8) && !(m->plain && !strncmp(c->realm, "http://", 7)))
    return fault_set(f, SDX_FORBIDDEN, "%s sends to '%.150s' for a token, which is not protected", m->reference.host,
                     c->realm);
  snprintf(url, sizeof url, "%s", c->realm);
  http_call call = {.method = "GET", .url = url};
  if (m->who.is_token) {
    snprintf(form, sizeof form, "grant_type=refresh_token&client_id=sardonyx");
    add_query(form, sizeof form, "service", c->service);
    add_query(form, sizeof form, "scope", c->scope);
    add_query(form, sizeof form, "refresh_token", m->who.secret);
    for (char *mark = form; (mark = strchr(mark, '?'));) *mark = '&';
    call = (http_call){.method = "POST",
                       .url = url,
                       .sends = true,
                       .send_bytes = form,
                       .send_size = strlen(form),
                       .content_type = "application/x-www-form-urlencoded"};
  } else {
    if (c->service[0]) add_query(url, sizeof url, "service", c->service);
    if (c->scope[0]) add_query(url, sizeof url, "scope", c->scope);
    if (m->who.user[0] && basic_value(&m->who, basic, sizeof basic)) call.authorization = basic;
  }
  http_answer a;
  if (http_do(m->connection, &call, &a, f)) return f->status;
  json_t *said = a.status == 200 && a.body ? json_loadb(a.body, a.body_size, 0, NULL) : NULL;
  const char *token = json_string_value(json_object_get(said, "token"));
  if (!token) token = json_string_value(json_object_get(said, "access_token"));
  if (!token || strpbrk(token, "\r\n") ||
      (size_t)snprintf(m->authorization, sizeof m->authorization, "Bearer %s", token) >= sizeof m->authorization) {
    fault_set(f, SDX_FORBIDDEN, "%s: no token for %s (answer %ld)", m->reference.host, m->reference.repository,
              a.status);
    fault_hint(
        f,
        m->who.secret[0] ? "is the password still right? 'podman login %s' asks for it" : "'podman login %s' logs in",
        m->reference.host);
  }
  json_decref(said);
  http_answer_free(&a);
  explicit_bzero(basic, sizeof basic);
  explicit_bzero(form, sizeof form);
  return f->status;
}

static sdx_status log_in(remote *m, const char *header, fault *f) {
  challenge c;
  if (!m->asked_files && auth_find(m->reference.host, m->reference.repository, &m->who, f)) return f->status;
  m->asked_files = true;
  if (!remote_parse_challenge(header, &c))
    return fault_set(f, SDX_NOT_SUPPORTED, "%s asks for a way to log in that is not known here: '%.100s'",
                     m->reference.host, header);
  if (!c.basic) return fetch_token(m, &c, f);
  if (!m->who.user[0] || !basic_value(&m->who, m->authorization, sizeof m->authorization)) {
    fault_set(f, SDX_FORBIDDEN, "%s wants a user and a password", m->reference.host);
    fault_hint(f, "'podman login %s' (or docker login) writes them where they are found", m->reference.host);
  }
  return f->status;
}

// ---- exchanges ---------------------------------------------------------------------------------

static void pause_before(unsigned attempt, unsigned at_least_s) {
  unsigned random = 0;
  if (getrandom(&random, sizeof random, 0) < 0) random = 0;
  unsigned ms = (100u << attempt) + random % (100u << attempt);
  if (at_least_s > LONGEST_WAIT_MS / 1000) at_least_s = LONGEST_WAIT_MS / 1000;
  if (ms < at_least_s * 1000) ms = at_least_s * 1000 + random % 500;
  usleep((ms > LONGEST_WAIT_MS ? LONGEST_WAIT_MS : ms) * 1000);
}

static bool is_passing(long status) { return status == 429 || (status >= 500 && status != 501); }

static bool is_ours(const remote *m, const char *url) {
  size_t length = strlen(m->server);
  return !strncmp(url, m->server, length) && (url[length] == '/' || !url[length]);
}

// With credentials where they belong; logs in once when asked to. Tried again where that may help and `again` allows
// it.
static sdx_status exchange(remote *m, http_call *call, bool again, http_answer *a, fault *f) {
  bool logged_in = false;
  for (unsigned attempt = 0;; attempt++) {
    bool last = !again || attempt + 1 >= TRIES;
    fault failed = {0};
    call->authorization = m->authorization[0] && is_ours(m, call->url) ? m->authorization : NULL;
    if (http_do(m->connection, call, a, &failed)) {
      if (last || a->refused) {
        *f = failed;
        return f->status;
      }
    } else if (a->status == 401 && !logged_in && is_ours(m, call->url)) {
      char header[sizeof a->challenge];
      memcpy(header, a->challenge, sizeof header);
      http_answer_free(a);
      if (log_in(m, header, f)) return f->status;
      logged_in = true;
      continue;
    } else if (last || !is_passing(a->status)) {
      return SDX_OK;
    }
    unsigned wait = a->retry_after_s;
    http_answer_free(a);
    pause_before(attempt, wait);
  }
}

// What the registry says of a refusal.
static sdx_status refused(const remote *m, const http_answer *a, const char *what, fault *f) {
  json_t *said = a->body ? json_loadb(a->body, a->body_size, 0, NULL) : NULL;
  const json_t *first = json_array_get(json_object_get(said, "errors"), 0);
  const char *text = json_string_value(json_object_get(first, "message"));
  if (!text) text = json_string_value(json_object_get(first, "code"));
  sdx_status status = a->status == 404                       ? SDX_NOT_FOUND
                      : a->status == 401 || a->status == 403 ? SDX_FORBIDDEN
                      : a->status == 507 || a->status == 413 ? SDX_NO_SPACE
                                                             : SDX_IO_ERROR;
  fault_set(f, status, "%s/%s: %s: the registry answers %ld%s%.200s", m->reference.host, m->reference.repository, what,
            a->status, text ? ": " : "", text ? text : "");
  if (status == SDX_FORBIDDEN) fault_hint(f, "'podman login %s' (or docker login) says who you are", m->reference.host);
  json_decref(said);
  return f->status;
}

// ---- manifests ---------------------------------------------------------------------------------

static const char manifest_types[] = OCI_MANIFEST ", " OCI_INDEX
                                                  ", application/vnd.docker.distribution.manifest.v2+json, "
                                                  "application/vnd.docker.distribution.manifest.list.v2+json";

sdx_status remote_get_manifest(remote *m, const char *tag_or_digest, char **bytes, size_t *size,
                               char media_type[OCI_TEXT], char digest[DIGEST_BYTES], fault *f) {
  char url[URL_BYTES];
  http_answer a;
  *bytes = NULL;
  snprintf(url, sizeof url, "%s/manifests/%s", m->base, tag_or_digest);
  if (exchange(m, &(http_call){.method = "GET", .url = url, .accept = manifest_types}, true, &a, f)) return f->status;
  if (a.status != 200 || !a.body) {
    refused(m, &a, tag_or_digest, f);
  } else if (!digest_of(a.body, a.body_size, digest)) {
    fault_no_memory(f);
  } else if ((digest_valid(tag_or_digest) && strcmp(digest, tag_or_digest)) ||
             (digest_valid(a.digest) && strcmp(digest, a.digest))) {
    fault_set(f, SDX_IO_ERROR, "%s/%s: the manifest that came is not the one that was announced", m->reference.host,
              m->reference.repository);
  } else {
    *bytes = a.body;
    *size = a.body_size;
    snprintf(media_type, OCI_TEXT, "%.*s", (int)strcspn(a.content_type, "; "), a.content_type);
    return SDX_OK;
  }
  http_answer_free(&a);
  return f->status;
}

sdx_status remote_put_manifest(remote *m, const char *tag, const char *bytes, size_t size, const char *media_type,
                               fault *f) {
  char url[URL_BYTES], digest[DIGEST_BYTES];
  http_answer a;
  snprintf(url, sizeof url, "%s/manifests/%s", m->base, tag);
  http_call call = {
      .method = "PUT", .url = url, .content_type = media_type, .sends = true, .send_bytes = bytes, .send_size = size};
  if (!digest_of(bytes, size, digest)) return fault_no_memory(f);
  if (exchange(m, &call, true, &a, f)) return f->status;
  if (a.status != 201) refused(m, &a, tag, f);
  else if (digest_valid(a.digest) && strcmp(a.digest, digest))
    fault_set(f, SDX_CONFLICT, "%s: the registry kept another manifest than it was given", m->reference.host);
  http_answer_free(&a);
  return f->status;
}

// ---- blobs down --------------------------------------------------------------------------------

typedef struct download {
  remote *m;
  const oci_descriptor *d;
  digest_state *digest;
  int fd;
  uint64_t done;
  bool resumed;  // the coming answer is expected to go on at `done`
} download;

static bool restart(download *w) {
  digest_destroy(w->digest);
  w->digest = digest_create();
  w->done = 0;
  return w->digest && !ftruncate(w->fd, 0) && !lseek(w->fd, 0, SEEK_SET);
}

static bool take_piece(void *context, long status, const void *bytes, size_t size) {
  download *w = context;
  if (w->resumed && status == 200 && !restart(w)) return false;  // it begins at the beginning again
  w->resumed = false;
  if (size > w->d->size - w->done || !file_write_all(w->fd, bytes, size)) return false;
  digest_add(w->digest, bytes, size);
  w->done += size;
  registry_progress(w->m->r, w->d->title[0] ? w->d->title : "pulling", w->done, w->d->size);
  return true;
}

static sdx_status fetch(download *w, fault *f) {
  char url[URL_BYTES];
  snprintf(url, sizeof url, "%s/blobs/%s", w->m->base, w->d->digest);
  for (unsigned attempt = 0; attempt < TRIES; attempt++) {
    http_answer a;
    fault broken = {0};
    w->resumed = w->done > 0;
    http_call call = {.method = "GET", .url = url, .from = w->done, .receive = take_piece, .context = w};
    sdx_status status = exchange(w->m, &call, false, &a, &broken);
    if (!status && a.status / 100 != 2 && !is_passing(a.status)) {
      refused(w->m, &a, w->d->digest, f);
      http_answer_free(&a);
      return f->status;
    }
    http_answer_free(&a);
    if (!status && w->done == w->d->size) return SDX_OK;
    if (status && a.refused)
      return fault_set(f, SDX_IO_ERROR, "%s: more bytes than announced, or no room for them", w->d->digest);
    if (status == SDX_FORBIDDEN || attempt + 1 == TRIES) {
      *f = broken;
      return fault_set(f, SDX_IO_ERROR, "%s/%s: %s ends after %llu of %llu bytes", w->m->reference.host,
                       w->m->reference.repository, w->d->digest, (unsigned long long)w->done,
                       (unsigned long long)w->d->size);
    }
    pause_before(attempt, a.retry_after_s);
  }
  return f->status;
}

sdx_status remote_get_blob(remote *m, registry_change *c, const oci_descriptor *d, fault *f) {
  registry_upload u;
  registry_blob blob = {.size = d->size};
  char found[DIGEST_BYTES];
  if (registry_has_blob(m->r, d->digest)) return SDX_OK;
  if (registry_create_blob(c, &u, f)) return f->status;
  download w = {.m = m, .d = d, .fd = u.fd, .digest = digest_create()};
  memcpy(blob.digest, d->digest, DIGEST_BYTES);
  if (!w.digest) fault_no_memory(f);
  else if (!fetch(&w, f)) {
    digest_finish(w.digest, found);
    if (strcmp(found, d->digest))
      fault_set(f, SDX_IO_ERROR, "%s: the bytes that came are not those of the digest", d->digest);
  }
  digest_destroy(w.digest);
  if (!f->status) return registry_seal_blob(c, &u, &blob, f);
  registry_drop_blob(c, &u);
  return f->status;
}

// ---- blobs up ----------------------------------------------------------------------------------

typedef struct upload {
  remote *m;
  const oci_descriptor *d;
  int fd;
  char url[URL_BYTES];  // where the next piece goes
  uint64_t done;
} upload;

static void show_sent(void *context, uint64_t sent) {
  upload *w = context;
  registry_progress(w->m->r, w->d->title[0] ? w->d->title : "pushing", w->done + sent, w->d->size);
}

// The place of the next piece out of an answer.
static bool follow(upload *w, const http_answer *a) {
  if (!a->location[0]) return false;
  if (a->location[0] == '/') return (size_t)snprintf(w->url, URL_BYTES, "%s%s", w->m->server, a->location) < URL_BYTES;
  bool safe = !strncmp(a->location, "https://", 8) || (w->m->plain && !strncmp(a->location, "http://", 7));
  return safe && (size_t)snprintf(w->url, URL_BYTES, "%s", a->location) < URL_BYTES;
}

static sdx_status begin(upload *w, fault *f) {
  http_answer a;
  snprintf(w->url, sizeof w->url, "%s/blobs/uploads/", w->m->base);
  w->done = 0;
  http_call call = {.method = "POST", .url = w->url, .sends = true, .send_bytes = ""};
  if (exchange(w->m, &call, true, &a, f)) return f->status;
  if (a.status != 202 || !follow(w, &a)) refused(w->m, &a, "cannot begin to push a blob", f);
  http_answer_free(&a);
  return f->status;
}

// Where the registry wants to go on: asked after a piece broke off. False: it has forgotten.
static bool ask_progress(upload *w) {
  http_answer a;
  fault ignored = {0};
  if (exchange(w->m, &(http_call){.method = "GET", .url = w->url}, true, &a, &ignored)) return false;
  unsigned long long last = 0;
  bool known = a.status == 204 && (!a.range[0] || sscanf(a.range, "0-%llu", &last) == 1) && last < w->d->size;
  if (known) w->done = last ? last + 1 : 0;
  if (known && a.location[0]) known = follow(w, &a);
  http_answer_free(&a);
  return known;
}

// One piece. *again: it broke off, and the next try may do better.
static sdx_status send_piece(upload *w, bool *again, fault *f) {
  char range[64];
  uint64_t left = w->d->size - w->done, size = left < CHUNK ? left : CHUNK;
  snprintf(range, sizeof range, "%llu-%llu", (unsigned long long)w->done, (unsigned long long)(w->done + size - 1));
  http_call call = {.method = "PATCH",
                    .url = w->url,
                    .content_type = "application/octet-stream",
                    .content_range = range,
                    .sends = true,
                    .send_fd = w->fd,
                    .send_from = w->done,
                    .send_size = size,
                    .progress = show_sent,
                    .progress_context = w};
  http_answer a;
  fault broken = {0};
  if (exchange(w->m, &call, false, &a, &broken)) {
    *again = true;
  } else if (a.status == 202 && follow(w, &a)) {
    w->done += size;
  } else if (is_passing(a.status) || a.status == 416) {
    *again = true;
  } else {
    refused(w->m, &a, w->d->digest, f);
  }
  http_answer_free(&a);
  return f->status;
}

// All pieces but what the closing request brings along.
static sdx_status send_pieces(upload *w, fault *f) {
  unsigned broken = 0;
  while (w->done < w->d->size) {
    bool again = false;
    if (send_piece(w, &again, f)) return f->status;
    if (!again) continue;
    if (++broken == TRIES)
      return fault_set(f, SDX_IO_ERROR, "%s/%s: pushing %s breaks off again and again, at %llu of %llu bytes",
                       w->m->reference.host, w->m->reference.repository, w->d->digest, (unsigned long long)w->done,
                       (unsigned long long)w->d->size);
    pause_before(broken, 0);
    if (!ask_progress(w) && begin(w, f)) return f->status;
  }
  return SDX_OK;
}

static sdx_status close_upload(upload *w, fault *f) {
  http_answer a;
  add_query(w->url, sizeof w->url, "digest", w->d->digest);
  http_call call = {.method = "PUT",
                    .url = w->url,
                    .content_type = "application/octet-stream",
                    .sends = true,
                    .send_fd = w->fd,
                    .send_from = w->done,
                    .send_size = w->d->size - w->done,
                    .progress = show_sent,
                    .progress_context = w};
  if (exchange(w->m, &call, false, &a, f)) return f->status;
  if (a.status != 201) refused(w->m, &a, w->d->digest, f);
  else if (digest_valid(a.digest) && strcmp(a.digest, w->d->digest))
    fault_set(f, SDX_CONFLICT, "%s: the registry kept other bytes than it was given", w->d->digest);
  http_answer_free(&a);
  return f->status;
}

static sdx_status has_blob(remote *m, const char *digest, bool *has, fault *f) {
  char url[URL_BYTES];
  http_answer a;
  snprintf(url, sizeof url, "%s/blobs/%s", m->base, digest);
  if (exchange(m, &(http_call){.method = "HEAD", .url = url}, true, &a, f)) return f->status;
  *has = a.status == 200;
  if (a.status == 401 || a.status == 403) refused(m, &a, digest, f);
  http_answer_free(&a);
  return f->status;
}

sdx_status remote_put_blob(remote *m, const oci_descriptor *d, bool *sent, fault *f) {
  uint64_t size;
  bool has = false;
  *sent = false;
  if (has_blob(m, d->digest, &has, f) || has) return f->status;
  upload w = {.m = m, .d = d, .fd = registry_open_blob(m->r, d->digest, &size, f)};
  if (w.fd < 0) return f->status;
  for (unsigned attempt = 0; attempt < TRIES; attempt++) {
    fault broken = {0};
    bool small = d->size <= CHUNK;
    if (!begin(&w, &broken) && (small || !send_pieces(&w, &broken)) && !close_upload(&w, &broken)) break;
    *f = broken;
    if (broken.status != SDX_IO_ERROR || attempt + 1 == TRIES) break;
    *f = (fault){0};
    pause_before(attempt, 0);
  }
  close(w.fd);
  *sent = !f->status;
  return f->status;
}
