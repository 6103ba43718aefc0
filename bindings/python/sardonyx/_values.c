// SPDX-License-Identifier: Apache-2.0
// Python's values as the engine's and back: arrays, lists of them, dicts.
// Arrays go in without a copy when they are C-contiguous and aligned: the engine's tensor borrows
// their memory and keeps a reference. Results come out without a copy: the array keeps the engine's
// value alive. The one file that knows numpy. Read next: _dtypes.py.
#define NPY_NO_DEPRECATED_API NPY_1_20_API_VERSION
#include "_engine.h"

#include <numpy/arrayobject.h>
#include <string.h>

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
PyObject *register_dtype(PyObject *module, PyObject *arguments) {
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

// Numbers kept as Python objects, as pandas hands them out, become what the input wants where that loses no kind of
// number; an element that is none is named.
static PyArrayObject *numbers_of(PyArrayObject *array, const char *type, sdx_dtype wanted) {
  PyObject **items = PyArray_DATA(array), *list = PyArray_ToList(array), *natural = NULL, *made = NULL;
  PyArray_Descr *descr = list ? descr_of(wanted) : NULL;
  for (npy_intp i = 0, count = PyArray_SIZE(array); descr && i < count && !PyErr_Occurred(); i++)
    if (!items[i] || (!PyFloat_Check(items[i]) && !PyLong_Check(items[i]) && !PyComplex_Check(items[i]) &&
                      !PyArray_IsScalar(items[i], Number) && !PyArray_IsScalar(items[i], Bool)))
      raise_wrong_type(PyUnicode_FromFormat("array of objects, element %zd is of type %s", (Py_ssize_t)i,
                                            items[i] ? Py_TYPE(items[i])->tp_name : "NoneType"),
                       type);
  if (descr && !PyErr_Occurred()) natural = PyArray_FromAny(list, NULL, 0, 0, 0, NULL);
  if (natural && PyArray_SIZE(array) &&
      !PyArray_CanCastArrayTo((PyArrayObject *)natural, descr, NPY_SAME_KIND_CASTING)) {
    raise_wrong_type(
        PyUnicode_FromFormat("array of objects that are numbers of type %S", PyArray_DESCR((PyArrayObject *)natural)),
        type);
  } else if (natural) {
    Py_INCREF(descr);
    made = PyArray_FromArray(PyArray_SIZE(array) ? (PyArrayObject *)natural : array, descr,
                             NPY_ARRAY_CARRAY | NPY_ARRAY_FORCECAST);
  }
  Py_XDECREF(natural);
  Py_XDECREF(descr);
  Py_XDECREF(list);
  return (PyArrayObject *)made;
}

sdx_value *value_in(PyObject *object, const char *type, sdx_dtype wanted) {
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
  if (PyArray_TYPE((PyArrayObject *)array) == NPY_OBJECT && wanted != SDX_STRING) {
    PyObject *dense = PyArray_FromArray((PyArrayObject *)array, NULL, NPY_ARRAY_CARRAY);
    if (dense) Py_SETREF(array, (PyObject *)numbers_of((PyArrayObject *)dense, type, wanted));
    Py_XDECREF(dense);
    if (!dense) Py_CLEAR(array);
    if (!array) return NULL;
  }
  sdx_dtype dtype = dtype_of((PyArrayObject *)array, wanted);
  sdx_value *v = NULL;
  if (PyErr_Occurred()) {
  } else if (!dtype) {
    raise_wrong_type(PyObject_Str((PyObject *)PyArray_DESCR((PyArrayObject *)array)), type);
  } else if (dtype != wanted) {
    raise_wrong_type(PyUnicode_FromFormat("tensor(%s)", sdx_dtype_name(dtype)), type);
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

PyObject *value_out(sdx_value *v) {
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

int values_init(void) {
  import_array1(-1);
  foreign = PyDict_New();
  return foreign ? 0 : -1;
}
