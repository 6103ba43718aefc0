// SPDX-License-Identifier: Apache-2.0
// Programs run for their answer: started without a shell, with an environment of their own, in a sandbox, killed with
// all they started when their time is up. Nothing is inherited but what is named.
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "support/fault.h"
#include "support/sandbox.h"

typedef struct program {
  const char *const *arguments;    // ended by NULL; the first is the path of the program (PATH is searched without '/')
  const char *const *environment;  // "NAME=value", ended by NULL; NULL: that of this process
  const char *folder;              // to run in; NULL: this one
  const sandbox *box;              // NULL: none
  int in, out, err;                // descriptors that become 0, 1 and 2; -1: /dev/null
  int pass;                        // a descriptor that becomes 3; -1: none
} program;

// Path of a program that PATH has, or that is one already; NULL: none, or no memory. free() it.
char *program_find(const char *name);

// The child leads a process group of its own and dies with the thread that started it.
sdx_status process_start(const program *p, pid_t *pid, fault *f);
// Ends it and its group; waits. The status of waitpid.
int process_end(pid_t pid);

typedef struct process_output {
  char *out, *err;  // NUL behind them; free() both
  size_t out_size, err_size;
  int code;     // exit code, or -1
  int killed;   // signal, or 0
  bool late;    // killed at the deadline
  bool excess;  // killed for saying more than `most`
} process_output;

// Feeds `input` (may be NULL), gathers what comes; in, out and err of the program are set here. A program that cannot
// be started is a failure; one that fails is not: see `code`, `killed`, `late`, `excess`.
sdx_status process_run(program p, const void *input, size_t input_size, size_t most, unsigned timeout_ms,
                       process_output *o, fault *f);
void process_output_free(process_output *o);
