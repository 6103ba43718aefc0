// SPDX-License-Identifier: Apache-2.0
// Engine options from the command line (engine.h): a file of its own, as the program of images needs no more of
// engine.h.
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/table.h"
#include "codecs/codecs.h"

static void print_option_list(void) {
  static const char no_end[] = "..9223372036854775807";  // of a range
  table *t = table_create("option<|default<|range<|meaning<");
  for (const char *line = sdx_options_list(); *line;) {
    size_t length = strcspn(line, "\n");
    const char *field = line;
    for (int column = 0; column < 4; column++) {
      size_t room = (size_t)(line + length - field), used = strcspn(field, "\t\n");
      if (used > room) used = room;
      size_t end = strlen(no_end);
      bool open = used > end && !memcmp(field + used - end, no_end, end);
      table_cell(t, "%.*s%s", (int)(open ? used - end : used), field, open ? " or more" : "");
      field += used + (used < room);
    }
    line += length + (line[length] == '\n');
  }
  table_print(t);
  table_destroy(t);
}

static void hint_option(const char *wrong) {
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(wrong));
  for (const char *line = sdx_options_list(); *line;) {
    str_nearest_offer(&nearest, (str){line, strcspn(line, "\t\n")});
    line += strcspn(line, "\n");
    if (*line) line++;
  }
  if (nearest.best.at && nearest.distance) cli_hint("did you mean --option %.*s=...?", STR_ARG(nearest.best));
  else cli_hint("'--option list' names all options");
}

// Splits "key=value"; false if there is no '='.
static bool split(const char *text, char *key, size_t size, const char **value) {
  const char *equals = strchr(text, '=');
  if (!equals || equals == text || (size_t)(equals - text) >= size) return false;
  snprintf(key, size, "%.*s", (int)(equals - text), text);
  *value = equals + 1;
  return true;
}

static bool set(sdx_options *o, const char *key, const char *value) {
  if (!sdx_options_set(o, key, value)) return true;
  const char *message = sdx_options_error(o);
  cli_error(CLI_USAGE, "%s", message);
  if (!strstr(message, "did you mean")) hint_option(key);
  return false;
}

sdx_options *engine_options(const args *a, int *code) {
  sdx_options *o = sdx_options_create();
  char key[128];
  const char *text, *value;
  int64_t number;
  *code = CLI_USAGE;
  bool ok = o && !codecs_add_operator(o);
  if ((text = args_text(a, "threads", NULL)) && ok) ok = set(o, "threads", text);
  if (args_has(a, "profile") && ok) ok = set(o, "profile", "1");
  if ((text = args_text(a, "precision", NULL)) && ok) ok = set(o, "precision", text);
  for (size_t at = 0; ok && (text = args_each(a, "provider", &at));) ok = set(o, "provider", text);
  for (size_t at = 0; ok && (text = args_each(a, "option", &at));) {
    if (!strcmp(text, "list")) {
      print_option_list();
      *code = CLI_OK;
      ok = false;
    } else if (!split(text, key, sizeof key, &value)) {
      cli_error(CLI_USAGE, "--option %s: expected NAME=VALUE", text);
      hint_option(text);
      ok = false;
    } else {
      ok = set(o, key, value);
    }
  }
  for (size_t at = 0; ok && (text = args_each(a, "dim", &at));) {
    ok = split(text, key, sizeof key, &value) && args_parse_int(value, &number) && number >= 0;
    if (!ok) cli_error(CLI_USAGE, "--dim %s: expected NAME=NUMBER, e.g. --dim batch=4", text);
    else if (sdx_options_set_dim(o, key, number)) {
      cli_error(CLI_USAGE, "--dim %s: %s", text, sdx_options_error(o));
      ok = false;
    }
  }
  if (ok) return o;
  sdx_options_destroy(o);
  return NULL;
}
