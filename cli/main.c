// SPDX-License-Identifier: Apache-2.0
// `sardonyx COMMAND ...`: finds the sub-command in the generated table, parses its options, prints
// help. Exit codes: 0 ok, 1 the work failed, 2 the command line is wrong. Read next: cmd_run.c.
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli.h"
#include "cli/files.h"
#include "cli/table.h"
#include "sardonyx/sardonyx.h"

static const cli_command *find(const char *name, const char *sub) {
  for (const cli_command *const *c = cli_commands; *c; c++) {
    size_t length = strlen(name);
    if (sub ? !strncmp((*c)->name, name, length) && (*c)->name[length] == ' ' && !strcmp((*c)->name + length + 1, sub)
            : !strcmp((*c)->name, name))
      return *c;
  }
  return NULL;
}

static bool is_group(const cli_command *c) { return !c->run; }

// The name behind that of the group, or NULL where the command is not in it ("" is the group of all).
static const char *name_within(const cli_command *c, const char *group) {
  size_t length = strlen(group);
  if (!length) return strchr(c->name, ' ') ? NULL : c->name;
  return !strncmp(c->name, group, length) && c->name[length] == ' ' ? c->name + length + 1 : NULL;
}

static int unknown_command(const char *group, const char *name) {
  const char *gap = *group ? " " : "";
  str_nearest nearest;
  str_nearest_init(&nearest, str_from(name));
  for (const cli_command *const *c = cli_commands; *c; c++)
    if (name_within(*c, group)) str_nearest_offer(&nearest, str_from(name_within(*c, group)));
  if (!*group) str_nearest_offer(&nearest, STR("help"));
  cli_error(CLI_USAGE, "unknown command '%s%s%s'", group, gap, name);
  if (nearest.best.at) cli_hint("did you mean 'sardonyx %s%s%s'?", group, gap, nearest.best.at);
  else if (path_has_suffix(name, ".onnx")) cli_hint("to run a model: sardonyx run %s", name);
  else cli_hint("'sardonyx help%s%s' lists the commands", gap, group);
  return CLI_USAGE;
}

static void print_commands(const char *group) {
  for (const cli_command *const *c = cli_commands; *c; c++)
    if (name_within(*c, group))
      printf("  %s%-10s%s %s\n", ink_on(stdout, INK_BOLD), name_within(*c, group), ink_off(stdout), (*c)->summary);
}

static int overview(void) {
  printf("Sardonyx %s runs ONNX models and puts them into service.\n\nUsage: sardonyx COMMAND [arguments]\n\n",
         sdx_version());
  print_commands("");
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
  printf("%s\n\nUsage: sardonyx %s %s\n\n", command->summary, command->name, command->usage);
  if (is_group(command)) {
    print_commands(command->name);
    printf("\n'sardonyx help %s COMMAND' shows options and examples.\n", command->name);
  } else {
    printf("Options:\n");
    for (const cli_option *o = command->options; o->name; o++) print_option(o);
    print_option(&(cli_option)OPTION_FLAG("help", "this text", .letter = 'h'));
  }
  if (command->details) {
    putchar('\n');
    print_details(command->details);
  }
  return CLI_OK;
}

static int help_for(int count, char **words) {
  if (!count) return overview();
  const cli_command *command = count > 1 ? find(words[0], words[1]) : NULL;
  if (!command) command = find(words[0], NULL);
  if (!command) return unknown_command("", words[0]);
  return is_group(command) && count > 1 ? unknown_command(words[0], words[1]) : help(command);
}

static int run(const cli_command *command, int count, char **words) {
  args a;
  int code = args_parse(&a, command->options, count, words);
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
  return code;
}

static int dispatch(int argc, char **argv) {
  if (argc < 2) {
    overview();
    return CLI_USAGE;
  }
  const char *name = argv[1];
  if (!strcmp(name, "--version") || !strcmp(name, "-V")) name = "version";
  if (!strcmp(name, "help") || !strcmp(name, "--help") || !strcmp(name, "-h")) return help_for(argc - 2, argv + 2);
  const cli_command *command = find(name, NULL);
  if (!command) return unknown_command("", name);
  int used = 2;
  if (is_group(command) && argc > 2 && argv[2][0] != '-') {
    command = find(name, argv[2]);
    if (!command) return unknown_command(name, argv[2]);
    used = 3;
  }
  if (!is_group(command)) return run(command, argc - used, argv + used);
  help(command);
  return argc == 2 ? CLI_USAGE : CLI_OK;
}

// A file opened later must not become standard output because that was closed; using it stays an error.
static void occupy_standard_streams(void) {
  static const int unusable[] = {O_WRONLY, O_RDONLY, O_RDONLY};  // by descriptor
  for (int fd = 0; fd < 3; fd++)
    if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", unusable[fd]) < 0) return;
}

// What could not be written is a failure of the command, whatever it did.
static int finish_output(int code) {
  struct pollfd out = {.fd = STDOUT_FILENO};
  errno = 0;
  if (!fflush(stdout) && !ferror(stdout)) return code;
  int error = errno;
  if (!error && write(STDOUT_FILENO, "\n", 1) < 0) error = errno;  // an earlier write failed: why, another one tells
  if (error == EPIPE || (poll(&out, 1, 0) == 1 && out.revents & POLLERR)) end_by_broken_pipe();
  return cli_error(code ? code : CLI_FAILED, "cannot write to standard output: %s",
                   error ? strerror(error) : "not all was written");
}

int main(int argc, char **argv) {
  occupy_standard_streams();
  signal(SIGPIPE, SIG_IGN);  // a connection that ends is an error; for standard output see finish_output
  signal(SIGXFSZ, SIG_IGN);  // a file that may not grow is an error, too
  return finish_output(dispatch(argc, argv));
}
