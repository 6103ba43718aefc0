// SPDX-License-Identifier: Apache-2.0
// The C half of the Python package: the module and its Session (load, describe, run). The GIL is
// released while a model loads or runs. Read next: _engine.h (the other files), __init__.py.
#include "_engine.h"

#include <string.h>

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
      raise_engine(SDX_INVALID_ARGUMENT, "", sdx_options_error(o), sdx_options_error_json(o));
      ok = false;
    }
  }
  PyObject *key, *value;
  for (Py_ssize_t at = 0; ok && PyDict_Next(dims, &at, &key, &value);) {
    const char *name = PyUnicode_AsUTF8(key);
    long long size = PyLong_AsLongLong(value);
    ok = name && !PyErr_Occurred();
    if (ok && sdx_options_set_dim(o, name, size)) {
      raise_engine(SDX_INVALID_ARGUMENT, "", sdx_options_error(o), sdx_options_error_json(o));
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
    PyObject *prefix = path ? PyBytes_FromFormat("Load model from %s failed:", PyBytes_AS_STRING(path)) : NULL;
    if (!PyErr_Occurred())
      raise_engine(status, prefix ? PyBytes_AS_STRING(prefix) : "", engine ? sdx_session_error(engine) : "",
                   sdx_session_error_json(engine));
    Py_XDECREF(prefix);
    sdx_session_destroy(engine);
    Py_XDECREF(path);
    return -1;
  }
  Py_XDECREF(path);
  s->engine = engine;
  s->input_names = names_of(engine, sdx_session_feed_count(engine), sdx_session_input);
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
  for (size_t i = 0; i < sdx_session_feed_count(s->engine); i++) sdx_run_set_input(run, i, NULL);
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

// True if every input has a member in the feed, but for those that may be left out.
static bool feed_is_complete(session *s, PyObject *feed) {
  PyObject *name, *index, *missing = PyList_New(0), *found = PyDict_Keys(feed);
  bool good = missing && found;
  for (Py_ssize_t at = 0; good && PyDict_Next(s->input_names, &at, &name, &index);)
    if (!PyDict_GetItemWithError(feed, name) && !sdx_session_input(s->engine, PyLong_AsSize_t(index))->may_be_left_out)
      good = !PyErr_Occurred() && !PyList_Append(missing, name);
  if (good && PyList_GET_SIZE(missing))
    raise_feed(Py_BuildValue("{s:s,s:O,s:O,s:O}", "code", "missing-input", "input", PyList_GET_ITEM(missing, 0),
                             "missing", missing, "fed", found));
  Py_XDECREF(missing);
  Py_XDECREF(found);
  return !PyErr_Occurred();
}

static bool is_fixed(const session *s, PyObject *name) {
  const char *text = PyUnicode_Check(name) ? PyUnicode_AsUTF8(name) : NULL;
  PyErr_Clear();
  return text && sdx_session_is_fixed(s->engine, text);
}

// `needed` counts inputs that a run cannot do without.
static bool feed_one(session *s, sdx_run *run, PyObject *feed, PyObject *name, PyObject *object, size_t *needed) {
  PyObject *index = PyDict_GetItemWithError(s->input_names, name);
  if (!index) {
    if (!PyErr_Occurred() && feed_is_complete(s, feed))
      raise_feed(
          Py_BuildValue("{s:s,s:O}", "code", is_fixed(s, name) ? "fixed-input" : "unknown-input", "input", name));
    return false;
  }
  size_t i = PyLong_AsSize_t(index);
  const sdx_io *io = sdx_session_input(s->engine, i);
  *needed += i < sdx_session_input_count(s->engine);
  if (object == Py_None && io->may_be_left_out) return true;
  sdx_value *v = NULL;
  if (object != Py_None) v = value_in(object, io->type, io->dtype);
  else raise_wrong_type(Py_NewRef(Py_None), io->type);
  if (!v) {
    errors_name_input(name);
    return false;
  }
  sdx_status status = sdx_run_set_input(run, i, v);
  sdx_value_release(v);
  if (status) raise_engine(status, "", sdx_run_error(run), sdx_run_error_json(run));
  return !status;
}

static bool feed_inputs(session *s, sdx_run *run, PyObject *feed) {
  PyObject *name, *object;
  bool good = true;
  size_t needed = 0;
  for (Py_ssize_t at = 0; good && PyDict_Next(feed, &at, &name, &object);) {
    Py_INCREF(name);  // another thread may change the caller's dict
    Py_INCREF(object);
    good = feed_one(s, run, feed, name, object, &needed);
    Py_DECREF(name);
    Py_DECREF(object);
  }
  return good && (needed == sdx_session_input_count(s->engine) || feed_is_complete(s, feed));
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
      else if (!PyErr_Occurred()) raise_feed(Py_BuildValue("{s:s,s:O}", "code", "unknown-output", "output", name));
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

// Once a session: loops would drown in it. False if the warning was made an exception.
static bool warn_once(session *s, const sdx_run *run) {
  const char *warning = sdx_run_warning(run);
  if (!*warning || s->warned) return true;
  s->warned = true;
  PyObject *told = PyObject_CallMethod((PyObject *)s, "on_warning", "s", warning);
  Py_XDECREF(told);
  return told != NULL;
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

static PyObject *describe_all(const sdx_session *s, size_t first, size_t count,
                              const sdx_io *(*at)(const sdx_session *, size_t)) {
  PyObject *list = PyList_New(0);
  for (size_t i = first; list && i < first + count; i++) {
    PyObject *io = describe_io(at(s, i));
    if (!io || PyList_Append(list, io)) Py_CLEAR(list);
    Py_XDECREF(io);
  }
  return list;
}

static PyObject *session_inputs(session *s, PyObject *unused) {
  return describe_all(s->engine, 0, sdx_session_input_count(s->engine), sdx_session_input);
}

static PyObject *session_defaults(session *s, PyObject *unused) {
  size_t inputs = sdx_session_input_count(s->engine);
  return describe_all(s->engine, inputs, sdx_session_feed_count(s->engine) - inputs, sdx_session_input);
}

static PyObject *session_outputs(session *s, PyObject *unused) {
  return describe_all(s->engine, 0, sdx_session_output_count(s->engine), sdx_session_output);
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
             "input_feed: {input name: value}, those of get_overridable_initializers() if wanted. A tensor input takes "
             "a numpy array of exactly its element\n"
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
    {"_defaults", (PyCFunction)session_defaults, METH_NOARGS, "[(name, type, shape)]"},
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

// [(number, name, numpy's name or None)] of all element types.
static PyObject *element_types(void) {
  static const struct {
    int number;
    const char *name, *numpy;
  } types[] = {
#define X(name, number, onnx, numpy, bits) {number, onnx, numpy},
      SDX_DTYPE_LIST(X)
#undef X
  };
  PyObject *list = PyList_New(0);
  for (size_t i = 0; list && i < sizeof types / sizeof *types; i++) {
    PyObject *type = Py_BuildValue("(isz)", types[i].number, types[i].name, types[i].numpy);
    if (!type || PyList_Append(list, type)) Py_CLEAR(list);
    Py_XDECREF(type);
  }
  return list;
}

static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, .m_name = "sardonyx._engine", .m_size = -1,
                                        .m_methods = functions};

PyMODINIT_FUNC PyInit__engine(void) {
  PyObject *module = PyModule_Create(&definition), *types = element_types();
  if (!module || !types || PyModule_AddObjectRef(module, "element_types", types) || values_init() || cancel_init() ||
      errors_init(module) || PyType_Ready(&session_type) ||
      PyModule_AddObjectRef(module, "Session", (PyObject *)&session_type) ||
      PyModule_AddObjectRef(module, "CancelToken", (PyObject *)&token_type) ||
      PyModule_AddStringConstant(module, "version", sdx_version())) {
    Py_CLEAR(module);
  }
  Py_XDECREF(types);
  return module;
}
