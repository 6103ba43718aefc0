// SPDX-License-Identifier: Apache-2.0
// Opening models and telling what is wrong with them (engine.h). Read next: inputs.c, cmd_run.c.
#include "cli/engine.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/locate.h"

// ---- loading ---------------------------------------------------------------------------------

void file_hint(const char *path) {
  const char *slash = strrchr(path, '/');
  char *folder = slash ? xformat("%.*s", (int)(slash - path + 1), path) : xstrdup("./");
  DIR *dir = opendir(folder);
  char near[sizeof((struct dirent *)0)->d_name];
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(slash ? slash + 1 : path));
  for (struct dirent *e; dir && (e = readdir(dir));) {
    if (e->d_name[0] == '.') continue;
    str_nearest_offer(&nearest, str_from(e->d_name));
    // The entry is overwritten by the next one.
    if (nearest.best.at == e->d_name) nearest.best.at = memcpy(near, e->d_name, nearest.best.size + 1);
  }
  if (dir) closedir(dir);
  if (!dir) cli_hint("the folder %s does not exist", folder);
  else if (nearest.best.at) cli_hint("did you mean %s%s?", slash ? folder : "", near);
  free(folder);
}

// For programs, beside what stderr says to people. Frees `details`.
static void print_error(const args *a, const char *message, char *details) {
  if (args_has(a, "json"))
    json_print(json_pack("{s:s,s:o*}", "error", message, "details", details ? json_loads(details, 0, NULL) : NULL));
  sdx_string_free(details);
}

int engine_run_failed(const args *a, const sdx_run *run) {
  print_error(a, sdx_run_error(run), sdx_run_error_json(run));
  return cli_error(CLI_FAILED, "%s", sdx_run_error(run));
}

// The failed load's message with hints (a file that is not there: the nearest that is).
int engine_report_load(const args *a, const char *path, const sdx_session *session, sdx_status status) {
  const char *message = session ? sdx_session_error(session) : "";
  if (!*message) message = sdx_status_text(status);
  print_error(a, message, sdx_session_error_json(session));
  if (strstr(message, path)) cli_error(CLI_FAILED, "%s", message);
  else cli_error(CLI_FAILED, "%s: %s", path, message);
  if (status == SDX_NOT_FOUND && access(path, F_OK)) file_hint(path);
  else if (status == SDX_INVALID_MODEL || status == SDX_INVALID_GRAPH || status == SDX_NOT_SUPPORTED)
    cli_hint("'sardonyx check %s' lists every problem of the model", path);
  return CLI_FAILED;
}

char *engine_locate(const char *model) {
  char *name, *path = model_locate(model, &name);
  free(name);
  return path;
}

void engine_note_warnings(const sdx_session *session) {
  for (const char *line = sdx_session_warnings(session), *end; *line; line = *end ? end + 1 : end) {
    end = strchrnul(line, '\n');
    cli_note("%.*s", (int)(end - line), line);
  }
}

typedef enum load_how { OPTIMISED, UNOPTIMISED, ONLY_READ } load_how;

static sdx_session *load(const args *a, const char *model, load_how how, int *code) {
  char *path = engine_locate(model);
  sdx_options *options = path ? engine_options(a, code) : NULL;
  if (!path) *code = CLI_FAILED;
  if (!options) {
    free(path);
    return NULL;
  }
  if (how == UNOPTIMISED) sdx_options_set(options, "optimize", "none");
  sdx_session *session = NULL;
  sdx_status status = (how == ONLY_READ ? sdx_session_read_file : sdx_session_load_file)(path, options, &session);
  sdx_options_destroy(options);
  *code = status == SDX_OK ? CLI_OK : CLI_FAILED;
  if (status != SDX_OK) {
    engine_report_load(a, path, session, status);
    sdx_session_destroy(session);
    session = NULL;
  } else if (how == OPTIMISED) {
    engine_note_warnings(session);
  }
  free(path);
  return session;
}

sdx_session *engine_load(const args *a, const char *model, int *code) { return load(a, model, OPTIMISED, code); }

sdx_session *engine_load_unoptimised(const args *a, const char *model, int *code) {
  return load(a, model, UNOPTIMISED, code);
}

sdx_session *engine_read(const args *a, const char *model, int *code) { return load(a, model, ONLY_READ, code); }

// ---- JSON ------------------------------------------------------------------------------------

json_t *engine_json(char *text, const char *what) {
  json_error_t error;
  json_t *json = text ? json_loads(text, JSON_DECODE_ANY, &error) : NULL;
  if (!text) cli_error(CLI_FAILED, "%s: not available", what);
  else if (!json)
    cli_error(CLI_FAILED, "%s: the engine's JSON is not valid (line %d: %s)", what, error.line, error.text);
  sdx_string_free(text);
  return json;
}

void json_print(json_t *json) {
  json_dumpf(json, stdout, JSON_INDENT(2) | JSON_ENCODE_ANY | JSON_PRESERVE_ORDER | JSON_REAL_PRECISION(9));
  putchar('\n');
  json_decref(json);
}
