// SPDX-License-Identifier: Apache-2.0
// Statuses of the engine as exceptions: the classes come from the status list in sardonyx/types.h.
// Read next: _engine.h.
#include "_engine.h"

#include <string.h>

static PyObject *exceptions[SDX_STATUS_COUNT];  // class of each status; NULL for SDX_OK

// Raises the class of a status with a text (taken): "[Sardonyx] : 1 : INVALID_ARGUMENT : text".
static PyObject *raise_object(sdx_status status, PyObject *text) {
  PyObject *whole =
      text ? PyUnicode_FromFormat("[Sardonyx] : %d : %s : %U", (int)status, sdx_status_name(status), text) : NULL;
  if (whole) PyErr_SetObject(exceptions[status], whole);
  Py_XDECREF(text);
  Py_XDECREF(whole);
  return NULL;
}

PyObject *raise_status(sdx_status status, const char *message) {
  if (!message) message = "";
  if (status == SDX_NO_MEMORY && !*message) return PyErr_NoMemory();
  return raise_object(status, PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace"));
}

PyObject *raise_text(sdx_status status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  PyObject *text = PyUnicode_FromFormatV(format, list);
  va_end(list);
  return raise_object(status, text);
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
    }
    exceptions[s] = found;
  }
  return 0;
}
