// SPDX-License-Identifier: Apache-2.0
// See ort.h. Slot numbers: the documented order of OrtApi.
#include "bench/ort.h"

#include <dlfcn.h>
#include <glob.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum slot {
  GET_ERROR_MESSAGE = 2,
  CREATE_ENV = 3,
  CREATE_SESSION_FROM_ARRAY = 8,
  RUN = 9,
  CREATE_SESSION_OPTIONS = 10,
  CREATE_SESSION = 7,
  SET_INTRA_OP_THREADS = 24,
  CREATE_TENSOR_WITH_DATA = 49,
  CREATE_CPU_MEMORY_INFO = 69,
  RELEASE_STATUS = 93,
  RELEASE_SESSION = 95,
  RELEASE_VALUE = 96,
  RELEASE_SESSION_OPTIONS = 100,
  ADD_SESSION_CONFIG_ENTRY = 130,
};

typedef void *call(void);
typedef struct api_base {
  void *const *(*get_api)(uint32_t version);
  const char *(*get_version)(void);
} api_base;

struct ort {
  void *const *api;
  void *environment, *memory;
};
enum { MOST = 32 };
struct ort_session {
  ort *o;
  void *session;
  const char *input_names[MOST], *output_names[MOST];
  void *inputs[MOST], *outputs[MOST];
  int made[MOST];  // by the rival in every run
  size_t input_count, output_count;
};

static int failed(const ort *o, void *status) {
  if (!status) return 0;
  fprintf(stderr, "onnxruntime: %s\n", ((const char *(*)(void *))o->api[GET_ERROR_MESSAGE])(status));
  ((void (*)(void *))o->api[RELEASE_STATUS])(status);
  return 1;
}

static const char *find_library(void) {
  static char path[4096];
  const char *given = getenv("ORT_LIBRARY");
  if (given) return given;
  FILE *p = popen(
      "PATH=build/venv/bin:$PATH python3 -c 'import onnxruntime,os,glob;print(glob.glob(os.path.join(os.path.dirname("
      "onnxruntime.__file__),\"capi\",\"libonnxruntime.so*\"))[0])' 2>/dev/null",
      "r");
  if (!p) return NULL;
  const char *line = fgets(path, sizeof path, p);
  pclose(p);
  if (line) path[strcspn(path, "\n")] = 0;
  return line;
}

ort *ort_load(const char **why) {
  static ort o;
  const char *path = find_library();
  void *library = path ? dlopen(path, RTLD_NOW | RTLD_LOCAL) : NULL;
  *why = path ? "the library cannot be loaded" : "no onnxruntime wheel is installed and ORT_LIBRARY is not set";
  if (!library) return NULL;
  const api_base *(*get)(void) = (const api_base *(*)(void))dlsym(library, "OrtGetApiBase");
  o.api = get ? get()->get_api(17) : NULL;
  *why = "the library does not offer API version 17";
  if (!o.api) return NULL;
  fprintf(stderr, "onnxruntime %s\n", get()->get_version());
  if (failed(&o, ((void *(*)(int, const char *, void **))o.api[CREATE_ENV])(3, "bench", &o.environment))) return NULL;
  if (failed(&o, ((void *(*)(int, int, void **))o.api[CREATE_CPU_MEMORY_INFO])(0, 0, &o.memory))) return NULL;
  return &o;
}

ort_session *ort_session_load(ort *o, const char *path, const void *bytes, size_t size, int threads) {
  void *options = NULL, *session = NULL, *status;
  if (failed(o, ((void *(*)(void **))o->api[CREATE_SESSION_OPTIONS])(&options))) return NULL;
  if (failed(o, ((void *(*)(void *, int))o->api[SET_INTRA_OP_THREADS])(options, threads))) return NULL;
  // Threads that spin on after a run would take the time of the engine whose turn it is.
  if (failed(o, ((void *(*)(void *, const char *, const char *))o->api[ADD_SESSION_CONFIG_ENTRY])(
                    options, "session.intra_op.allow_spinning", "0")))
    return NULL;
  if (path)
    status = ((void *(*)(void *, const char *, void *, void **))o->api[CREATE_SESSION])(o->environment, path, options,
                                                                                        &session);
  else
    status = ((void *(*)(void *, const void *, size_t, void *, void **))o->api[CREATE_SESSION_FROM_ARRAY])(
        o->environment, bytes, size, options, &session);
  ((void (*)(void *))o->api[RELEASE_SESSION_OPTIONS])(options);
  if (failed(o, status)) return NULL;
  ort_session *s = calloc(1, sizeof *s);
  s->o = o;
  s->session = session;
  return s;
}

void ort_session_free(ort_session *s) {
  if (!s) return;
  for (size_t i = 0; i < MOST; i++) {
    ((void (*)(void *))s->o->api[RELEASE_VALUE])(s->inputs[i]);
    ((void (*)(void *))s->o->api[RELEASE_VALUE])(s->outputs[i]);
  }
  ((void (*)(void *))s->o->api[RELEASE_SESSION])(s->session);
  free(s);
}

static int bind(ort *o, const ort_io *io, size_t count, const char **names, void **values) {
  for (size_t i = 0; i < count; i++) {
    names[i] = io[i].name;
    if (!io[i].data) continue;
    void *status =
        ((void *(*)(void *, void *, size_t, const int64_t *, size_t, int, void **))o->api[CREATE_TENSOR_WITH_DATA])(
            o->memory, io[i].data, io[i].bytes, io[i].shape, io[i].rank, io[i].dtype, &values[i]);
    if (failed(o, status)) return 1;
  }
  return 0;
}

int ort_bind(ort_session *s, const ort_io *inputs, size_t input_count, const ort_io *outputs, size_t output_count) {
  if (input_count > MOST || output_count > MOST) {
    fprintf(stderr, "onnxruntime: more than %d inputs or outputs\n", MOST);
    return 1;
  }
  s->input_count = input_count;
  s->output_count = output_count;
  for (size_t i = 0; i < output_count; i++) s->made[i] = !outputs[i].data;
  return bind(s->o, inputs, input_count, s->input_names, s->inputs) ||
         bind(s->o, outputs, output_count, s->output_names, s->outputs);
}

int ort_run(ort_session *s) {
  for (size_t i = 0; i < s->output_count; i++) {
    if (!s->made[i]) continue;
    ((void (*)(void *))s->o->api[RELEASE_VALUE])(s->outputs[i]);
    s->outputs[i] = NULL;
  }
  return failed(
      s->o, ((void *(*)(void *, const void *, const char *const *, void *const *, size_t, const char *const *, size_t,
                        void **))s->o->api[RUN])(s->session, NULL, s->input_names, s->inputs, s->input_count,
                                                 s->output_names, s->output_count, s->outputs));
}
