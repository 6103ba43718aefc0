// SPDX-License-Identifier: Apache-2.0
// Opening, accepting, closing (listen.h). Sockets are watched level-triggered and exclusively: one loop wakes for a
// client. When there are too many connections, or descriptors run out, the loops look away until some are free.
#include "server/net/listen.h"

#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#include "server/log.h"
#include "server/net/loop.h"
#include "server/net/tls.h"
#include "support/sockets.h"

enum { BACKLOG = 4096, ACCEPT_BURST = 8, AGAIN_MS = 100 };

// ---- opening -------------------------------------------------------------------------------------

static listener *add(net *n) {
  listener *more = realloc(n->listeners, (n->listener_count + 1) * sizeof *more);
  if (!more) return NULL;
  n->listeners = more;
  listener *at = &more[n->listener_count++];
  *at = (listener){.fd = -1, .tls = n->tls != NULL};
  return at;
}

static void name_tcp(net *n, listener *at, const struct sockaddr *bound) {
  address address = address_from_socket(bound);
  char text[ADDRESS_TEXT];
  n->port = socket_port(at->fd);
  address_print(&address, text);
  snprintf(at->text, sizeof at->text, strchr(text, ':') ? "[%s]:%d" : "%s:%d", text, n->port);
  if (!address_is_loopback(&address))
    log_line("warning", "%s is reachable from other machines and there is no access control", text);
}

static bool open_tcp(net *n, const struct addrinfo *a, bool six_alone) {
  listener *at = add(n);
  int on = 1, off = six_alone;
  if (!at || (at->fd = socket(a->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0)) < 0) return false;
  setsockopt(at->fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (a->ai_family == AF_INET6) setsockopt(at->fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof off);
  if (bind(at->fd, a->ai_addr, a->ai_addrlen) || listen(at->fd, BACKLOG)) return false;
  name_tcp(n, at, a->ai_addr);
  return true;
}

static bool open_host(net *n, const char *host) {
  char port[16], bare[256];
  size_t size = strlen(host);
  bool brackets = size > 2 && host[0] == '[' && host[size - 1] == ']';
  snprintf(bare, sizeof bare, "%.*s", (int)(brackets ? size - 2 : size), brackets ? host + 1 : host);
  snprintf(port, sizeof port, "%d", n->port);
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
  int failure = getaddrinfo(bare, port, &hints, &list);
  if (failure) {
    log_line("error", "--host %s: %s", host, gai_strerror(failure));
    return false;
  }
  bool four = false, any = false, good = true;
  for (const struct addrinfo *a = list; a; a = a->ai_next) four |= a->ai_family == AF_INET;
  for (const struct addrinfo *a = list; good && a; a = a->ai_next) {
    // The port that the first address was given is wanted for the others too.
    if (a->ai_family == AF_INET) ((struct sockaddr_in *)a->ai_addr)->sin_port = htons((uint16_t)n->port);
    else if (a->ai_family == AF_INET6) ((struct sockaddr_in6 *)a->ai_addr)->sin6_port = htons((uint16_t)n->port);
    if (open_tcp(n, a, four)) {
      any = true;
      continue;
    }
    failure = errno;
    listener *last = &n->listeners[--n->listener_count];
    if (last->fd >= 0) close(last->fd);
    // A name that also stands for an address this machine does not have is still good.
    good = failure == EADDRNOTAVAIL || failure == EAFNOSUPPORT;
  }
  freeaddrinfo(list);
  if (!any || !good) log_line("error", "cannot listen on %s port %d: %s", host, n->port, strerror(failure));
  return any && good;
}

// A socket that nobody listens on any more is left over from a server that was killed.
static void remove_stale(const struct sockaddr_un *name) {
  struct stat s;
  if (lstat(name->sun_path, &s) || !S_ISSOCK(s.st_mode)) return;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (connect(fd, (const struct sockaddr *)name, sizeof *name) && errno == ECONNREFUSED) unlink(name->sun_path);
  close(fd);
}

static bool open_unix(net *n, const char *path) {
  struct sockaddr_un name = {.sun_family = AF_UNIX};
  if (strlen(path) >= sizeof name.sun_path) {
    log_line("error", "--unix %s: the path has more than %zu bytes", path, sizeof name.sun_path - 1);
    return false;
  }
  memcpy(name.sun_path, path, strlen(path) + 1);
  remove_stale(&name);
  listener *at = add(n);
  if (!at) return false;
  at->tls = false;
  at->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (at->fd < 0 || bind(at->fd, (struct sockaddr *)&name, sizeof name)) {
    log_line("error", "cannot listen on %s: %s", path, strerror(errno));
    return false;
  }
  at->unix_path = strdup(path);
  if (!at->unix_path || listen(at->fd, BACKLOG)) {
    log_line("error", "cannot listen on %s: %s", path, strerror(errno));
    return false;
  }
  return true;
}

// A socket that another process listens with: it stays open for the others when this one ends.
static bool take_shared(net *n, int fd) {
  struct sockaddr_storage bound;
  socklen_t size = sizeof bound, word = sizeof(int);
  int listens = 0;
  if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &word) || !listens ||
      getsockname(fd, (struct sockaddr *)&bound, &size) ||
      (bound.ss_family != AF_INET && bound.ss_family != AF_INET6)) {
    log_line("error", "--listen-fd %d: expected a TCP socket that listens", fd);
    return false;
  }
  listener *at = add(n);
  if (!at || fcntl(fd, F_SETFL, O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC)) return false;
  // Whoever shares it may make it block again (a container engine does): then for a moment only.
  struct timeval moment = {.tv_usec = 1000};
  setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &moment, sizeof moment);
  at->fd = fd;
  at->shared = true;
  name_tcp(n, at, (struct sockaddr *)&bound);
  return true;
}

bool listen_open(net *n) {
  const net_config *config = n->config;
  n->port = config->port;
  if (config->shared_fd > 0 && !take_shared(n, config->shared_fd)) return false;
  for (size_t i = 0; i < config->host_count; i++)
    if (!open_host(n, config->hosts[i])) return false;
  return !config->unix_path || open_unix(n, config->unix_path);
}

void listen_close(net *n) {
  for (size_t i = 0; i < n->listener_count; i++) {
    listener *at = &n->listeners[i];
    if (at->fd >= 0) close(at->fd);
    if (at->unix_path) unlink(at->unix_path);
    free(at->unix_path);
  }
  free(n->listeners);
  n->listeners = NULL;
  n->listener_count = 0;
}

void listen_refuse_new(net *n) {
  // A shared socket has an owner who sees to that, and looks at the Unix socket to know when no more is accepted here.
  if (n->config->shared_fd) return;
  for (size_t i = 0; i < n->listener_count; i++) {
    listener *at = &n->listeners[i];
    if (at->unix_path) unlink(at->unix_path);
    else socket_refuse_new(at->fd);
  }
}

bool listener_is(const net *n, const void *at) {
  return (const listener *)at >= n->listeners && (const listener *)at < n->listeners + n->listener_count;
}

// ---- accepting -----------------------------------------------------------------------------------

static loop *least_loaded(net *n) {
  loop *best = n->loops[0];
  for (size_t i = 1; i < n->loop_count; i++)
    if (atomic_load(&n->loops[i]->count) < atomic_load(&best->count)) best = n->loops[i];
  return best;
}

// More than its share: told so where that can be done without a handshake.
static void turn_away(net *n, int fd, bool tls) {
  static const char body[] = "{\"error\":\"this address has too many connections (limit max-client-connections)\"}";
  char text[400];
  int size = snprintf(text, sizeof text,
                      "HTTP/1.1 429 %s\r\nContent-Type: application/json\r\nContent-Length: %zu\r\nRetry-After: 1\r\n"
                      "Connection: close\r\n\r\n%s",
                      http_reason(429), sizeof body - 1, body);
  atomic_fetch_add(&n->refused_connections, 1);
  ssize_t put = tls ? 0 : send(fd, text, (size_t)size, MSG_NOSIGNAL | MSG_DONTWAIT);
  (void)put;
  close(fd);
}

static void take_client(loop *l, const listener *at, int fd, const struct sockaddr *from) {
  net *n = l->net;
  connection *c = calloc(1, sizeof *c);
  if (!c) {
    close(fd);
    return;
  }
  *c = (connection){.net = n, .fd = fd, .peer = address_from_socket(from), .transport = &transport_plain};
  c->bucket = (unsigned)(address_hash(&c->peer, n->seed) % NET_CLIENTS);
  c->counted = !c->peer.local_socket && !network_list_has(&n->config->trusted, &c->peer);
  unsigned most = (unsigned)n->limits->max_client_connections;
  if (c->counted && atomic_fetch_add(&n->clients[c->bucket], 1) >= most && most) {
    atomic_fetch_sub(&n->clients[c->bucket], 1);
    free(c);
    turn_away(n, fd, at->tls);
    return;
  }
  int on = 1;
  if (!c->peer.local_socket) setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  loop *home = least_loaded(n);
  atomic_fetch_add(&home->count, 1);
  atomic_fetch_add(&n->connections, 1);
  if (at->tls) {
    c->transport = &transport_tls;
    c->tls = tls_accept(n->tls, fd);
    c->broken = !c->tls;
  }
  loop_adopt(home, c);
}

static void look_away(loop *l) {
  net *n = l->net;
  if (!l->listening) return;
  l->listening = false;
  for (size_t i = 0; i < n->listener_count; i++) epoll_ctl(l->epoll, EPOLL_CTL_DEL, n->listeners[i].fd, NULL);
}

// False: there is nobody else, or nobody else can be taken.
static bool take_next(loop *l, const listener *at) {
  net *n = l->net;
  if (atomic_load(&n->connections) >= (size_t)n->limits->max_connections) {
    look_away(l);
    return false;
  }
  struct sockaddr_storage from = {0};
  socklen_t size = sizeof from;
  int fd = accept4(at->fd, (struct sockaddr *)&from, &size, SOCK_CLOEXEC | SOCK_NONBLOCK);
  if (fd >= 0) take_client(l, at, fd, (struct sockaddr *)&from);
  if (fd >= 0 || errno == EINTR || errno == ECONNABORTED) return true;
  if (errno == EAGAIN) return false;
  log_line("warning", "cannot accept: %s", strerror(errno));
  l->accept_again_ns = l->now_ns + AGAIN_MS * 1000000u;
  look_away(l);
  return false;
}

void listen_event(loop *l, listener *at) {
  for (int i = 0; i < ACCEPT_BURST && take_next(l, at); i++) continue;
}

void listen_begin(loop *l) {
  net *n = l->net;
  if (l->listening || atomic_load(&n->closing) || l->now_ns < l->accept_again_ns ||
      atomic_load(&n->connections) >= (size_t)n->limits->max_connections)
    return;
  l->accept_again_ns = 0;
  l->listening = true;
  for (size_t i = 0; i < n->listener_count; i++) {
    if (n->listeners[i].shared && !atomic_load(&n->released)) continue;
    struct epoll_event event = {.events = EPOLLIN | EPOLLEXCLUSIVE, .data.ptr = &n->listeners[i]};
    epoll_ctl(l->epoll, EPOLL_CTL_ADD, n->listeners[i].fd, &event);
  }
}

void listen_release(loop *l) {
  look_away(l);
  listen_begin(l);
}

void listen_end(loop *l) {
  net *n = l->net;
  // Those whose handshake is done are taken first: no more than can wait, as others may still come to a shared socket.
  for (size_t i = 0; i < n->listener_count; i++)
    for (int taken = 0; taken < BACKLOG && take_next(l, &n->listeners[i]); taken++) continue;
  look_away(l);
  if (atomic_fetch_add(&n->ended, 1) + 1 < n->loop_count) return;
  for (size_t i = 0; i < n->listener_count; i++) {
    listener *at = &n->listeners[i];
    if (at->unix_path) unlink(at->unix_path);
    if (!at->shared) shutdown(at->fd, SHUT_RDWR);
  }
}
