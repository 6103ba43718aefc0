// SPDX-License-Identifier: Apache-2.0
// Statuses of the engine as exceptions: the classes come from the status list in sardonyx/types.h. An exception has the
// engine's fields as `fields`; ONNX Runtime's words for some of them are in _phrases.py.
// Read next: _engine.h.
#include "_engine.h"

#include <string.h>

static PyObject *exceptions[SDX_STATUS_COUNT];  // class of each status; NULL for SDX_OK

// Raises `class` with a text and fields (both taken; fields may be NULL: there are none).
static PyObject *raise_class(PyObject *class, PyObject *text, PyObject *fields) {
  PyObject *exception = text ? PyObject_CallOneArg(class, text) : NULL;
  if (exception && !PyObject_SetAttrString(exception, "fields", fields ? fields : Py_None))
    PyErr_SetObject(class, exception);
  Py_XDECREF(exception);
  Py_XDECREF(text);
  Py_XDECREF(fields);
  return NULL;
}

// Raises the class of a status: "[Sardonyx] : 1 : INVALID_ARGUMENT : text". Takes both.
static PyObject *raise_object(sdx_status status, PyObject *text, PyObject *fields) {
  PyObject *whole =
      text ? PyUnicode_FromFormat("[Sardonyx] : %d : %s : %U", (int)status, sdx_status_name(status), text) : NULL;
  Py_XDECREF(text);
  return raise_class(exceptions[status], whole, fields);
}

static PyObject *decode(const char *text) { return PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace"); }

PyObject *raise_status(sdx_status status, const char *message) {
  if (status == SDX_NO_MEMORY && !*message) return PyErr_NoMemory();
  return raise_object(status, decode(message), NULL);
}

// ONNX Runtime's words for the fields, or None.
static PyObject *phrase(PyObject *fields) {
  PyObject *words = PyImport_ImportModule("sardonyx._phrases"), *none = PyTuple_New(0), *text = NULL;
  PyObject *function = words ? PyObject_GetAttrString(words, "phrase") : NULL;
  if (function && none) text = PyObject_Call(function, none, fields);
  Py_XDECREF(function);
  Py_XDECREF(words);
  Py_XDECREF(none);
  return text;
}

PyObject *raise_engine(sdx_status status, const char *prefix, const char *message, char *json) {
  PyObject *fields = NULL, *loads = json ? PyImport_ImportModule("json") : NULL;
  if (loads) fields = PyObject_CallMethod(loads, "loads", "s", json);
  Py_XDECREF(loads);
  sdx_string_free(json);
  if (PyErr_Occurred()) return NULL;
  if (status == SDX_NO_MEMORY && !*message) return PyErr_NoMemory();
  PyObject *text = fields ? phrase(fields) : NULL;
  if (!fields || text == Py_None) Py_XSETREF(text, decode(message));
  if (text && *prefix) Py_SETREF(text, PyUnicode_FromFormat("%s%U", prefix, text));
  return raise_object(status, text, fields);
}

PyObject *raise_feed(PyObject *fields) {
  PyObject *text = fields ? phrase(fields) : NULL;
  PyObject *missing = text ? PyDict_GetItemString(fields, "missing") : NULL;
  if (missing) return raise_class(PyExc_ValueError, text, fields);
  if (text) return raise_object(SDX_INVALID_ARGUMENT, text, fields);
  Py_XDECREF(fields);
  return NULL;
}

void raise_wrong_type(PyObject *found, const char *expected) {
  raise_feed(Py_BuildValue("{s:s,s:N,s:s}", "code", "input-type", "found", found, "expected", expected));
}

void errors_name_input(PyObject *name) {
  PyObject *class, *exception, *trace;
  if (PyErr_ExceptionMatches(PyExc_MemoryError)) return;
  PyErr_Fetch(&class, &exception, &trace);
  PyErr_NormalizeException(&class, &exception, &trace);
  PyObject *fields = exception ? PyObject_GetAttrString(exception, "fields") : NULL;
  PyErr_Clear();  // exceptions of Python's own have none
  if (fields && PyDict_Check(fields)) PyDict_SetItemString(fields, "input", name);
  Py_XDECREF(fields);
  PyObject *args = Py_BuildValue("(N)", PyUnicode_FromFormat("%S, input '%S'", exception, name));
  if (args) PyObject_SetAttrString(exception, "args", args);
  Py_XDECREF(args);
  PyErr_Restore(class, exception, trace);
}

// One class per name of the status list's last column; several statuses may share one.
int errors_init(PyObject *module) {
  static const char *const names[] = {
#define X(name, sentence, http, exception) #exception,
      SDX_STATUS_LIST(X)
#undef X
  };
  static const char *const sentences[] = {
#define X(name, sentence, http, exception) sentence,
      SDX_STATUS_LIST(X)
#undef X
  };
  for (int s = SDX_OK + 1; s < SDX_STATUS_COUNT; s++) {
    PyObject *found = PyObject_GetAttrString(module, names[s]);
    if (!found) {
      PyErr_Clear();
      char full[80];
      snprintf(full, sizeof full, "sardonyx.%s", names[s]);
      found = PyErr_NewExceptionWithDoc(full, sentences[s], NULL, NULL);
      if (!found || PyModule_AddObjectRef(module, names[s], found)) return -1;
      if (PyObject_SetAttrString(found, "fields", Py_None)) return -1;
    }
    exceptions[s] = found;
  }
  return 0;
}
