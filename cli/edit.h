// SPDX-License-Identifier: Apache-2.0
// What the commands share that read an ONNX model, change it and write it: the frame around the change (open, save,
// what is told), options that all of them take, names with "did you mean". Read next: cmd_shrink.c, cmd_cut.c.
#pragma once

#include <jansson.h>

#include "cli/cli.h"
#include "sardonyx/edit.h"

#define EDIT_CHANGES                                                                                       \
  OPTION("set-shape", ARG_TEXT, "NAME=N,..", "another shape of an input: x=1,3,224,224 or x=batch,3,?,?"), \
      OPTION("dim", ARG_TEXT, "NAME=N", "fix a free dimension of the inputs, e.g. batch=1"),               \
      OPTION("rename", ARG_TEXT, "OLD=NEW", "another name for an input, an output or another value"),      \
      OPTION("option", ARG_TEXT, "K=V", "an engine option; '--option list' names all")

#define EDIT_OPTIONS                                                                                              \
  OPTION("output", ARG_TEXT, "FILE",                                                                              \
         "the file to write (default: MODEL with the command in its name); - is standard output", .letter = 'o'), \
      EDIT_CHANGES, OPTION_FLAG("json", "machine-readable")

typedef struct edit {
  const args *a;
  const char *command, *path;
  sdx_builder *builder;
  json_t *details;  // what the command itself has to tell; {} at first
} edit;
typedef int (*edit_step)(edit *e);  // an exit code, after printing
// The whole command: opens the first word, applies the shared options, calls the step, saves and reports.
int edit_run(const args *a, const char *command, edit_step step);

int edit_reopen(edit *e);        // the file once more, with the shared options applied; an exit code
int edit_failed(const edit *e);  // prints the builder's error; CLI_FAILED
// Nodes without a name get that of what they make: then each can be told, and kept.
void edit_name_nodes(edit *e);
// "key=value" in two; the key is to be freed. NULL: there is no '='.
char *edit_split(const char *text, const char **value);
// A value of the graph by name; 0 after printing.
sdx_ref edit_find(const edit *e, const char *option, const char *name);
