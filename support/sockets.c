// SPDX-License-Identifier: Apache-2.0
// Listening sockets (sockets.h).
#include "support/sockets.h"

#include <errno.h>
#include <linux/filter.h>
#include <netdb.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

enum { BACKLOG = 4096 };

int socket_port(int fd) {
  struct sockaddr_storage bound;
  socklen_t size = sizeof bound;
  if (getsockname(fd, (struct sockaddr *)&bound, &size)) return 0;
  return ntohs(bound.ss_family == AF_INET6 ? ((struct sockaddr_in6 *)&bound)->sin6_port
                                           : ((struct sockaddr_in *)&bound)->sin_port);
}

int socket_listen(const char *host, int port, int *given, fault *f) {
  char service[16];
  struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_PASSIVE | AI_NUMERICSERV}, *list = NULL;
  snprintf(service, sizeof service, "%d", port);
  int failure = getaddrinfo(host, service, &hints, &list), on = 1;
  if (failure) {
    fault_set(f, SDX_INVALID_ARGUMENT, "host '%.200s': %s", host, gai_strerror(failure));
    return -1;
  }
  int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0) setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
  if (fd < 0 || bind(fd, list->ai_addr, list->ai_addrlen) || listen(fd, BACKLOG)) {
    fault_errno(f, errno, "cannot listen on %s port %d", host, port);
    if (fd >= 0) close(fd);
    fd = -1;
  }
  freeaddrinfo(list);
  if (fd >= 0) *given = socket_port(fd);
  return fd;
}

// A message that carries a descriptor: one byte, for there is no message without.
typedef struct parcel {
  char byte;
  _Alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(int))];
  struct iovec bytes;
  struct msghdr message;
} parcel;

static void parcel_init(parcel *p) {
  *p = (parcel){.bytes = {&p->byte, 1}};
  p->message = (struct msghdr){
      .msg_iov = &p->bytes, .msg_iovlen = 1, .msg_control = p->control, .msg_controllen = sizeof p->control};
}

static bool unix_address(const char *path, struct sockaddr_un *to) {
  *to = (struct sockaddr_un){.sun_family = AF_UNIX};
  return (size_t)snprintf(to->sun_path, sizeof to->sun_path, "%s", path) < sizeof to->sun_path;
}

int socket_door(const char *path, fault *f) {
  struct sockaddr_un a;
  int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  if (fd >= 0 && unix_address(path, &a) && (!unlink(path) || errno == ENOENT) &&
      !bind(fd, (struct sockaddr *)&a, sizeof a) && !chmod(path, 0600) && !listen(fd, BACKLOG))
    return fd;
  fault_errno(f, errno, "cannot listen at %s", path);
  if (fd >= 0) close(fd);
  return -1;
}

void socket_hand_over(int door, int fd) {
  parcel p;
  int to = accept4(door, NULL, NULL, SOCK_CLOEXEC);
  if (to < 0) return;
  parcel_init(&p);
  struct cmsghdr *head = CMSG_FIRSTHDR(&p.message);
  *head = (struct cmsghdr){.cmsg_level = SOL_SOCKET, .cmsg_type = SCM_RIGHTS, .cmsg_len = CMSG_LEN(sizeof fd)};
  memcpy(CMSG_DATA(head), &fd, sizeof fd);
  sendmsg(to, &p.message, MSG_NOSIGNAL | MSG_DONTWAIT);
  close(to);
}

int socket_fetch(const char *path, fault *f) {
  struct sockaddr_un a;
  parcel p;
  int found = -1, from = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  parcel_init(&p);
  if (from < 0 || !unix_address(path, &a) || connect(from, (struct sockaddr *)&a, sizeof a) ||
      recvmsg(from, &p.message, MSG_CMSG_CLOEXEC) < 0) {
    fault_errno(f, errno, "cannot fetch a socket from %s", path);
  } else {
    struct cmsghdr *head = CMSG_FIRSTHDR(&p.message);
    if (head && head->cmsg_type == SCM_RIGHTS && head->cmsg_len == CMSG_LEN(sizeof found))
      memcpy(&found, CMSG_DATA(head), sizeof found);
    else fault_set(f, SDX_IO_ERROR, "%s hands over nothing", path);
  }
  if (from >= 0) close(from);
  return found;
}

void socket_refuse_new(int fd) {
  // Classic BPF over the TCP header: byte 13 holds the flags, 2 is SYN.
  struct sock_filter code[] = {
      BPF_STMT(BPF_LD | BPF_B | BPF_ABS, 13),
      BPF_JUMP(BPF_JMP | BPF_JSET | BPF_K, 2, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, 0),
      BPF_STMT(BPF_RET | BPF_K, 0xFFFFFFFF),
  };
  struct sock_fprog program = {sizeof code / sizeof *code, code};
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, &program, sizeof program);
}
