// SPDX-License-Identifier: Apache-2.0
// The C half of the Python package: Session (load, describe, run), CancelToken, exceptions.
// Arrays go in without a copy when they are C-contiguous and aligned: the engine's tensor borrows
// their memory and keeps a reference. Results come out without a copy: the array keeps the engine's
// value alive. The GIL is released while a model loads or runs. Read next: __init__.py.
#define PY_SSIZE_T_CLEAN
#define NPY_NO_DEPRECATED_API NPY_1_20_API_VERSION
#include <Python.h>
#include <numpy/arrayobject.h>
#include <signal.h>
#include <stdbool.h>
#include <string.h>

#include "sardonyx/sardonyx.h"

// ---- exceptions ------------------------------------------------------------------------------

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

static PyObject *raise_status(sdx_status status, const char *message) {
  if (!message) message = "";
  if (status == SDX_NO_MEMORY && !*message) return PyErr_NoMemory();
  return raise_object(status, PyUnicode_DecodeUTF8(message, (Py_ssize_t)strlen(message), "replace"));
}

static PyObject *raise_text(sdx_status status, const char *format, ...) {
  va_list list;
  va_start(list, format);
  PyObject *text = PyUnicode_FromFormatV(format, list);
  va_end(list);
  return raise_object(status, text);
}

// One class per name of the status list's last column; several statuses may share one.
static int add_exceptions(PyObject *module) {
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

// ---- element types ---------------------------------------------------------------------------

static PyObject *foreign;  // {numpy dtype: sdx number} for types numpy has no own kind of (ml_dtypes)
static PyArray_Descr *result_types[SDX_DTYPE_COUNT];  // what results of such types look like

static const struct {
  int numpy;
  sdx_dtype dtype;
} native[] = {
    {NPY_FLOAT, SDX_FLOAT},      {NPY_DOUBLE, SDX_DOUBLE},      {NPY_INT64, SDX_INT64},    {NPY_INT32, SDX_INT32},
    {NPY_UINT8, SDX_UINT8},      {NPY_INT8, SDX_INT8},          {NPY_BOOL, SDX_BOOL},      {NPY_UINT16, SDX_UINT16},
    {NPY_INT16, SDX_INT16},      {NPY_UINT32, SDX_UINT32},      {NPY_UINT64, SDX_UINT64},  {NPY_HALF, SDX_FLOAT16},
    {NPY_CFLOAT, SDX_COMPLEX64}, {NPY_CDOUBLE, SDX_COMPLEX128}, {NPY_LONGLONG, SDX_INT64}, {NPY_ULONGLONG, SDX_UINT64}};
enum { NATIVE_COUNT = sizeof native / sizeof *native };

static bool is_packed(sdx_dtype dtype) { return sdx_dtype_bits(dtype) > 0 && sdx_dtype_bits(dtype) < 8; }

// The engine's type of an array; `wanted` decides for raw unsigned views of types numpy lacks.
static sdx_dtype dtype_of(PyArrayObject *array, sdx_dtype wanted) {
  int type = PyArray_TYPE(array);
  if (type == NPY_OBJECT || type == NPY_UNICODE || type == NPY_STRING) return SDX_STRING;
  bool raw = (type == NPY_UINT16 && wanted == SDX_BFLOAT16) ||
             (type == NPY_UINT8 && wanted >= SDX_FLOAT8E4M3FN && wanted < SDX_DTYPE_COUNT) ||
             (type == NPY_INT8 && (wanted == SDX_INT4 || wanted == SDX_INT2));
  if (raw) return wanted;
  for (size_t i = 0; i < NATIVE_COUNT; i++)
    if (native[i].numpy == type) return native[i].dtype;
  PyObject *number = PyDict_GetItemWithError(foreign, (PyObject *)PyArray_DESCR(array));
  return number ? (sdx_dtype)PyLong_AsLong(number) : SDX_UNDEFINED;
}

static PyArray_Descr *descr_of(sdx_dtype dtype) {  // a new reference
  for (size_t i = 0; i < NATIVE_COUNT; i++)
    if (native[i].dtype == dtype) return PyArray_DescrFromType(native[i].numpy);
  PyArray_Descr *d = result_types[dtype];
  if (!d) return (PyArray_Descr *)PyErr_Format(PyExc_TypeError, "no numpy type for %s", sdx_dtype_name(dtype));
  Py_INCREF(d);
  return d;
}

// register_dtype(number, dtype, accept): results of that engine type get this dtype; with `accept`
// arrays of it are taken as inputs too.
static PyObject *register_dtype(PyObject *module, PyObject *arguments) {
  int number, accept;
  PyArray_Descr *d;
  if (!PyArg_ParseTuple(arguments, "iO&p", &number, PyArray_DescrConverter, &d, &accept)) return NULL;
  if (number <= 0 || number >= SDX_DTYPE_COUNT) {
    Py_DECREF(d);
    return PyErr_Format(PyExc_ValueError, "no element type has the number %d", number);
  }
  PyObject *boxed = PyLong_FromLong(number);
  int failed = !boxed || (accept && PyDict_SetItem(foreign, (PyObject *)d, boxed));
  Py_XDECREF(boxed);
  Py_XSETREF(result_types[number], d);
  if (failed) return NULL;
  Py_RETURN_NONE;
}

// ---- Python to engine ------------------------------------------------------------------------

// May come from any thread, at the end of a run or of a session.
static void release_object(void *object) {
  PyGILState_STATE state = PyGILState_Ensure();
  Py_DECREF((PyObject *)object);
  PyGILState_Release(state);
}

static sdx_value *strings_in(PyArrayObject *array, const int64_t *shape) {
  sdx_value *v = sdx_tensor_create(SDX_STRING, (size_t)PyArray_NDIM(array), shape);
  PyObject *flat = v ? PyArray_IterNew((PyObject *)array) : PyErr_NoMemory();
  for (size_t i = 0; flat && i < (size_t)PyArray_SIZE(array); i++) {
    PyObject *item = PyArray_GETITEM(array, PyArray_ITER_DATA(flat));
    const char *bytes = NULL;
    Py_ssize_t length = 0;
    if (item && PyBytes_Check(item)) PyBytes_AsStringAndSize(item, (char **)&bytes, &length);
    else if (item && PyUnicode_Check(item)) bytes = PyUnicode_AsUTF8AndSize(item, &length);
    else if (item)
      PyErr_Format(PyExc_TypeError, "string tensor: element %zu is %R, expected str or bytes", i, Py_TYPE(item));
    bool ok = bytes && sdx_tensor_set_string(v, i, bytes, (size_t)length) == SDX_OK;
    Py_XDECREF(item);
    if (!ok) {
      if (!PyErr_Occurred()) PyErr_NoMemory();
      Py_CLEAR(flat);
      break;
    }
    PyArray_ITER_NEXT(flat);
  }
  if (!flat) {
    sdx_value_release(v);
    return NULL;
  }
  Py_DECREF(flat);
  return v;
}

// 4- and 2-bit elements: one per byte in numpy, packed in the engine, first element in the low bits.
static void pack(const uint8_t *from, uint8_t *to, size_t count, unsigned bits) {
  for (size_t i = 0; i < count; i++) to[i * bits / 8] |= (uint8_t)((from[i] & ((1u << bits) - 1)) << (i * bits % 8));
}

static void unpack(const uint8_t *from, uint8_t *to, size_t count, unsigned bits, bool is_signed) {
  unsigned sign = is_signed ? 1u << (bits - 1) : 0;
  for (size_t i = 0; i < count; i++) {
    unsigned code = from[i * bits / 8] >> (i * bits % 8) & ((1u << bits) - 1);
    to[i] = (uint8_t)((code ^ sign) - sign);
  }
}

static sdx_value *array_in(PyArrayObject *array, sdx_dtype dtype) {
  int64_t shape[NPY_MAXDIMS];
  for (int d = 0; d < PyArray_NDIM(array); d++) shape[d] = PyArray_DIM(array, d);
  size_t rank = (size_t)PyArray_NDIM(array);
  if (dtype == SDX_STRING) return strings_in(array, shape);
  // Dense, aligned and in the machine's byte order, or a copy that is. Not PyArray_ascontiguous:
  // that one turns scalars into rows.
  PyArray_Descr *descr = PyArray_DESCR(array);
  Py_INCREF(descr);
  if (!PyArray_ISNBO(descr->byteorder)) Py_SETREF(descr, PyArray_DescrNewByteorder(descr, NPY_NATIVE));
  PyArrayObject *dense =
      descr ? (PyArrayObject *)PyArray_FromArray(array, descr, NPY_ARRAY_C_CONTIGUOUS | NPY_ARRAY_ALIGNED) : NULL;
  if (!dense) return NULL;
  sdx_value *v;
  if (is_packed(dtype)) {
    v = sdx_tensor_create(dtype, rank, shape);
    if (v && sdx_tensor_count(v))
      pack(PyArray_DATA(dense), sdx_tensor_data(v), sdx_tensor_count(v), (unsigned)sdx_dtype_bits(dtype));
    Py_DECREF(dense);
  } else {
    v = sdx_tensor_borrow(dtype, rank, shape, PyArray_DATA(dense), release_object, dense);
    if (!v) Py_DECREF(dense);
  }
  return v ? v : (sdx_value *)PyErr_NoMemory();
}

static sdx_value *value_in(PyObject *object, const char *type, sdx_dtype wanted);

// Copies the part of "seq(map(int64,tensor(float)))" between its first '(' and its last ')'.
static bool inner_type(const char *type, char *buffer, size_t size) {
  const char *open = strchr(type, '('), *close = strrchr(type, ')');
  if (!open || !close || close <= open || (size_t)(close - open) > size) return false;
  snprintf(buffer, size, "%.*s", (int)(close - open - 1), open + 1);
  return true;
}

static sdx_dtype tensor_type(const char *type) {
  char inner[64];
  return !strncmp(type, "tensor(", 7) && inner_type(type, inner, sizeof inner) ? sdx_dtype_from_name(inner)
                                                                               : SDX_UNDEFINED;
}

static sdx_value *sequence_in(PyObject *object, const char *type) {
  char inner[200];
  PyObject *list = PySequence_Fast(object, "a sequence input takes a list");
  if (!list || !inner_type(type, inner, sizeof inner)) {
    Py_XDECREF(list);
    return NULL;
  }
  size_t count = (size_t)PySequence_Fast_GET_SIZE(list), made = 0;
  sdx_value **items = PyMem_Calloc(count + 1, sizeof *items), *v = NULL;
  while (items && made < count) {
    items[made] = value_in(PySequence_Fast_GET_ITEM(list, (Py_ssize_t)made), inner, tensor_type(inner));
    if (!items[made]) break;
    made++;
  }
  if (items && made == count) v = sdx_sequence_create(count, items);
  if (!v && !PyErr_Occurred()) PyErr_NoMemory();
  while (made) sdx_value_release(items[--made]);
  PyMem_Free(items);
  Py_DECREF(list);
  return v;
}

static sdx_value *map_in(PyObject *object, const char *type) {  // "map(int64,tensor(float))"
  char inner[200], key_name[32];
  if (!PyDict_Check(object)) return (sdx_value *)PyErr_Format(PyExc_TypeError, "an input of %s takes a dict", type);
  if (!inner_type(type, inner, sizeof inner)) return NULL;
  snprintf(key_name, sizeof key_name, "%.*s", (int)strcspn(inner, ","), inner);
  const char *value_name = strchr(inner, ',') ? strchr(inner, ',') + 1 : "";
  PyObject *parts[2] = {PyDict_Keys(object), PyDict_Values(object)};
  sdx_dtype types[2] = {sdx_dtype_from_name(key_name), tensor_type(value_name)};
  sdx_value *values[2] = {NULL, NULL}, *v = NULL;
  for (int p = 0; p < 2 && parts[p]; p++) {
    PyArray_Descr *descr = types[p] == SDX_STRING ? PyArray_DescrFromType(NPY_OBJECT) : descr_of(types[p]);
    PyObject *array = descr ? PyArray_FromAny(parts[p], descr, 1, 1, NPY_ARRAY_CARRAY, NULL) : NULL;
    if (array) values[p] = array_in((PyArrayObject *)array, types[p]);
    Py_XDECREF(array);
  }
  if (values[0] && values[1]) {
    v = sdx_map_create(values[0], values[1]);
    if (!v) PyErr_NoMemory();
  }
  for (int p = 0; p < 2; p++) {
    sdx_value_release(values[p]);
    Py_XDECREF(parts[p]);
  }
  return v;
}

// A new engine value; NULL with an exception set.
static sdx_value *value_in(PyObject *object, const char *type, sdx_dtype wanted) {
  char inner[200];
  if (!strncmp(type, "optional(", 9) && inner_type(type, inner, sizeof inner))
    return value_in(object, inner, tensor_type(inner));
  if (!strncmp(type, "seq(", 4)) return sequence_in(object, type);
  if (!strncmp(type, "map(", 4)) return map_in(object, type);
  PyObject *array = object;
  if (PyArray_Check(object)) {
    Py_INCREF(array);
  } else {  // lists and scalars become what the input wants
    PyArray_Descr *descr = wanted == SDX_STRING ? PyArray_DescrFromType(NPY_OBJECT) : descr_of(wanted);
    array = descr ? PyArray_FromAny(object, descr, 0, 0, NPY_ARRAY_CARRAY, NULL) : NULL;
    if (!array) return NULL;
  }
  sdx_dtype dtype = dtype_of((PyArrayObject *)array, wanted);
  sdx_value *v = NULL;
  if (PyErr_Occurred()) {
  } else if (!dtype) {
    raise_text(SDX_INVALID_ARGUMENT, "Unexpected input data type. Actual: (%S) , expected: (%s)",
               PyArray_DESCR((PyArrayObject *)array), type);
  } else if (dtype != wanted) {
    raise_text(SDX_INVALID_ARGUMENT, "Unexpected input data type. Actual: (tensor(%s)) , expected: (%s)",
               sdx_dtype_name(dtype), type);
  } else {
    v = array_in((PyArrayObject *)array, dtype);
  }
  Py_DECREF(array);
  return v;
}

// ---- engine to Python ------------------------------------------------------------------------

static void release_capsule(PyObject *capsule) { sdx_value_release(PyCapsule_GetPointer(capsule, NULL)); }

static PyObject *strings_out(const sdx_value *v, const npy_intp *shape, int rank) {
  PyObject *array = PyArray_SimpleNew(rank, shape, NPY_OBJECT);
  PyObject **slots = array ? PyArray_DATA((PyArrayObject *)array) : NULL;
  for (size_t i = 0; array && i < sdx_tensor_count(v); i++) {
    size_t length;
    const char *bytes = sdx_tensor_string(v, i, &length);
    PyObject *text = PyUnicode_DecodeUTF8(bytes, (Py_ssize_t)length, "surrogateescape");
    if (!text) Py_CLEAR(array);
    else Py_XSETREF(slots[i], text);
  }
  return array;
}

static PyObject *tensor_out(sdx_value *v) {
  npy_intp shape[NPY_MAXDIMS];
  size_t rank = sdx_tensor_rank(v);
  sdx_dtype dtype = sdx_tensor_dtype(v);
  if (rank > NPY_MAXDIMS) return PyErr_Format(PyExc_ValueError, "an output of rank %zu is beyond numpy", rank);
  for (size_t d = 0; d < rank; d++) shape[d] = (npy_intp)sdx_tensor_shape(v)[d];
  if (dtype == SDX_STRING) return strings_out(v, shape, (int)rank);
  PyArray_Descr *descr = descr_of(dtype);
  if (!descr) return NULL;
  if (is_packed(dtype) || !sdx_tensor_count(v)) {
    PyObject *array = PyArray_NewFromDescr(&PyArray_Type, descr, (int)rank, shape, NULL, NULL, 0, NULL);
    if (array && sdx_tensor_count(v))
      unpack(sdx_tensor_data(v), PyArray_DATA((PyArrayObject *)array), sdx_tensor_count(v),
             (unsigned)sdx_dtype_bits(dtype), dtype == SDX_INT4 || dtype == SDX_INT2);
    return array;
  }
  PyObject *array =
      PyArray_NewFromDescr(&PyArray_Type, descr, (int)rank, shape, NULL, sdx_tensor_data(v), NPY_ARRAY_CARRAY, NULL);
  PyObject *owner = array ? PyCapsule_New(sdx_value_retain(v), NULL, release_capsule) : NULL;
  if (array && (!owner || PyArray_SetBaseObject((PyArrayObject *)array, owner))) Py_CLEAR(array);
  return array;
}

static PyObject *value_out(sdx_value *v) {
  if (!v || sdx_value_kind(v) == SDX_KIND_NONE) Py_RETURN_NONE;
  if (sdx_value_kind(v) == SDX_KIND_TENSOR) return tensor_out(v);
  if (sdx_value_kind(v) == SDX_KIND_SEQUENCE) {
    size_t count = sdx_value_item_count(v);
    PyObject *list = PyList_New((Py_ssize_t)count);
    for (size_t i = 0; list && i < count; i++) {
      PyObject *item = value_out((sdx_value *)sdx_value_item(v, i));
      if (!item) Py_CLEAR(list);
      else PyList_SET_ITEM(list, (Py_ssize_t)i, item);
    }
    return list;
  }
  PyObject *arrays[2], *lists[2] = {NULL, NULL}, *dict = PyDict_New();
  for (int p = 0; p < 2; p++) {
    arrays[p] = tensor_out((sdx_value *)sdx_value_item(v, (size_t)p));
    lists[p] = arrays[p] ? PyArray_ToList((PyArrayObject *)arrays[p]) : NULL;
  }
  for (Py_ssize_t i = 0; lists[0] && lists[1] && dict && i < PyList_GET_SIZE(lists[0]); i++)
    if (PyDict_SetItem(dict, PyList_GET_ITEM(lists[0], i), PyList_GET_ITEM(lists[1], i))) Py_CLEAR(dict);
  if (!lists[0] || !lists[1]) Py_CLEAR(dict);
  for (int p = 0; p < 2; p++) {
    Py_XDECREF(arrays[p]);
    Py_XDECREF(lists[p]);
  }
  return dict;
}

// ---- cancelling ------------------------------------------------------------------------------

// A run in progress; on the stack of the thread that runs it.
typedef struct watched_run {
  sdx_run *run;
  struct watched_run *next;
} watched_run;

typedef struct cancel_token {
  PyObject_HEAD bool set;
  watched_run *runs;  // guarded by the GIL
} cancel_token;

static PyObject *token_get(cancel_token *t, void *closure) { return PyBool_FromLong(t->set); }

static int token_set(cancel_token *t, PyObject *value, void *closure) {
  int truth = value ? PyObject_IsTrue(value) : 0;
  if (truth < 0) return -1;
  t->set = truth;
  for (watched_run *w = t->runs; w && truth; w = w->next) sdx_run_cancel(w->run);
  return 0;
}

static PyGetSetDef token_fields[] = {
    {"terminate", (getter)token_get, (setter)token_set,
     "True ends the runs in progress that were given these options, and refuses new ones.", NULL},
    {0}};

static PyTypeObject token_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sardonyx._engine.CancelToken",
    .tp_basicsize = sizeof(cancel_token),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "Base of RunOptions: what can end a run from another thread.",
    .tp_new = PyType_GenericNew,
    .tp_getset = token_fields,
};

// Ctrl-C: while the main thread is inside a run, SIGINT cancels that run and then does what Python
// installed. sdx_run_cancel is one atomic store.
static sdx_run *volatile interrupted_run;
static volatile sig_atomic_t was_interrupted;
static struct sigaction python_action;

static void on_interrupt(int signal, siginfo_t *info, void *context) {
  sdx_run *run = interrupted_run;
  was_interrupted = 1;
  if (run) sdx_run_cancel(run);
  if (python_action.sa_flags & SA_SIGINFO) python_action.sa_sigaction(signal, info, context);
  else if (python_action.sa_handler != SIG_DFL && python_action.sa_handler != SIG_IGN) python_action.sa_handler(signal);
}

static unsigned long main_thread;  // identifier, as threading.main_thread().ident

static sdx_status execute(sdx_run *run, bool *interrupted) {
  bool watch = PyThread_get_thread_ident() == main_thread && !interrupted_run, handled = false;
  sdx_status status = SDX_OK;
  *interrupted = false;
  if (watch) {
    struct sigaction mine = {.sa_sigaction = on_interrupt, .sa_flags = SA_SIGINFO | SA_RESTART};
    was_interrupted = 0;
    interrupted_run = run;
    sigaction(SIGINT, NULL, &python_action);
    handled = (python_action.sa_flags & SA_SIGINFO) ||
              (python_action.sa_handler != SIG_DFL && python_action.sa_handler != SIG_IGN);
    if (handled) sigaction(SIGINT, &mine, NULL);
    if (PyErr_CheckSignals()) status = SDX_CANCELLED;  // one that came before, which Python would look at afterwards
  }
  if (status == SDX_OK) {
    Py_BEGIN_ALLOW_THREADS;
    status = sdx_run_execute(run);
    Py_END_ALLOW_THREADS;
  }
  if (handled) sigaction(SIGINT, &python_action, NULL);
  if (watch) {
    interrupted_run = NULL;
    *interrupted = was_interrupted;
  }
  return status;
}

// ---- sessions --------------------------------------------------------------------------------

typedef struct session {
  PyObject_HEAD sdx_session *engine;
  sdx_run **idle;  // warm run handles, one per thread that ever ran at the same time
  size_t idle_count, idle_capacity;
  bool warned;                           // of sizes that are not the declared ones
  PyObject *input_names, *output_names;  // {name: index}
} session;

static void session_dealloc(session *s) {
  for (size_t i = 0; i < s->idle_count; i++) sdx_run_destroy(s->idle[i]);
  PyMem_Free(s->idle);
  sdx_session_destroy(s->engine);
  Py_XDECREF(s->input_names);
  Py_XDECREF(s->output_names);
  Py_TYPE(s)->tp_free((PyObject *)s);
}

static PyObject *names_of(const sdx_session *s, size_t count, const sdx_io *(*at)(const sdx_session *, size_t)) {
  PyObject *dict = PyDict_New();
  for (size_t i = 0; dict && i < count; i++) {
    PyObject *index = PyLong_FromSize_t(i);
    if (!index || PyDict_SetItemString(dict, at(s, i)->name, index)) Py_CLEAR(dict);
    Py_XDECREF(index);
  }
  return dict;
}

// Options: a list of (name, value) texts and a dict of dimensions.
static sdx_options *read_options(PyObject *pairs, PyObject *dims) {
  sdx_options *o = sdx_options_create();
  if (!o) return (sdx_options *)PyErr_NoMemory();
  bool ok = true;
  for (Py_ssize_t i = 0; ok && i < PyList_GET_SIZE(pairs); i++) {
    const char *name, *value;
    ok = PyArg_ParseTuple(PyList_GET_ITEM(pairs, i), "ss", &name, &value);
    if (ok && sdx_options_set(o, name, value)) {
      raise_status(SDX_INVALID_ARGUMENT, sdx_options_error(o));
      ok = false;
    }
  }
  PyObject *key, *value;
  for (Py_ssize_t at = 0; ok && PyDict_Next(dims, &at, &key, &value);) {
    const char *name = PyUnicode_AsUTF8(key);
    long long size = PyLong_AsLongLong(value);
    ok = name && !PyErr_Occurred();
    if (ok && sdx_options_set_dim(o, name, size)) {
      raise_status(SDX_INVALID_ARGUMENT, sdx_options_error(o));
      ok = false;
    }
  }
  if (ok) return o;
  sdx_options_destroy(o);
  return NULL;
}

static int session_init(session *s, PyObject *arguments, PyObject *keywords) {
  PyObject *source, *pairs, *dims;
  if (!PyArg_ParseTuple(arguments, "OO!O!", &source, &PyList_Type, &pairs, &PyDict_Type, &dims)) return -1;
  if (s->engine) {
    PyErr_SetString(PyExc_TypeError, "a session is made once");
    return -1;
  }
  sdx_options *options = read_options(pairs, dims);
  if (!options) return -1;
  sdx_session *engine = NULL;
  sdx_status status;
  PyObject *path = NULL;
  if (PyBytes_Check(source)) {
    const char *bytes = PyBytes_AS_STRING(source);
    size_t size = (size_t)PyBytes_GET_SIZE(source);
    Py_BEGIN_ALLOW_THREADS;
    status = sdx_session_load_bytes(bytes, size, false, options, &engine);
    Py_END_ALLOW_THREADS;
  } else {
    if (!PyUnicode_FSConverter(source, &path)) {
      sdx_options_destroy(options);
      return -1;
    }
    const char *name = PyBytes_AS_STRING(path);
    Py_BEGIN_ALLOW_THREADS;
    status = sdx_session_load_file(name, options, &engine);
    Py_END_ALLOW_THREADS;
  }
  sdx_options_destroy(options);
  if (status) {
    const char *message = engine ? sdx_session_error(engine) : "";
    if (path) raise_text(status, "Load model from %s failed:%s", PyBytes_AS_STRING(path), message);
    else raise_status(status, message);
    sdx_session_destroy(engine);
    Py_XDECREF(path);
    return -1;
  }
  Py_XDECREF(path);
  s->engine = engine;
  s->input_names = names_of(engine, sdx_session_input_count(engine), sdx_session_input);
  s->output_names = names_of(engine, sdx_session_output_count(engine), sdx_session_output);
  return s->input_names && s->output_names ? 0 : -1;
}

static sdx_run *take_run(session *s) {
  sdx_run *run = NULL;
  if (s->idle_count) return s->idle[--s->idle_count];
  sdx_status status = sdx_run_create(s->engine, &run);
  if (status) raise_status(status, "");
  return status ? NULL : run;
}

static void give_run(session *s, sdx_run *run) {
  for (size_t i = 0; i < sdx_session_input_count(s->engine); i++) sdx_run_set_input(run, i, NULL);
  if (s->idle_count == s->idle_capacity) {
    size_t capacity = s->idle_capacity * 2 + 4;
    sdx_run **more = PyMem_Realloc(s->idle, capacity * sizeof *more);
    if (!more) {
      sdx_run_destroy(run);
      return;
    }
    s->idle = more;
    s->idle_capacity = capacity;
  }
  s->idle[s->idle_count++] = run;
}

static bool is_optional(const sdx_io *io) { return !strncmp(io->type, "optional(", 9); }

// True if every input has a member in the feed, but for optional ones.
static bool feed_is_complete(session *s, PyObject *feed) {
  PyObject *name, *index, *missing = PyList_New(0), *found = PyDict_Keys(feed);
  bool good = missing && found;
  for (Py_ssize_t at = 0; good && PyDict_Next(s->input_names, &at, &name, &index);)
    if (!PyDict_GetItemWithError(feed, name) && !is_optional(sdx_session_input(s->engine, PyLong_AsSize_t(index))))
      good = !PyErr_Occurred() && !PyList_Append(missing, name);
  if (good && PyList_GET_SIZE(missing))
    PyErr_Format(PyExc_ValueError, "Required inputs (%R) are missing from input feed (%R).", missing, found);
  Py_XDECREF(missing);
  Py_XDECREF(found);
  return !PyErr_Occurred();
}

static bool feed_one(session *s, sdx_run *run, PyObject *feed, PyObject *name, PyObject *object) {
  PyObject *index = PyDict_GetItemWithError(s->input_names, name);
  if (!index) {
    if (!PyErr_Occurred() && feed_is_complete(s, feed))
      raise_text(SDX_INVALID_ARGUMENT, "Invalid input name: %S", name);
    return false;
  }
  size_t i = PyLong_AsSize_t(index);
  const sdx_io *io = sdx_session_input(s->engine, i);
  if (object == Py_None) {
    if (is_optional(io)) return true;
    raise_text(SDX_INVALID_ARGUMENT, "Unexpected input data type. Actual: (None) , expected: (%s)", io->type);
    return false;
  }
  sdx_value *v = value_in(object, io->type, io->dtype);
  if (!v) return false;
  sdx_status status = sdx_run_set_input(run, i, v);
  sdx_value_release(v);
  if (status) raise_status(status, sdx_run_error(run));
  return !status;
}

static bool feed_inputs(session *s, sdx_run *run, PyObject *feed) {
  PyObject *name, *object;
  bool good = true;
  for (Py_ssize_t at = 0; good && PyDict_Next(feed, &at, &name, &object);) {
    Py_INCREF(name);  // another thread may change the caller's dict
    Py_INCREF(object);
    good = feed_one(s, run, feed, name, object);
    Py_DECREF(name);
    Py_DECREF(object);
  }
  return good && ((size_t)PyDict_GET_SIZE(feed) >= sdx_session_input_count(s->engine) || feed_is_complete(s, feed));
}

// Indices of the wanted outputs, in the caller's order; NULL with an exception.
static size_t *want_outputs(session *s, sdx_run *run, PyObject *names, size_t *count) {
  size_t all = sdx_session_output_count(s->engine);
  PyObject *list = names == Py_None ? PyList_New(0) : NULL;
  if (names != Py_None) {
    if (PyUnicode_Check(names))
      PyErr_SetString(PyExc_TypeError, "run(): output_names takes a list of names, not a str");
    else list = PySequence_Fast(names, "run(): output_names takes a list of names");
  }
  if (!list) return NULL;
  *count = (size_t)PySequence_Fast_GET_SIZE(list);
  bool some = *count > 0;
  size_t *wanted = PyMem_Calloc((some ? *count : all) + 1, sizeof *wanted);
  for (size_t i = 0; wanted && i < all; i++) sdx_run_want_output(run, i, !some);
  for (size_t i = 0; wanted && !some && i < all; i++) wanted[i] = i;
  for (size_t i = 0; wanted && i < *count; i++) {
    PyObject *name = PySequence_Fast_GET_ITEM(list, (Py_ssize_t)i);
    PyObject *index = PyDict_GetItemWithError(s->output_names, name);
    if (!index) {
      if (!PyUnicode_Check(name)) PyErr_Format(PyExc_TypeError, "run(): the output name %R is no str", name);
      else if (!PyErr_Occurred()) raise_text(SDX_INVALID_ARGUMENT, "Invalid output name:%S", name);
      PyMem_Free(wanted);
      wanted = NULL;
      break;
    }
    wanted[i] = PyLong_AsSize_t(index);
    sdx_run_want_output(run, wanted[i], true);
  }
  if (!some) *count = all;
  Py_DECREF(list);
  if (!wanted && !PyErr_Occurred()) PyErr_NoMemory();
  return wanted;
}

// Executes under the token; true if outputs are ready.
static bool run_watched(sdx_run *run, cancel_token *token) {
  static const char refused[] = "Exiting due to terminate flag being set to true.";
  if (token && token->set) return raise_status(SDX_CANCELLED, refused) != NULL;
  watched_run here = {run, token ? token->runs : NULL};
  if (token) token->runs = &here;
  bool interrupted;
  sdx_status status = execute(run, &interrupted);
  // A handler of SIGINT that does not raise wants the work to go on.
  while (interrupted && !PyErr_CheckSignals() && status == SDX_CANCELLED && !(token && token->set))
    status = execute(run, &interrupted);
  if (token) {
    watched_run **at = &token->runs;
    while (*at != &here) at = &(*at)->next;
    *at = here.next;
  }
  if (PyErr_Occurred()) return false;
  if (status == SDX_CANCELLED && token && token->set) raise_status(status, refused);
  else if (status) raise_status(status, sdx_run_error(run));
  return !status;
}

// Once a session: loops would drown in it. False if the warning was made an exception.
static bool warn_once(session *s, const sdx_run *run) {
  const char *warning = sdx_run_warning(run);
  if (!*warning || s->warned) return true;
  s->warned = true;
  return PyErr_WarnEx(PyExc_UserWarning, warning, 1) == 0;
}

static PyObject *session_run(session *s, PyObject *const *arguments, Py_ssize_t count, PyObject *keywords) {
  // By hand: this is the path that a small model's time is measured on.
  static const char *const names[] = {"output_names", "input_feed", "run_options"};
  PyObject *given[3] = {NULL, NULL, Py_None};
  for (Py_ssize_t i = 0; i < count && i < 3; i++) given[i] = arguments[i];
  for (Py_ssize_t k = 0; keywords && k < PyTuple_GET_SIZE(keywords); k++) {
    PyObject *keyword = PyTuple_GET_ITEM(keywords, k);
    int n = 0;
    while (n < 3 && PyUnicode_CompareWithASCIIString(keyword, names[n])) n++;
    if (n == 3 || n < count)
      return PyErr_Format(PyExc_TypeError, "run() got %s argument '%U'", n == 3 ? "an unexpected" : "a second",
                          keyword);
    given[n] = arguments[count + k];
  }
  if (count > 3 || !given[0] || !given[1])
    return PyErr_Format(PyExc_TypeError, "run(output_names, input_feed, run_options=None)");
  if (given[2] != Py_None && !PyObject_TypeCheck(given[2], &token_type))
    return PyErr_Format(PyExc_TypeError, "run(): run_options is %R, expected RunOptions", Py_TYPE(given[2]));
  if (!s->engine) return PyErr_Format(PyExc_ValueError, "the session was not loaded");
  PyObject *feed = given[1], *results = NULL;
  if (PyDict_Check(feed)) Py_INCREF(feed);
  else feed = PyObject_CallFunctionObjArgs((PyObject *)&PyDict_Type, feed, NULL);
  sdx_run *run = feed ? take_run(s) : NULL;
  size_t outputs = 0, *wanted = run ? want_outputs(s, run, given[0], &outputs) : NULL;
  cancel_token *token = given[2] == Py_None ? NULL : (cancel_token *)given[2];
  if (wanted && feed_inputs(s, run, feed) && run_watched(run, token) && warn_once(s, run)) {
    results = PyList_New((Py_ssize_t)outputs);
    for (size_t i = 0; results && i < outputs; i++) {
      PyObject *value = value_out(sdx_run_output(run, wanted[i]));
      if (!value) Py_CLEAR(results);
      else PyList_SET_ITEM(results, (Py_ssize_t)i, value);
    }
  }
  PyMem_Free(wanted);
  if (run) give_run(s, run);
  Py_XDECREF(feed);
  return results;
}

static PyObject *describe_io(const sdx_io *io) {
  PyObject *shape = io->has_shape ? PyList_New((Py_ssize_t)io->rank) : PyList_New(0);
  for (size_t d = 0; shape && io->has_shape && d < io->rank; d++) {
    const char *symbol = io->symbols ? io->symbols[d] : NULL;
    PyObject *dim = io->shape[d] >= 0   ? PyLong_FromLongLong(io->shape[d])
                    : symbol && *symbol ? PyUnicode_FromString(symbol)
                                        : Py_NewRef(Py_None);
    if (!dim) Py_CLEAR(shape);
    else PyList_SET_ITEM(shape, (Py_ssize_t)d, dim);
  }
  return shape ? Py_BuildValue("(ssN)", io->name, io->type, shape) : NULL;
}

static PyObject *session_inputs(session *s, PyObject *unused) {
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list && i < sdx_session_input_count(s->engine); i++) {
    PyObject *io = describe_io(sdx_session_input(s->engine, i));
    if (!io || PyList_Append(list, io)) Py_CLEAR(list);
    Py_XDECREF(io);
  }
  return list;
}

static PyObject *session_outputs(session *s, PyObject *unused) {
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list && i < sdx_session_output_count(s->engine); i++) {
    PyObject *io = describe_io(sdx_session_output(s->engine, i));
    if (!io || PyList_Append(list, io)) Py_CLEAR(list);
    Py_XDECREF(io);
  }
  return list;
}

static PyObject *text_out(const char *text) {
  return text ? PyUnicode_DecodeUTF8(text, (Py_ssize_t)strlen(text), "replace") : Py_NewRef(Py_None);
}

static PyObject *session_metadata(session *s, PyObject *key) {
  const char *name = PyUnicode_AsUTF8(key);
  return name ? text_out(sdx_session_metadata(s->engine, name)) : NULL;
}

static PyObject *session_custom_metadata(session *s, PyObject *unused) {
  PyObject *dict = PyDict_New();
  for (size_t i = 0; dict && i < sdx_session_custom_metadata_count(s->engine); i++) {
    const char *value = "";
    PyObject *key = text_out(sdx_session_custom_metadata(s->engine, i, &value)), *text = text_out(value);
    if (!key || !text || PyDict_SetItem(dict, key, text)) Py_CLEAR(dict);
    Py_XDECREF(key);
    Py_XDECREF(text);
  }
  return dict;
}

static PyObject *take_text(char *text) {
  PyObject *object = text_out(text);
  sdx_string_free(text);
  return object;
}

static PyObject *session_describe(session *s, PyObject *what) {
  const char *name = PyUnicode_AsUTF8(what);
  return name ? take_text(sdx_session_describe(s->engine, name)) : NULL;
}

static PyObject *session_profile(session *s, PyObject *unused) {
  return take_text(sdx_session_profile_json(s->engine));
}
static PyObject *session_warnings(session *s, PyObject *unused) { return text_out(sdx_session_warnings(s->engine)); }

PyDoc_STRVAR(run_doc,
             "run(output_names, input_feed, run_options=None)\n--\n\n"
             "Compute outputs.\n\n"
             "output_names: list of output names, or None or [] for all, in the order of the result.\n"
             "input_feed: {input name: value}. A tensor input takes a numpy array of exactly its element\n"
             "    type and of a shape that fits `get_inputs()`; C-contiguous arrays are used without a copy\n"
             "    and must not be changed until run returns. Lists and numbers are converted. Strings are\n"
             "    arrays of object, str or bytes; sequences are lists, maps are dicts.\n"
             "run_options: RunOptions or None.\n\n"
             "Returns a list: arrays (no copy), lists for sequences, dicts for maps, None for empty optionals.\n"
             "bfloat16, float8 and 4-bit results have ml_dtypes types when that package is installed, else\n"
             "they are their bits as unsigned integers (int4 as int8).\n\n"
             "Raises ValueError when an input is missing; InvalidArgument for a wrong name, element type, rank\n"
             "or dimension; Fail when the run is cancelled or beyond a limit. Ctrl-C ends the run.\n"
             "Threads may call run on one session at the same time; the GIL is released meanwhile.");

static PyMethodDef session_methods[] = {
    {"run", (PyCFunction)(void (*)(void))session_run, METH_FASTCALL | METH_KEYWORDS, run_doc},
    {"_inputs", (PyCFunction)session_inputs, METH_NOARGS, "[(name, type, shape)]"},
    {"_outputs", (PyCFunction)session_outputs, METH_NOARGS, "[(name, type, shape)]"},
    {"_metadata", (PyCFunction)session_metadata, METH_O, "text of a metadata key, or None"},
    {"_custom_metadata", (PyCFunction)session_custom_metadata, METH_NOARGS, "{key: text}"},
    {"_describe", (PyCFunction)session_describe, METH_O, "JSON text: summary, graph, plan or memory"},
    {"_profile", (PyCFunction)session_profile, METH_NOARGS, "Chrome trace as JSON text"},
    {"_warnings", (PyCFunction)session_warnings, METH_NOARGS, "warnings of the load, one a line"},
    {0}};

static PyTypeObject session_type = {
    PyVarObject_HEAD_INIT(NULL, 0).tp_name = "sardonyx._engine.Session",
    .tp_basicsize = sizeof(session),
    .tp_flags = Py_TPFLAGS_DEFAULT | Py_TPFLAGS_BASETYPE,
    .tp_doc = "Session(path_or_bytes, [(option, value)], {dimension: size})",
    .tp_new = PyType_GenericNew,
    .tp_init = (initproc)session_init,
    .tp_dealloc = (destructor)session_dealloc,
    .tp_methods = session_methods,
};

// ---- module ----------------------------------------------------------------------------------

static PyObject *check_model(PyObject *module, PyObject *source) {
  if (PyBytes_Check(source))
    return take_text(sdx_check_bytes(PyBytes_AS_STRING(source), (size_t)PyBytes_GET_SIZE(source), NULL));
  PyObject *path;
  if (!PyUnicode_FSConverter(source, &path)) return NULL;
  PyObject *text = take_text(sdx_check_file(PyBytes_AS_STRING(path), NULL));
  Py_DECREF(path);
  return text;
}

static PyObject *option_list(PyObject *module, PyObject *unused) { return text_out(sdx_options_list()); }

static PyMethodDef functions[] = {
    {"register_dtype", register_dtype, METH_VARARGS, "register_dtype(number, dtype, accept)"},
    {"check", check_model, METH_O, "problems of a model (path or bytes) as JSON text"},
    {"option_list", option_list, METH_NOARGS, "engine options, one a line, fields separated by tabs"},
    {0}};

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "sardonyx._engine", .m_size = -1,
                                        .m_methods = functions};

PyMODINIT_FUNC PyInit__engine(void) {
  import_array();
  PyObject *module = PyModule_Create(&definition);
  foreign = PyDict_New();
  if (!module || !foreign || PyType_Ready(&session_type) || PyType_Ready(&token_type) || add_exceptions(module) ||
      PyModule_AddObjectRef(module, "Session", (PyObject *)&session_type) ||
      PyModule_AddObjectRef(module, "CancelToken", (PyObject *)&token_type) ||
      PyModule_AddStringConstant(module, "version", sdx_version())) {
    Py_XDECREF(module);
    return NULL;
  }
  // The thread that gets signals, whichever thread imports this.
  PyObject *threading = PyImport_ImportModule("threading");
  PyObject *thread = threading ? PyObject_CallMethod(threading, "main_thread", NULL) : NULL;
  PyObject *ident = thread ? PyObject_GetAttrString(thread, "ident") : NULL;
  if (ident) main_thread = PyLong_AsUnsignedLong(ident);
  Py_XDECREF(threading);
  Py_XDECREF(thread);
  Py_XDECREF(ident);
  if (PyErr_Occurred()) Py_CLEAR(module);
  return module;
}
