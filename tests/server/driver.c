// SPDX-License-Identifier: Apache-2.0
// Load for a server on this machine: one thread that sends the request of a file over many connections, each as soon as
// the one before is answered, or (a rate is given) at random moments whatever comes back: requests that find no free
// connection wait, and their time counts from the moment they were due.
//   server_driver PORT FILE CONNECTIONS SECONDS [RATE [GOAL_MS]]
// Prints JSON: requests a second, how many of each status, quantiles of the times of those with 200, within the goal.
#include <errno.h>
#include <math.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { ROOM = 1 << 20, MOST = 1 << 22 };

typedef struct client {
  int fd;
  bool busy;
  size_t sent, got;
  double due;
  char answer[65536];
} client;

typedef struct load {
  const char *request;
  size_t size, count, busy, done, statuses[600], lost;
  client *clients;
  double *times, *waiting, start, end, goal;
  size_t good, within, first_waiting, last_waiting;
  int poll;
} load;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static bool connect_client(load *l, client *c, int port) {
  struct sockaddr_in to = {
      .sin_family = AF_INET, .sin_port = htons((uint16_t)port), .sin_addr = {htonl(INADDR_LOOPBACK)}};
  int one = 1;
  c->fd = socket(AF_INET, SOCK_STREAM, 0);
  if (c->fd < 0 || connect(c->fd, (struct sockaddr *)&to, sizeof to) < 0) return false;
  setsockopt(c->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
  struct epoll_event e = {.events = EPOLLIN, .data.ptr = c};
  return epoll_ctl(l->poll, EPOLL_CTL_ADD, c->fd, &e) == 0;
}

static void send_one(load *l, client *c, double due) {
  c->busy = true;
  c->due = due;
  c->got = 0;
  l->busy++;
  for (c->sent = 0; c->sent < l->size;) {  // to a local socket: it takes them
    ssize_t n = send(c->fd, l->request + c->sent, l->size - c->sent, MSG_NOSIGNAL);
    if (n <= 0) break;
    c->sent += (size_t)n;
  }
}

// The answer is whole: how many bytes, or 0.
static size_t whole(const client *c) {
  const char *end = memmem(c->answer, c->got, "\r\n\r\n", 4);
  if (!end) return 0;
  const char *length = strcasestr(c->answer, "\r\ncontent-length:");
  size_t total = (size_t)(end - c->answer) + 4 + (length && length < end ? strtoul(length + 17, NULL, 10) : 0);
  return c->got >= total ? total : 0;
}

static void note(load *l, client *c) {
  double t = now();
  int status = atoi(c->answer + 9);
  l->statuses[status > 0 && status < 600 ? status : 0]++;
  if (status == 200 && l->good < MOST) {
    l->times[l->good++] = t - c->due;
    l->within += t - c->due <= l->goal;
  }
  l->done++;
  l->busy--;
  c->busy = false;
}

static void receive(load *l, client *c) {
  ssize_t n = recv(c->fd, c->answer + c->got, sizeof c->answer - 1 - c->got, MSG_DONTWAIT);
  if (n < 0 && errno == EAGAIN) return;
  if (n <= 0) {
    epoll_ctl(l->poll, EPOLL_CTL_DEL, c->fd, NULL);
    l->lost++;
    l->busy -= c->busy;
    c->fd = -1;
    c->busy = true;
    return;
  }
  c->got += (size_t)n;
  c->answer[c->got] = 0;
  if (whole(c)) note(l, c);
}

// Gives what waits to connections that are free.
static void hand_out(load *l) {
  for (size_t i = 0; i < l->count && l->first_waiting < l->last_waiting; i++)
    if (!l->clients[i].busy) send_one(l, &l->clients[i], l->waiting[l->first_waiting++ % MOST]);
}

static void run(load *l, double rate) {
  struct epoll_event events[256];
  double next = l->start;
  for (double t = l->start; t < l->end || (l->busy && t < l->end + 5); t = now()) {
    while (rate > 0 && next <= t && next < l->end) {
      l->waiting[l->last_waiting++ % MOST] = next;
      next += -log(1 - drand48()) / rate;
    }
    for (size_t i = 0; rate <= 0 && t < l->end && i < l->count; i++)
      if (!l->clients[i].busy) send_one(l, &l->clients[i], t);
    if (t < l->end) hand_out(l);
    // epoll_pwait2 is not everywhere: short waits are asked for in microseconds by turning.
    int wait = rate <= 0 ? 100 : (int)((next - t) * 1000);
    int n = epoll_wait(l->poll, events, 256, wait > 100 ? 100 : wait < 0 ? 0 : wait);
    for (int i = 0; i < n; i++) receive(l, events[i].data.ptr);
  }
}

static int by_time(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void print(load *l) {
  const double quantiles[] = {0.5, 0.9, 0.99, 1};
  const char *names[] = {"p50_ms", "p90_ms", "p99_ms", "max_ms"};
  double seconds = l->end - l->start;
  qsort(l->times, l->good, sizeof *l->times, by_time);
  printf("{\"per_second\": %.1f, \"good_per_second\": %.1f, \"within_goal_per_second\": %.1f, \"lost\": %zu",
         (double)l->done / seconds, (double)l->good / seconds, (double)l->within / seconds, l->lost);
  for (int i = 0; i < 4 && l->good; i++)
    printf(", \"%s\": %.3f", names[i], l->times[(size_t)(quantiles[i] * (double)(l->good - 1))] * 1000);
  printf(", \"statuses\": {");
  for (int i = 0, first = 1; i < 600; i++)
    if (l->statuses[i]) printf("%s\"%d\": %zu", first ? "" : ", ", i, l->statuses[i]), first = 0;
  printf("}}\n");
}

int main(int count, char **words) {
  if (count < 5) return fprintf(stderr, "server_driver PORT FILE CONNECTIONS SECONDS [RATE [GOAL_MS]]\n"), 2;
  static char request[ROOM];
  FILE *file = fopen(words[2], "rb");
  if (!file) return perror(words[2]), 1;
  load l = {.request = request, .size = fread(request, 1, sizeof request, file), .count = strtoul(words[3], NULL, 10)};
  fclose(file);
  l.clients = calloc(l.count, sizeof *l.clients);
  l.times = malloc(MOST * sizeof *l.times);
  l.waiting = malloc(MOST * sizeof *l.waiting);
  l.poll = epoll_create1(0);
  for (size_t i = 0; i < l.count; i++)
    if (!connect_client(&l, &l.clients[i], atoi(words[1]))) return perror("connect"), 1;
  l.start = now();
  l.end = l.start + atof(words[4]);
  l.goal = count > 6 ? atof(words[6]) / 1000 : INFINITY;
  run(&l, count > 5 ? atof(words[5]) : 0);
  print(&l);
  return 0;
}
