// SPDX-License-Identifier: Apache-2.0
// `sardonyx service keys|token|run`: what a client of a service needs, and a client. Read next: deploy/service.h.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/files.h"
#include "cli/json_table.h"
#include "cli/workspace.h"
#include "deploy/service.h"
#include "support/json.h"

// ---- keys and tokens -----------------------------------------------------------------------------

static const cli_option keys_options[] = {
    OPTION("regenerate", ARG_TEXT, "WHICH", "make primary or secondary anew; the old one is refused at once"),
    OPTION("key", ARG_TEXT, "KEY",
           "with --regenerate: this key instead of a random one; - reads it from standard input, where no other "
           "process of "
           "this machine sees it"),
    WORKSPACE_OPTIONS,
    {0}};

// The key that was given, without the end of its line. NULL: a random one is due, or it cannot be read.
static char *given_key(const args *a, why *w) {
  const char *word = args_text(a, "key", NULL);
  size_t size;
  if (!word || !is_standard_stream(word)) return word ? xstrdup(word) : NULL;
  char *text = file_read(word, &size, w);
  if (text) text[strcspn(text, "\r\n")] = 0;
  return text;
}

static int run_keys(const args *a) {
  int code;
  why w = {0};
  fault f = {0};
  json_t *keys;
  const char *which = args_text(a, "regenerate", NULL);
  service_key slot = !which ? SERVICE_KEEP : !strcmp(which, "primary") ? SERVICE_PRIMARY : SERVICE_SECONDARY;
  if (which && slot == SERVICE_SECONDARY && strcmp(which, "secondary") != 0)
    return cli_error(CLI_USAGE, "--regenerate %s: expected primary or secondary", which);
  if (!which && args_has(a, "key")) return cli_error(CLI_USAGE, "--key belongs to --regenerate");
  char *key = given_key(a, &w);
  if (args_has(a, "key") && !key) return cli_error(CLI_FAILED, "--key: %s", w.text);
  registry *r = workspace_open(a, &code);
  if (!r) {
    free(key);
    return code;
  }
  if (service_keys(r, a->words[0], slot, key, &keys, &f)) {
    code = fault_report(&f);
  } else if (args_has(a, "json")) {
    json_print(keys);
  } else {
    fact_print("primary", "%s", text_of(keys, "primary"));
    fact_print("secondary", "%s", text_of(keys, "secondary"));
    json_decref(keys);
  }
  if (key) explicit_bzero(key, strlen(key));
  free(key);
  registry_close(r);
  return code;
}
CLI_COMMAND(service_keys) = {
    "service keys",
    "Show the keys of a service, or make one anew",
    "NAME [options]",
    "Clients send one of them as 'Authorization: Bearer KEY'. There are two, so that one can be "
    "replaced while the other is in use.\n\n"
    "Examples:\n"
    "  sardonyx service keys digits\n"
    "  sardonyx service keys digits --regenerate primary\n"
    "  sardonyx service keys digits --regenerate primary --key - < key.txt\n",
    keys_options,
    1,
    1,
    run_keys};

static const cli_option token_options[] = {
    OPTION("minutes", ARG_INT, "N", "how long it is good for (default 60)", .min = 1, .max = 525600),
    WORKSPACE_OPTIONS,
    {0}};

static int run_token(const args *a) {
  int code;
  fault f = {0};
  json_t *token;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (service_token(r, a->words[0], args_int(a, "minutes", 60) * 60, &token, &f)) {
    code = fault_report(&f);
  } else if (args_has(a, "json")) {
    json_print(token);
  } else {
    printf("%s\n", text_of(token, "token"));
    json_decref(token);
  }
  registry_close(r);
  return code;
}
CLI_COMMAND(service_token) = {
    "service token",
    "Make a token for a service that was deployed with --auth token",
    "NAME [options]",
    "Clients send it as 'Authorization: Bearer TOKEN' until it ends. It is a JSON Web Token that servers check by "
    "themselves.\n\n"
    "Example:\n"
    "  curl -H \"Authorization: Bearer $(sardonyx service token digits)\" ...\n",
    token_options,
    1,
    1,
    run_token};

// ---- a request -----------------------------------------------------------------------------------

static const cli_option run_options[] = {WORKSPACE_OPTIONS, {0}};

static int print_answer(const args *a, json_t *answer) {
  long long status = number_of(answer, "status");
  if (args_has(a, "json")) json_print(json_incref(answer));
  else printf("%s\n", text_of(answer, "body"));
  json_decref(answer);
  if (status / 100 == 2) return CLI_OK;
  return cli_error(CLI_FAILED, "the service answers with status %lld", status);
}

static int run_run(const args *a) {
  int code;
  fault f = {0};
  why w;
  json_t *answer;
  size_t size;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  char *body = file_read(a->words[1], &size, &w);
  if (!body) code = cli_error(CLI_FAILED, "%s", w.text);
  else if (service_call(r, a->words[0], body, size, &answer, &f)) code = fault_report(&f);
  else code = print_answer(a, answer);
  free(body);
  registry_close(r);
  return code;
}
CLI_COMMAND(service_run) = {"service run",
                            "Send a request to a service, with its key",
                            "NAME FILE [options]",
                            "FILE holds the body of the request; - is standard input.\n\n"
                            "Examples:\n"
                            "  sardonyx service run digits request.json\n"
                            "  echo '{\"data\": [[1, 2, 3]]}' | sardonyx service run digits -\n",
                            run_options,
                            2,
                            2,
                            run_run};
