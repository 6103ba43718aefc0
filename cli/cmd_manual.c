// SPDX-License-Identifier: Apache-2.0
// `sardonyx manual`: manual pages out of the command table: sardonyx(1), and one page for each command and each group.
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli.h"
#include "cli/files.h"
#include "sardonyx/sardonyx.h"

static bool is_group(const cli_command *c) { return !c->run; }

// Text of roff: hyphens that may be typed, no line that begins with a request.
static void put_text(FILE *f, const char *text, size_t length) {
  bool begins = true;
  for (size_t i = 0; i < length; i++) {
    if (begins && (text[i] == '.' || text[i] == '\'')) fputs("\\&", f);
    begins = text[i] == '\n';
    if (text[i] == '\\') fputs("\\e", f);
    else if (text[i] == '-') fputs("\\-", f);
    else fputc(text[i], f);
  }
}

static void put(FILE *f, const char *text) { put_text(f, text, strlen(text)); }

static void put_option(FILE *f, const cli_option *o) {
  fputs(".TP\n", f);
  if (o->letter) fprintf(f, "\\fB\\-%c\\fR, ", o->letter);
  fputs("\\fB\\-\\-", f);
  put(f, o->name);
  fputs("\\fR", f);
  if (o->kind != ARG_FLAG) {
    fputs(o->kind == ARG_MAYBE ? "[=\\fI" : " \\fI", f);
    put(f, o->value);
    fputs(o->kind == ARG_MAYBE ? "\\fR]" : "\\fR", f);
  }
  fputc('\n', f);
  put(f, o->help);
  fputc('\n', f);
}

// Paragraphs; what is indented stays as it is.
static void put_details(FILE *f, const char *text) {
  bool verbatim = false;
  while (text && *text) {
    size_t length = strcspn(text, "\n");
    bool indented = *text == ' ';
    if (indented != verbatim) fputs(indented ? ".PP\n.nf\n" : ".fi\n", f);
    verbatim = indented;
    if (!length) fputs(".PP\n", f);
    else if (!strcmp(text, "Examples:") || !strncmp(text, "Examples:\n", 10) || !strncmp(text, "Example:\n", 9))
      fputs(".SS Examples\n", f);
    else {
      put_text(f, text, length);
      fputc('\n', f);
    }
    text += length + (text[length] == '\n');
  }
  if (verbatim) fputs(".fi\n", f);
}

static void put_command(FILE *f, const cli_command *c, bool inner) {
  if (inner) {
    fputs(".SH \"", f);
    put(f, c->name);
    fputs("\"\n", f);
    put(f, c->summary);
    fputs("\n.PP\n", f);
  } else {
    fputs(".SH SYNOPSIS\n", f);
  }
  fputs("\\fBsardonyx ", f);
  put(f, c->name);
  fputs("\\fR ", f);
  put(f, c->usage);
  fputs(inner ? "\n" : "\n.SH OPTIONS\n", f);
  for (const cli_option *o = c->options; o && o->name; o++) put_option(f, o);
  put_option(f, &(cli_option)OPTION_FLAG("help", "show options and examples", .letter = 'h'));
  if (c->details) fputs(inner ? ".PP\n" : ".SH DESCRIPTION\n", f);
  put_details(f, c->details);
}

static void put_title(FILE *f, const char *page, const char *summary) {
  fputs(".TH \"", f);
  for (const char *at = page; *at; at++) fputc(*at >= 'a' && *at <= 'z' ? *at - 'a' + 'A' : *at, f);
  fprintf(f, "\" 1 \"\" \"Sardonyx %s\"\n.SH NAME\n", sdx_version());
  put(f, page);
  fputs(" \\- ", f);
  put(f, summary);
  fputc('\n', f);
}

static void put_overview(FILE *f) {
  put_title(f, "sardonyx", "run ONNX models and put them into service");
  fputs(".SH SYNOPSIS\n\\fBsardonyx\\fR \\fICOMMAND\\fR [arguments]\n.SH COMMANDS\n", f);
  for (const cli_command *const *c = cli_commands; *c; c++) {
    if (strchr((*c)->name, ' ')) continue;
    fprintf(f, ".TP\n.BR sardonyx\\-%s (1)\n", (*c)->name);
    put(f, (*c)->summary);
    fputc('\n', f);
  }
  fputs(".SH EXIT STATUS\n0: done. 1: the work failed. 2: the command line is wrong. 130: interrupted.\n", f);
}

// A command, or a group with all that belongs to it.
static void put_page(FILE *f, const cli_command *c) {
  char *page = xformat("sardonyx-%s", c->name);
  size_t length = strlen(c->name);
  put_title(f, page, c->summary);
  if (!is_group(c)) put_command(f, c, false);
  else {
    fputs(".SH DESCRIPTION\n", f);
    put_details(f, c->details);
  }
  for (const cli_command *const *inner = cli_commands; *inner && is_group(c); inner++)
    if (!strncmp((*inner)->name, c->name, length) && (*inner)->name[length] == ' ') put_command(f, *inner, true);
  fputs(".SH SEE ALSO\n.BR sardonyx (1)\n", f);
  free(page);
}

static const cli_option options[] = {OPTION("output", ARG_TEXT, "FOLDER", "write all pages there", .letter = 'o'), {0}};

static int write_page(const char *folder, const cli_command *c) {
  char *path = c ? xformat("%s/sardonyx-%s.1", folder, c->name) : xformat("%s/sardonyx.1", folder);
  char *text = NULL;
  size_t size = 0;
  why w = {"out of memory"};
  FILE *f = open_memstream(&text, &size);
  if (f && c) put_page(f, c);
  else if (f) put_overview(f);
  bool good = f && !fclose(f) && file_write(path, false, text, size, &w);
  int code = good ? CLI_OK : cli_error(CLI_FAILED, "%s", w.text);
  free(text);
  free(path);
  return code;
}

static int run(const args *a) {
  const char *folder = args_text(a, "output", NULL);
  if (!folder && !a->word_count) put_overview(stdout);
  for (const cli_command *const *c = cli_commands; *c && a->word_count; c++)
    if (!strcmp((*c)->name, a->words[0])) {
      put_page(stdout, *c);
      return CLI_OK;
    }
  if (a->word_count) return cli_error(CLI_USAGE, "manual: there is no command '%s'", a->words[0]);
  if (!folder) return CLI_OK;
  if (mkdir(folder, 0755) && errno != EEXIST)
    return cli_error(CLI_FAILED, "cannot make %s: %s", folder, strerror(errno));
  int code = write_page(folder, NULL);
  for (const cli_command *const *c = cli_commands; *c && !code; c++)
    if (!strchr((*c)->name, ' ')) code = write_page(folder, *c);
  return code;
}

CLI_COMMAND(manual) = {"manual",
                       "Print manual pages",
                       "[COMMAND] [--output FOLDER]",
                       "'make install' puts them where man looks.\n\n"
                       "Examples:\n"
                       "  sardonyx manual model | man -l -\n"
                       "  sardonyx manual --output man1\n",
                       options,
                       0,
                       1,
                       run};
