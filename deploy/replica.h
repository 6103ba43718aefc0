// SPDX-License-Identifier: Apache-2.0
// One server process of a service, as its supervisor sees it:
//   STARTING  loads; answers on a Unix socket of its own, where a probe waits until it is ready and sends the sample
//   READY     has scored the sample; does not take clients yet
//   SERVING   accepts from the socket that all replicas share
//   DRAINING  answers what it accepted, then ends
// Read next: supervisor.c, which decides.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "support/fault.h"
#include "support/group.h"

enum { REPLICA_LINE = 4096, REPLICA_TEXT = 1000 };

typedef enum replica_state { REPLICA_STARTING, REPLICA_READY, REPLICA_SERVING, REPLICA_DRAINING } replica_state;

// What is the same for all replicas of a revision. Paths are relative to the service's folder, which is the current
// one.
typedef struct replica_plan {
  int64_t revision;
  const char *const *arguments;    // of the program, the first is the program; those of the socket are added
  const char *const *environment;  // ended by NULL; NULL: this process's
  const char *const *end;          // a program that ends what killing the process leaves behind, or NULL
  const char *sample;              // a file that is sent to /score before clients are, or NULL
  const char *credential;          // to authorize the probe with, or NULL
  unsigned start_ms;               // to become ready in
} replica_plan;

typedef struct replica {
  int64_t revision;
  unsigned number;  // of its start; names its socket
  replica_state state;
  pid_t pid, probe;  // probe 0: none
  pid_t server;      // who serves: `pid`, or what runs in the container that `pid` attends to
  int said, found;   // what the process prints; what the probe found wrong; -1: closed
  uint64_t started_ns, served_ns;
  char **end;               // words of the program that ends what is left; owned
  group group;              // of its own, where it has limits
  char line[REPLICA_LINE];  // the beginning of a line that is not complete
  size_t line_size;
  bool marked;               // `error` is one that the server called so
  char error[REPLICA_TEXT];  // the last error it logged, else the last line; or what the probe found
} replica;

const char *replica_state_name(replica_state state);
// `shared`: the listening socket; -1: it is not inherited.
replica *replica_start(const replica_plan *plan, unsigned number, int shared, fault *f);
void replica_release(replica *r);       // READY: takes clients from now on
void replica_drain(replica *r);         // asks it to end
void replica_reload(const replica *r);  // files of the current folder have changed
// Reads what it printed; `take` gets whole lines. False: it has closed its end.
typedef void (*replica_take)(void *context, const replica *r, const char *line, size_t size);
bool replica_read(replica *r, replica_take take, void *context);
// The probe has ended (its status of waitpid): READY, or false with `error` set.
bool replica_judge(replica *r, int status);
void replica_destroy(replica *r);  // kills what still runs
