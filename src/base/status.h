// SPDX-License-Identifier: Apache-2.0
// Errors are values: a status, the place (node, part, file), what is wrong, what was expected and a hint, each a field
// of its own, and the message that words them. Every function that can fail for a reason outside the program returns
// sdx_status and fills the `error` it was given; callers add the place on the way up, innermost first.
// Read next: error_word in status.c, the one place where fields become a sentence.
#pragma once

#include <stdarg.h>

#include "base/str.h"
#include "sardonyx/types.h"

// What a sentence can be about: a part of a node, of the model or of the call. X(NAME, word and JSON key)
#define ERROR_PART_LIST(X)      \
  X(INPUT, "input")             \
  X(OUTPUT, "output")           \
  X(ATTRIBUTE, "attribute")     \
  X(INITIALIZER, "initializer") \
  X(VALUE, "value")             \
  X(DIMENSION, "dimension")     \
  X(FUNCTION, "function")       \
  X(OPTION, "option")           \
  X(PROVIDER, "provider")       \
  X(FILE, "file")

typedef enum error_part_kind {
  PART_NONE,
#define X(name, word) PART_##name,
  ERROR_PART_LIST(X)
#undef X
} error_part_kind;

typedef struct error_part {
  error_part_kind kind;
  int64_t index;  // -1: it has none
  str name;       // may be empty where there is an index
} error_part;

static inline error_part part_at(error_part_kind kind, size_t index) { return (error_part){kind, (int64_t)index, {0}}; }
static inline error_part part_named(error_part_kind kind, str name) { return (error_part){kind, -1, name}; }
static inline error_part at_input(size_t index) { return part_at(PART_INPUT, index); }
static inline error_part at_output(size_t index) { return part_at(PART_OUTPUT, index); }
static inline error_part at_attribute(const char *name) { return part_named(PART_ATTRIBUTE, str_from(name)); }
static inline error_part at_option(const char *name) { return part_named(PART_OPTION, str_from(name)); }
static inline error_part at_file(str name) { return part_named(PART_FILE, name); }

typedef struct error {
  sdx_status status;  // SDX_OK: nothing is set, and no field but message ("") holds
  const char *code;   // a word for the kind of problem, "unknown-operator"; static; NULL: the status says it
  error_part_kind part;
  error_part_kind subject;  // the sentence goes on from this ("input 1" "has rank 3"); PART_NONE: it stands alone
  int64_t index;            // of the part, -1: none
  int64_t node_index;       // in the file, -1: not known
  int64_t offset;           // byte of the file, -1: not known
  // Parts of the sentence; expected_at 0: it does not tell what was expected.
  uint16_t found_at, found_end, expected_at, expected_end;
  bool has_node;
  bool of_record;          // the part's name is that of the operator's record
  char node[160], op[80];  // the innermost node, and its operator
  char name[160];          // of the part
  char file[320];
  char within[260];  // what lies around all these, outermost first: "trip 3", "node 'loop' (Loop)"
  char sentence[800];
  char hint[280];
  char message[1000];
} error;

// Propagates a failure; where clean-up exists, use `goto done` instead.
#define SDX_TRY(expression)                        \
  do {                                             \
    sdx_status try_status_ = (expression);         \
    if (try_status_ != SDX_OK) return try_status_; \
  } while (0)

// Sets what is wrong, and returns `status`. In a format ", expected " parts what was found from what was expected, and
// a colon after that begins a reason: "has %d rows, expected %d: the inner dimensions differ". An error that is already
// set is kept: the first one is the cause. All texts are cut to their room, and control characters replaced. `err` may
// be NULL here and below.
sdx_status error_set(error *err, sdx_status status, const char *format, ...) __attribute__((format(printf, 3, 4)));
// The same of a part, from which the sentence goes on: "input 1 ('indices')" "is 9, expected 0 to 3".
sdx_status error_at(error *err, error_part part, sdx_status status, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
sdx_status error_at_list(error *err, error_part part, sdx_status status, const char *format, va_list args);
sdx_status error_no_memory(error *err, size_t bytes);
// Takes over an error, unless one is set. Returns the status of `from`.
sdx_status error_copy(error *err, const error *from);

// What an error that is set lacks; without one they do nothing.
void error_code(error *err, const char *code);  // unless it has one
void error_hint(error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
// The node, unless an inner one is known. index -1: not known; an empty name is fine.
void error_node(error *err, int64_t index, str name, str op);
// A byte of the file, unless one is known.
void error_offset(error *err, size_t offset);
// A part that the sentence is in, unless it is of that part: "initializer 'w': ...".
void error_in_part(error *err, error_part part);
// Completes what is known of an input or output from its node's record.
void error_part_of_record(error *err, int64_t index, str name);
// Anything else around it: "trip 3: ...".
void error_within(error *err, const char *format, ...) __attribute__((format(printf, 2, 3)));
void error_clear(error *err);

// "node 'x' (Add)", "initializer 'w'": the words of the place; "" if there is none.
enum { ERROR_PLACE = 640 };
const char *error_place(const error *err, char buffer[ERROR_PLACE]);
// The members of a JSON object, without braces: "status", "code", "place", "message" (the sentence alone), "hint", and
// where they are known "node", "operator", the part by its kind ("input": name) with "index", "file", "offset",
// "within", "found", "expected".
struct text;
void error_json(struct text *t, const error *err);
char *error_object(const error *err);  // such an object; NULL: nothing is set, or no memory

// "123 bytes", "1.5 GiB"; of a size that passed what can be addressed no number, as it is none that anybody asked for.
enum { BYTES_TEXT = 32 };
const char *bytes_text(size_t bytes, char buffer[BYTES_TEXT]);

const char *status_text(sdx_status status);
const char *status_name(sdx_status status);
int status_http(sdx_status status);
