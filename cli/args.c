// SPDX-License-Identifier: Apache-2.0
// The option parser (args.h). Everything a user types wrong is answered with the nearest right name.
#include "cli/args.h"

#include <errno.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

bool args_parse_int(const char *text, int64_t *out) {
  char *end;
  errno = 0;
  long long number = strtoll(text, &end, 10);
  *out = number;
  return end != text && !*end && !errno;
}

bool args_parse_number(const char *text, double *out) {
  char *end;
  *out = strtod(text, &end);
  return end != text && !*end && !isnan(*out);
}

static const cli_option *find(const cli_option *options, const char *name, size_t length) {
  for (const cli_option *o = options; o->name; o++)
    if (strlen(o->name) == length && !strncmp(o->name, name, length)) return o;
  return NULL;
}

static const cli_option *find_letter(const cli_option *options, char letter) {
  for (const cli_option *o = options; o->name; o++)
    if (o->letter == letter) return o;
  return NULL;
}

static int unknown_option(const cli_option *options, const char *word, size_t length) {
  str_nearest nearest;
  str_nearest_init(&nearest, (str){word, length});
  str_nearest_offer(&nearest, STR("help"));
  for (const cli_option *o = options; o->name; o++) str_nearest_offer(&nearest, str_from(o->name));
  cli_error(CLI_USAGE, "unknown option --%.*s", (int)(length < 60 ? length : 60), word);
  if (nearest.best.at) cli_hint("did you mean --%s?", nearest.best.at);
  return CLI_USAGE;
}

static int check_value(const cli_option *o, const char *value) {
  double number = 0;
  int64_t whole = 0;
  if (o->kind == ARG_INT) {
    if (!args_parse_int(value, &whole)) return cli_error(CLI_USAGE, "--%s %s: expected a whole number", o->name, value);
    number = (double)whole;
  } else if (o->kind == ARG_NUMBER) {
    if (!args_parse_number(value, &number)) return cli_error(CLI_USAGE, "--%s %s: expected a number", o->name, value);
  } else {
    return CLI_OK;
  }
  double max = o->min == 0 && o->max == 0 ? INFINITY : o->max;
  if (number >= o->min && number <= max) return CLI_OK;
  if (isinf(max)) return cli_error(CLI_USAGE, "--%s %s: expected %g or more", o->name, value, o->min);
  return cli_error(CLI_USAGE, "--%s %s: expected %g to %g", o->name, value, o->min, max);
}

static int add(args *a, const cli_option *o, const char *value) {
  int code = value ? check_value(o, value) : CLI_OK;
  a->found = xrealloc(a->found, (a->found_count + 1) * sizeof *a->found);
  a->found[a->found_count].option = o;
  a->found[a->found_count++].value = value;
  return code;
}

int args_parse(args *a, const cli_option *options, int argc, char **argv) {
  *a = (args){.options = options, .words = xmalloc(((size_t)argc + 1) * sizeof *a->words)};
  bool only_words = false;
  for (int i = 0; i < argc; i++) {
    const char *word = argv[i];
    if (only_words || word[0] != '-' || !word[1]) {
      a->words[a->word_count++] = word;
      continue;
    }
    if (!strcmp(word, "--")) {
      only_words = true;
      continue;
    }
    if (!strcmp(word, "--help") || !strcmp(word, "-h")) {
      a->help = true;
      continue;
    }
    const cli_option *o;
    const char *value = NULL;
    if (word[1] == '-') {
      const char *equals = strchr(word, '=');
      size_t length = equals ? (size_t)(equals - word - 2) : strlen(word + 2);
      o = find(options, word + 2, length);
      if (!o) return unknown_option(options, word + 2, length);
      if (equals) value = equals + 1;
    } else {
      o = find_letter(options, word[1]);
      if (!o) return cli_error(CLI_USAGE, "unknown option %s", word);
      if (word[2]) value = word + 2;
    }
    if (o->kind == ARG_FLAG && value) return cli_error(CLI_USAGE, "--%s takes no value", o->name);
    if (o->kind != ARG_FLAG && o->kind != ARG_MAYBE && !value) {
      if (++i == argc) return cli_error(CLI_USAGE, "--%s needs a value: --%s %s", o->name, o->name, o->value);
      value = argv[i];
    }
    int code = add(a, o, value);
    if (code) return code;
  }
  return CLI_OK;
}

void args_free(args *a) {
  free(a->found);
  free(a->words);
}

static const struct arg_found *last(const args *a, const char *name) {
  for (size_t i = a->found_count; i-- > 0;)
    if (!strcmp(a->found[i].option->name, name)) return &a->found[i];
  return NULL;
}

bool args_has(const args *a, const char *name) { return last(a, name) != NULL; }

const char *args_text(const args *a, const char *name, const char *otherwise) {
  const struct arg_found *f = last(a, name);
  return f && f->value ? f->value : otherwise;
}

int64_t args_int(const args *a, const char *name, int64_t otherwise) {
  const char *text = args_text(a, name, NULL);
  int64_t number;
  return text && args_parse_int(text, &number) ? number : otherwise;
}

double args_number(const args *a, const char *name, double otherwise) {
  const char *text = args_text(a, name, NULL);
  double number;
  return text && args_parse_number(text, &number) ? number : otherwise;
}

const char *args_each(const args *a, const char *name, size_t *cursor) {
  while (*cursor < a->found_count) {
    const struct arg_found *f = &a->found[(*cursor)++];
    if (!strcmp(f->option->name, name)) return f->value;
  }
  return NULL;
}

bool args_list_item(const char *list, size_t index, char *buffer, size_t size) {
  for (; list && index; index--) {
    list = strchr(list, ',');
    if (list) list++;
  }
  if (!list || !*list) return false;
  snprintf(buffer, size, "%.*s", (int)strcspn(list, ","), list);
  return true;
}
