// SPDX-License-Identifier: Apache-2.0
// `sardonyx COMMAND ...`: finds the sub-command in the generated table, parses its options, prints
// help. Exit codes: 0 ok, 1 the work failed, 2 the command line is wrong. Read next: cmd_run.c.
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli.h"
#include "cli/table.h"
#include "sardonyx/sardonyx.h"

static const cli_command *find(const char *name) {
  for (const cli_command *const *c = cli_commands; *c; c++)
    if (!strcmp((*c)->name, name)) return *c;
  return NULL;
}

static int unknown_command(const char *name) {
  const char *names[64] = {"help"};
  size_t count = 1;
  for (const cli_command *const *c = cli_commands; *c && count < 64; c++) names[count++] = (*c)->name;
  cli_error(CLI_USAGE, "unknown command '%s'", name);
  const char *near = name_closest(name, names, count);
  if (near) cli_hint("did you mean 'sardonyx %s'?", near);
  else if (path_has_suffix(name, ".onnx")) cli_hint("to run a model: sardonyx run %s", name);
  else cli_hint("'sardonyx help' lists the commands");
  return CLI_USAGE;
}

static int overview(void) {
  printf("Sardonyx %s runs ONNX models and puts them into service.\n\nUsage: sardonyx COMMAND [arguments]\n\n",
         sdx_version());
  for (const cli_command *const *c = cli_commands; *c; c++)
    printf("  %s%-10s%s %s\n", ink_on(stdout, INK_BOLD), (*c)->name, ink_off(stdout), (*c)->summary);
  printf("\n'sardonyx help COMMAND' shows options and examples.\n");
  return CLI_OK;
}

static void print_option(const cli_option *o) {
  enum { MEANING = 31 };  // the column where meanings begin
  char left[64], letter[8] = "    ";
  if (o->letter) snprintf(letter, sizeof letter, "-%c, ", o->letter);
  snprintf(left, sizeof left, "%s--%s%s%s%s", letter, o->name,
           o->kind == ARG_MAYBE  ? "[="
           : o->kind == ARG_FLAG ? ""
                                 : " ",
           o->kind == ARG_FLAG ? "" : o->value, o->kind == ARG_MAYBE ? "]" : "");
  int used = printf("  %-*s ", MEANING - 3, left);
  print_wrapped(o->help, strlen(o->help), (size_t)used, MEANING);
}

// Paragraphs are broken to fit; lines that begin with a blank (examples) stay as they are.
static void print_details(const char *text) {
  while (*text) {
    size_t length = strcspn(text, "\n");
    if (length == 0 || *text == ' ') {
      printf("%.*s\n", (int)length, text);
    } else {
      while (text[length] && text[length + 1] && text[length + 1] != '\n' && text[length + 1] != ' ')
        length += 1 + strcspn(text + length + 1, "\n");
      print_wrapped(text, length, 0, 0);
    }
    text += length + (text[length] == '\n');
  }
}

static int help(const cli_command *command) {
  printf("%s\n\nUsage: sardonyx %s %s\n\nOptions:\n", command->summary, command->name, command->usage);
  for (const cli_option *o = command->options; o->name; o++) print_option(o);
  print_option(&(cli_option)OPTION_FLAG("help", "this text", .letter = 'h'));
  if (command->details) {
    putchar('\n');
    print_details(command->details);
  }
  return CLI_OK;
}

int main(int argc, char **argv) {
  signal(SIGPIPE, SIG_IGN);  // `sardonyx ... | head` ends with a write error, not with a signal
  if (argc < 2) {
    overview();
    return CLI_USAGE;
  }
  const char *name = argv[1];
  if (!strcmp(name, "--version") || !strcmp(name, "-V")) name = "version";
  if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) {
    if (argc < 3) return overview();
    const cli_command *command = find(argv[2]);
    return command ? help(command) : unknown_command(argv[2]);
  }
  const cli_command *command = find(name);
  if (!command) return unknown_command(name);
  args a;
  int code = args_parse(&a, command->options, argc - 2, argv + 2);
  if (!code && a.help) {
    code = help(command);
  } else if (!code && a.word_count < command->min_words) {
    code = cli_error(CLI_USAGE, "%s: something is missing; usage: sardonyx %s %s", command->name, command->name,
                     command->usage);
  } else if (!code && a.word_count > command->max_words) {
    code = cli_error(CLI_USAGE, "%s: unexpected argument '%s'; usage: sardonyx %s %s", command->name,
                     a.words[command->max_words], command->name, command->usage);
  } else if (!code) {
    code = command->run(&a);
  }
  if (code == CLI_USAGE) cli_hint("'sardonyx help %s' shows options and examples", command->name);
  args_free(&a);
  if (fflush(stdout) || ferror(stdout)) return code ? code : CLI_FAILED;
  return code;
}
