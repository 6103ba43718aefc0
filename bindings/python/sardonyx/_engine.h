// SPDX-License-Identifier: Apache-2.0
// What the C files of the module `_engine` ask of each other.
// Read next: _engine.c (sessions), _values.c (arrays in and out), _cancel.c, _errors.c.
#pragma once
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <stdbool.h>

#include "sardonyx/sardonyx.h"

// ---- _errors.c: each raises the class of its status and returns NULL ---------------------------

int errors_init(PyObject *module);
PyObject *raise_status(sdx_status status, const char *message);
// Of a call of the engine: its message with `prefix` in front, and its fields as JSON (taken; may be NULL).
PyObject *raise_engine(sdx_status status, const char *prefix, const char *message, char *json);
// Of what a run is given, found before the engine sees it; fields (taken, a dict) as the engine names them.
PyObject *raise_feed(PyObject *fields);
// A value that is of another type than its input; `found` is taken.
void raise_wrong_type(PyObject *found, const char *expected);
void errors_name_input(PyObject *name);  // adds it to the fields and the words of the exception that is set

// ---- _values.c ---------------------------------------------------------------------------------

int values_init(void);
PyObject *register_dtype(PyObject *module, PyObject *arguments);  // number, dtype, accept
// A new engine value for an input of type `type`; NULL with an exception set.
sdx_value *value_in(PyObject *object, const char *type, sdx_dtype wanted);
PyObject *value_out(sdx_value *v);

// ---- _cancel.c ---------------------------------------------------------------------------------

typedef struct cancel_token cancel_token;
extern PyTypeObject token_type;
int cancel_init(void);
// Executes under the token (which may be NULL); true if outputs are ready, else an exception is set.
bool run_watched(sdx_run *run, cancel_token *token);
