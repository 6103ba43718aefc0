// SPDX-License-Identifier: Apache-2.0
// Python for images (environment.h).
#include "deploy/environment.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "support/files.h"
#include "support/json.h"
#include "support/process.h"

enum { ANSWER_BYTES = 64 << 20, ANSWER_MS = 15 * 60 * 1000 };

// Requirements of pip, then conda's: "numpy=1.16" is numpy==1.16 there.
static json_t *requirements(const json_t *packages) {
  json_t *all = json_array(), *one;
  size_t i;
  if (packages) json_array_extend(all, json_object_get(packages, "pip"));
  json_array_foreach(json_object_get(packages, "conda"), i, one) {
    const char *text = json_string_value(one), *equals = strchr(text, '=');
    bool single = equals && equals[1] != '=' && (equals == text || !strchr("<>!~=", equals[-1]));
    json_array_append_new(
        all, single ? json_sprintf("%.*s==%s", (int)(equals - text), text, equals + 1) : json_string(text));
  }
  return all;
}

json_t *environment_names(const json_t *packages) {
  json_t *all, *names, *one;
  size_t i;
  if (!packages) return NULL;
  all = requirements(packages);
  names = json_array();
  json_array_foreach(all, i, one) {
    char name[128];
    const char *text = json_string_value(one);
    size_t length = 0;
    for (; length < sizeof name - 1 && (isalnum((unsigned char)text[length]) || strchr("._-", text[length])) &&
           text[length];
         length++)
      name[length] = text[length] == '_' || text[length] == '.' ? '-' : (char)tolower((unsigned char)text[length]);
    json_array_append_new(names, json_stringn(name, length));
  }
  json_decref(all);
  return names;
}

static json_t *ask(const environment_spec *spec, fault *f) {
  const char *const *loader = sandbox_system_run;
  while (*loader && access(*loader, X_OK)) loader++;
  char *script = path_format("%s/sardonyx_environment.py", spec->programs);
  json_t *request = json_pack("{s:o,s:b,s:s,s:s?,s:s?}", "requirements", requirements(spec->packages), "interpreter",
                              spec->interpreter, "folder", spec->folder, "loader", *loader, "python", spec->version);
  char *text = request ? json_dumps(request, 0) : NULL;
  json_t *answer = NULL;
  process_output o = {0};
  const char *arguments[] = {text_of(spec->python, "executable"), "-I", "-B", script, NULL};
  if (!script || !text) {
    fault_no_memory(f);
  } else if (!process_run((program){.arguments = arguments, .pass = -1}, text, strlen(text), ANSWER_BYTES, ANSWER_MS,
                          &o, f)) {
    answer = o.code == 0 ? json_loadb(o.out, o.out_size, 0, NULL) : NULL;
    if (!answer) fault_set(f, SDX_INTERNAL, "looking for the packages of the environment fails: %.600s", o.err);
  }
  process_output_free(&o);
  json_decref(request);
  free(text);
  free(script);
  return answer;
}

static sdx_status add_files(layer *l, const json_t *list, fault *f) {
  json_t *pair;
  size_t i;
  json_array_foreach((json_t *)list, i, pair) {
    const char *path = json_string_value(json_array_get(pair, 0)), *from = json_string_value(json_array_get(pair, 1));
    const char *link = json_string_value(json_object_get(json_array_get(pair, 1), "link"));
    struct stat info;
    if (!path || (!from && !link)) return fault_set(f, SDX_INTERNAL, "a file of the environment has no name");
    if (link ? layer_add_link(l, path, link, f)
             : layer_add_file(l, path, !stat(from, &info) && info.st_mode & 0111 ? 0755 : 0644, from, f))
      return f->status;
  }
  return SDX_OK;
}

sdx_status environment_add(const environment_spec *spec, layer *interpreter, layer *packages, json_t **notes,
                           fault *f) {
  *notes = NULL;
  json_t *answer = ask(spec, f);
  if (!answer) return f->status;
  const json_t *missing = json_object_get(answer, "missing");
  if (json_array_size(missing)) {
    fault_set(f, SDX_NOT_FOUND, "%.600s", json_string_value(json_array_get(missing, 0)));
    fault_hint(f, "packages that are installed for %s are taken from there; pip's settings say where others come from",
               text_of(spec->python, "executable"));
  }
  if (!f->status && !add_files(interpreter, json_object_get(answer, "interpreter"), f))
    add_files(packages, json_object_get(answer, "packages"), f);
  if (!f->status) *notes = json_incref(json_object_get(answer, "notes"));
  json_decref(answer);
  return f->status;
}
