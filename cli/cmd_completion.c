// SPDX-License-Identifier: Apache-2.0
// `sardonyx completion SHELL`: completion scripts out of the command table, so that they know what the command knows.
// Commands and options are completed by all; files where a file is expected; names of models and images where one is.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli.h"

static bool is_group(const cli_command *c) { return !c->run; }
static bool is_inner(const cli_command *c) { return strchr(c->name, ' ') != NULL; }

// Whether the value of an option, or the words of a command, are files.
static bool wants_file(const char *what) {
  static const char *const words[] = {"FILE", "FOLDER", "PATH", "DIR", "MODEL.", "MODEL ", "EXE", "PLACE"};
  for (size_t i = 0; i < sizeof words / sizeof *words; i++)
    if (what && strstr(what, words[i])) return true;
  return what && !strcmp(what, "MODEL");
}

// "model", "image" or "service" where the first word is the name of one.
static const char *names_of(const cli_command *c) {
  if (!strncmp(c->name, "service ", 8))
    return !strncmp(c->usage, "NAME", 4) && strcmp(c->name, "service deploy") != 0 ? "service" : NULL;
  if (strncmp(c->usage, "NAME[:VERSION]", 14)) return NULL;
  return !strncmp(c->name, "model ", 6) ? "model" : !strncmp(c->name, "image ", 6) ? "image" : NULL;
}

// What belongs to a group ("" is the group of all), separated by blanks.
static void print_names(const char *group) {
  size_t length = strlen(group);
  for (const cli_command *const *c = cli_commands; *c; c++) {
    if (!length && !is_inner(*c)) printf(" %s", (*c)->name);
    if (length && !strncmp((*c)->name, group, length) && (*c)->name[length] == ' ')
      printf(" %s", (*c)->name + length + 1);
  }
}

// Between single quotes of a shell, without characters that mean something inside of zsh's and fish's descriptions.
static void print_quoted(const char *text, const char *escaped) {
  putchar('\'');
  for (; *text; text++) {
    if (*text == '\'') fputs("'\\''", stdout);
    else if (strchr(escaped, *text)) printf("\\%c", *text);
    else putchar(*text);
  }
  putchar('\'');
}

// ---- bash ----------------------------------------------------------------------------------------

static void bash_command(const cli_command *c) {
  printf("    '%s') options='--help", c->name);
  for (const cli_option *o = c->options; o->name; o++) printf(" --%s", o->name);
  printf("' values='");
  for (const cli_option *o = c->options; o->name; o++)
    if (o->kind != ARG_FLAG && o->kind != ARG_MAYBE && !wants_file(o->value)) {
      printf(" --%s ", o->name);
      if (o->letter) printf(" -%c ", o->letter);
    }
  printf("' files='");
  for (const cli_option *o = c->options; o->name; o++)
    if (wants_file(o->value)) {
      printf(" --%s ", o->name);
      if (o->letter) printf(" -%c ", o->letter);
    }
  printf("' names='%s' ;;\n", names_of(c) ? names_of(c) : "");
}

static void bash(void) {
  printf(
      "# bash completion for sardonyx; made by `sardonyx completion bash`\n"
      "_sardonyx() {\n"
      "  local current=\"${COMP_WORDS[COMP_CWORD]}\" previous=\"${COMP_WORDS[COMP_CWORD-1]}\" "
      "command=\"${COMP_WORDS[1]}\"\n"
      "  local options= values= files= names= words=\n"
      "  COMPREPLY=()\n"
      "  case \"$COMP_CWORD:$command\" in\n"
      "    1:*) words='help");
  print_names("");
  printf("' ;;\n");
  for (const cli_command *const *c = cli_commands; *c; c++)
    if (is_group(*c)) {
      printf("    2:%s) words='", (*c)->name);
      print_names((*c)->name);
      printf("' ;;\n    *:%s) command=\"$command ${COMP_WORDS[2]}\" ;;\n", (*c)->name);
    }
  printf("    2:help) words='");
  print_names("");
  printf(
      "' ;;\n"
      "  esac\n"
      "  if [ -n \"$words\" ]; then\n"
      "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "    return\n"
      "  fi\n"
      "  case \"$command\" in\n");
  for (const cli_command *const *c = cli_commands; *c; c++)
    if (!is_group(*c)) bash_command(*c);
  printf(
      "  esac\n"
      "  case \"$current\" in -*) COMPREPLY=($(compgen -W \"$options\" -- \"$current\")); return ;; esac\n"
      "  case \"$values\" in *\" $previous \"*) return ;; esac\n"
      "  case \"$files\" in *\" $previous \"*) names= ;; esac\n"
      "  if [ -n \"$names\" ]; then\n"
      "    words=\"$(sardonyx \"$names\" list 2>/dev/null | awk 'NR > 1 && NF { print $1 }')\"\n"
      "    COMPREPLY=($(compgen -W \"$words\" -- \"$current\"))\n"
      "  else\n"
      "    COMPREPLY=($(compgen -f -- \"$current\"))\n"
      "  fi\n"
      "}\n"
      "complete -o filenames -F _sardonyx sardonyx\n");
}

// ---- zsh -----------------------------------------------------------------------------------------

static void zsh_list(const char *group, const char *indent) {
  size_t length = strlen(group);
  for (const cli_command *const *c = cli_commands; *c; c++) {
    const char *name = length ? (*c)->name + length + 1 : (*c)->name;
    if (length ? strncmp((*c)->name, group, length) || (*c)->name[length] != ' ' : is_inner(*c)) continue;
    char *row = xformat("%s:%s", name, (*c)->summary);
    printf("%s", indent);
    print_quoted(row, "");
    putchar('\n');
    free(row);
  }
}

static void zsh_option(const cli_option *o, const char *dashes, const char *name) {
  const char *action = o->kind == ARG_FLAG ? "" : wants_file(o->value) ? "_files" : " ";
  char *row = xformat("%s%s%s", dashes, name, o->kind == ARG_FLAG ? "" : o->kind == ARG_MAYBE ? "=-" : "=");
  printf("        '*'");
  print_quoted(row, "");
  free(row);
  printf("'['");
  print_quoted(o->help, "[]:\\");
  printf("']'");
  if (o->kind != ARG_FLAG) {
    printf("%s", o->kind == ARG_MAYBE ? "::" : ":");
    print_quoted(o->value, ":[]\\");
    printf("':%s'", action);
  }
  printf(" \\\n");
}

static void zsh_command(const cli_command *c) {
  printf("      '%s')\n        _arguments \\\n", c->name);
  for (const cli_option *o = c->options; o->name; o++) zsh_option(o, "--", o->name);
  printf("        '--help[this text]' \\\n        '*:word:%s' ;;\n", names_of(c) ? "_sardonyx_names" : "_files");
}

static void zsh(void) {
  printf(
      "#compdef sardonyx\n"
      "# zsh completion for sardonyx; made by `sardonyx completion zsh`\n"
      "_sardonyx_names() {\n"
      "  local -a names\n"
      "  names=(${(f)\"$(sardonyx $sardonyx_group list 2>/dev/null | awk 'NR > 1 && NF { print $1 }')\"})\n"
      "  compadd -a names\n"
      "}\n"
      "_sardonyx() {\n"
      "  local -a commands\n"
      "  local sardonyx_group=$words[2] command=$words[2]\n"
      "  if (( CURRENT == 2 )); then\n"
      "    commands=(\n");
  zsh_list("", "      ");
  printf(
      "      'help:show options and examples of a command')\n    _describe command commands\n    return\n  fi\n  case "
      "$words[2] in\n");
  for (const cli_command *const *c = cli_commands; *c; c++)
    if (is_group(*c)) {
      printf("    %s)\n      if (( CURRENT == 3 )); then\n        commands=(\n", (*c)->name);
      zsh_list((*c)->name, "          ");
      printf(
          "        )\n        _describe command commands\n        return\n      fi\n"
          "      command=\"$words[2] $words[3]\"\n      shift words; (( CURRENT-- )) ;;\n");
    }
  printf("  esac\n  shift words; (( CURRENT-- ))\n  case $command in\n");
  for (const cli_command *const *c = cli_commands; *c; c++)
    if (!is_group(*c)) zsh_command(*c);
  printf("  esac\n}\n_sardonyx \"$@\"\n");
}

// ---- fish ----------------------------------------------------------------------------------------

static void fish_option(const char *condition, const cli_option *o) {
  printf("complete -c sardonyx -n ");
  print_quoted(condition, "");
  printf(" -l %s", o->name);
  if (o->letter) printf(" -s %c", o->letter);
  if (o->kind != ARG_FLAG && o->kind != ARG_MAYBE) printf(wants_file(o->value) ? " -r -F" : " -x");
  printf(" -d ");
  print_quoted(o->help, "\\");
  putchar('\n');
}

static void fish_name(const char *condition, const char *name, const char *summary) {
  printf("complete -c sardonyx -n ");
  print_quoted(condition, "");
  printf(" -f -a %s -d ", name);
  print_quoted(summary, "\\");
  putchar('\n');
}

static void fish(void) {
  printf(
      "# fish completion for sardonyx; made by `sardonyx completion fish`\n"
      "function __sardonyx_at --description 'whether the first words are these'\n"
      "  set -l words (commandline -opc)\n"
      "  set -e words[1]\n"
      "  set -l count (count $argv)\n"
      "  test (count $words) -ge $count; and test \"$words[1..$count]\" = \"$argv\"\n"
      "end\n"
      "function __sardonyx_next --description 'whether the next word is the one behind these'\n"
      "  __sardonyx_at $argv; and test (count (commandline -opc)) -eq (math (count $argv) + 1)\n"
      "end\n"
      "function __sardonyx_names\n"
      "  sardonyx $argv[1] list 2>/dev/null | awk 'NR > 1 && NF { print $1 }'\n"
      "end\n");
  for (const cli_command *const *c = cli_commands; *c; c++) {
    const char *gap = strchr((*c)->name, ' ');
    char *condition = gap ? xformat("__sardonyx_next %.*s", (int)(gap - (*c)->name), (*c)->name)
                          : xstrdup("test (count (commandline -opc)) -eq 1");
    fish_name(condition, gap ? gap + 1 : (*c)->name, (*c)->summary);
    free(condition);
    condition = xformat("__sardonyx_at %s", (*c)->name);
    for (const cli_option *o = (*c)->options; o && o->name; o++) fish_option(condition, o);
    if (names_of(*c)) {
      char *names = xformat("'(__sardonyx_names %s)'", names_of(*c));
      fish_name(condition, names, "");
      free(names);
    }
    free(condition);
  }
}

// ---- the command ---------------------------------------------------------------------------------

static const cli_option options[] = {{0}};

static int run(const args *a) {
  static const struct {
    const char *name;
    void (*print)(void);
  } shells[] = {{"bash", bash}, {"zsh", zsh}, {"fish", fish}};
  for (size_t i = 0; i < 3; i++)
    if (!strcmp(a->words[0], shells[i].name)) {
      shells[i].print();
      return CLI_OK;
    }
  return cli_error(CLI_USAGE, "completion: '%s' is expected to be bash, zsh or fish", a->words[0]);
}

CLI_COMMAND(completion) = {"completion",
                           "Print a completion script for a shell",
                           "bash|zsh|fish",
                           "'make install' puts them where the shells look.\n\n"
                           "Examples:\n"
                           "  source <(sardonyx completion bash)\n"
                           "  sardonyx completion fish > ~/.config/fish/completions/sardonyx.fish\n",
                           options,
                           1,
                           1,
                           run};
