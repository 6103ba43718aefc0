// SPDX-License-Identifier: Apache-2.0
// The host's side of a script worker: a Python process in a sandbox that runs a scoring script, and frames to and from
// it over a socket pair. A frame is <u32 bytes of the head><u64 bytes of the body>, both little-endian, a JSON object
// with "type", and the body. What comes is distrusted: sizes are bounded, times have an end. README.md describes the
// frames.
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "support/fault.h"

enum { SCRIPT_HEAD_BYTES = 1 << 20 };

// What a Python says of itself: executable, version, prefix, base_prefix, path (where it looks for modules).
json_t *script_python(const char *python, fault *f);  // NULL: python3 of PATH

typedef struct script_options {
  const json_t *python;            // of script_python
  const char *programs;            // the folder of sardonyx_worker.py; see script_programs
  const char *const *read;         // more files and folders it may read, ended by NULL; NULL: none
  const char *scratch;             // a folder it may write in, and its TMPDIR and HOME
  const char *const *environment;  // more "NAME=value", ended by NULL; NULL: none
  bool network;
  uint64_t memory_bytes;  // 0: 4 GiB
  uint64_t cpu_seconds;   // 0: no limit
  uint64_t body_bytes;    // the largest body that is taken; 0: 64 MiB
  int log;                // descriptor for what is written past sys.stdout, or -1
} script_options;

// Whether each worker gets a variable ("NAME" or "NAME=value") of its own, whoever else sets it.
bool script_sets(const char *variable);

// The folder with the Python side, beside the `sardonyx` command or in share/ of its prefix. free() it.
char *script_programs(const char *command, fault *f);

typedef struct script_worker script_worker;
sdx_status script_start(const script_options *o, script_worker **w, fault *f);
void script_stop(script_worker *w);  // kills what is left of it
// To be polled: readable when a frame begins or the worker has ended.
int script_descriptor(const script_worker *w);

sdx_status script_send(script_worker *w, const json_t *head, const void *body, size_t size, fault *f);
// The next frame; DEADLINE_EXCEEDED after timeout_ms, IO_ERROR when it ended. Both json and body (free; a NUL behind
// it) are the caller's. After a failure the worker is to be stopped.
sdx_status script_receive(script_worker *w, int timeout_ms, json_t **head, char **body, size_t *size, fault *f);
