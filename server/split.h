// SPDX-License-Identifier: Apache-2.0
// A share of the scoring requests goes to another server of this machine: a revision on trial. `--split FILE` names it:
//   OWN OTHER PERCENT    what the two are called, and how many of 100 requests go to the other
//   SOCKET               one or more Unix sockets of the other, in turns
// A request with the header `azureml-model-deployment: NAME` goes where it says. An empty or missing file: all stays.
// What comes in by a Unix socket stays, so nothing goes around in circles. Read next: split.c.
#pragma once

#include <pthread.h>
#include <stdbool.h>

enum { SPLIT_NAME = 64, SPLIT_PATH = 108, SPLIT_SOCKETS = 16, SPLIT_IDLE = 16 };

typedef struct split {
  const char *path;      // of the file; NULL: none
  pthread_mutex_t lock;  // of what follows
  bool active;
  char own[SPLIT_NAME], other[SPLIT_NAME];
  unsigned percent;
  char sockets[SPLIT_SOCKETS][SPLIT_PATH];
  unsigned socket_count, generation;
  struct {
    int fd;
    unsigned generation;
  } idle[SPLIT_IDLE];  // connections to use again
  unsigned idle_count;
  unsigned requests, connections;
} split;

struct call;

void split_init(split *s, const char *path);
void split_deinit(split *s);
void split_reload(split *s);  // what is no good is said in the log, and all stays here
// Whether the call is for the other. False with the response set (404): it asks for one that there is not.
bool split_takes(split *s, struct call *c);
// Sends it there and takes the answer over, on a thread that may block.
void split_work(struct call *c);
