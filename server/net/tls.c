// SPDX-License-Identifier: Apache-2.0
// TLS (tls.h). The handshake is part of receiving: bytes come only after it.
#include "server/net/tls.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/host.h"
#include "server/log.h"
#include "server/net/connection.h"

enum { LOOK_EVERY_NS = 1000000000 };

struct tls {
  const char *certificate, *key;
  pthread_mutex_t lock;
  SSL_CTX *context;
  struct stat seen[2];  // of the files, when they were read
  uint64_t looked_ns;
};

static int choose(SSL *ssl, const unsigned char **out, unsigned char *size, const unsigned char *in, unsigned in_size,
                  void *context) {
  static const unsigned char ours[] = "\x02h2\x08http/1.1";
  if (SSL_select_next_proto((unsigned char **)out, size, ours, sizeof ours - 1, in, in_size) == OPENSSL_NPN_NEGOTIATED)
    return SSL_TLSEXT_ERR_OK;
  return SSL_TLSEXT_ERR_NOACK;
}

static const char *reason(void) {
  const char *text = ERR_reason_error_string(ERR_peek_last_error());
  return text ? text : "it cannot be read";
}

static SSL_CTX *load(const tls *t, char *why, size_t why_size) {
  ERR_clear_error();
  SSL_CTX *c = SSL_CTX_new(TLS_server_method());
  const char *wrong = NULL;
  if (!c || SSL_CTX_use_certificate_chain_file(c, t->certificate) != 1) wrong = t->certificate;
  else if (SSL_CTX_use_PrivateKey_file(c, t->key, SSL_FILETYPE_PEM) != 1) wrong = t->key;
  if (wrong) {
    snprintf(why, why_size, "%s: %s", wrong, reason());
    SSL_CTX_free(c);
    return NULL;
  }
  SSL_CTX_set_min_proto_version(c, TLS1_2_VERSION);
  SSL_CTX_set_options(c, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION | SSL_OP_CIPHER_SERVER_PREFERENCE |
                             SSL_OP_IGNORE_UNEXPECTED_EOF);
  SSL_CTX_set_mode(c, SSL_MODE_RELEASE_BUFFERS | SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  SSL_CTX_set_session_cache_mode(c, SSL_SESS_CACHE_OFF);  // tickets do it without memory
  SSL_CTX_set_alpn_select_cb(c, choose, NULL);
  return c;
}

static void look(const tls *t, struct stat seen[2]) {
  memset(seen, 0, 2 * sizeof *seen);
  stat(t->certificate, &seen[0]);
  stat(t->key, &seen[1]);
}

static bool same(const struct stat *a, const struct stat *b) {
  return a->st_ino == b->st_ino && a->st_size == b->st_size && a->st_mtim.tv_sec == b->st_mtim.tv_sec &&
         a->st_mtim.tv_nsec == b->st_mtim.tv_nsec;
}

static bool reload(tls *t, char *why, size_t why_size) {
  look(t, t->seen);
  SSL_CTX *fresh = load(t, why, why_size);
  if (!fresh) return false;
  SSL_CTX_free(t->context);
  t->context = fresh;
  return true;
}

tls *tls_create(const char *certificate, const char *key, char *why, size_t why_size) {
  tls *t = calloc(1, sizeof *t);
  if (!t) return NULL;
  t->certificate = certificate;
  t->key = key;
  pthread_mutex_init(&t->lock, NULL);
  if (reload(t, why, why_size)) return t;
  tls_destroy(t);
  return NULL;
}

void tls_destroy(tls *t) {
  if (!t) return;
  SSL_CTX_free(t->context);
  pthread_mutex_destroy(&t->lock);
  free(t);
}

static void reload_and_say(tls *t) {
  char why[300];
  if (reload(t, why, sizeof why)) log_line("info", "the certificate was read again: %s", t->certificate);
  else log_line("warning", "the certificate stays as it was: %s", why);
}

void tls_reload(tls *t) {
  pthread_mutex_lock(&t->lock);
  reload_and_say(t);
  pthread_mutex_unlock(&t->lock);
}

void *tls_accept(tls *t, int fd) {
  pthread_mutex_lock(&t->lock);
  uint64_t now = clock_ns();
  if (now - t->looked_ns > LOOK_EVERY_NS) {
    struct stat seen[2];
    look(t, seen);
    t->looked_ns = now;
    if (!same(&seen[0], &t->seen[0]) || !same(&seen[1], &t->seen[1])) reload_and_say(t);
  }
  SSL *ssl = SSL_new(t->context);
  pthread_mutex_unlock(&t->lock);
  if (ssl && SSL_set_fd(ssl, fd) == 1) {
    SSL_set_accept_state(ssl);
    return ssl;
  }
  SSL_free(ssl);
  return NULL;
}

void tls_drop(void *state) { SSL_free(state); }

bool tls_chose_http2(void *state) {
  const unsigned char *name;
  unsigned size;
  SSL_get0_alpn_selected(state, &name, &size);
  return size == 2 && !memcmp(name, "h2", 2);
}

// ---- the transport -------------------------------------------------------------------------------

static ssize_t outcome(connection *c, int result) {
  switch (SSL_get_error(c->tls, result)) {
    case SSL_ERROR_WANT_READ:
      c->can_read = false;
      return TRANSFER_LATER;
    case SSL_ERROR_WANT_WRITE:
      c->can_write = false;
      return TRANSFER_LATER;
    case SSL_ERROR_ZERO_RETURN:
      return 0;
    default:
      ERR_clear_error();
      return TRANSFER_BROKEN;
  }
}

static ssize_t receive(connection *c, char *at, size_t size) {
  ERR_clear_error();
  size_t got = 0;
  int result = SSL_read_ex(c->tls, at, size, &got);
  return result == 1 ? (ssize_t)got : outcome(c, result);
}

static ssize_t transmit(connection *c, const char *at, size_t size) {
  ERR_clear_error();
  size_t put = 0;
  int result = SSL_write_ex(c->tls, at, size, &put);
  ssize_t how = result == 1 ? (ssize_t)put : outcome(c, result);
  return how == 0 ? TRANSFER_BROKEN : how;
}

static void finish(connection *c) {
  ERR_clear_error();
  if (SSL_is_init_finished(c->tls)) SSL_shutdown(c->tls);
  transport_plain.finish(c);
}

const transport transport_tls = {receive, transmit, finish};
