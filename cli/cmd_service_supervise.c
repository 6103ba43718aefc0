// SPDX-License-Identifier: Apache-2.0
// `sardonyx service supervise|unit`: what keeps a service running, and how systemd starts it. Read next:
// deploy/supervisor.h, deploy/systemd.h.
#include <stdio.h>
#include <stdlib.h>

#include "cli/workspace.h"
#include "deploy/service.h"
#include "deploy/supervisor.h"
#include "deploy/systemd.h"

static int run_supervise(const args *a) {
  fault f = {0};
  registry_options options = {.workspace = args_text(a, "workspace", NULL)};
  return supervisor_run(&options, a->words[0], &f) ? fault_report(&f) : CLI_OK;
}
static const cli_option supervise_options[] = {WORKSPACE_OPTION, {0}};
CLI_COMMAND(service_supervise) = {
    "service supervise",
    "Keep a service running, in the foreground",
    "NAME [options]",
    "What 'service deploy' starts by itself, for systemd and others who start processes.\n\n"
    "Example:\n"
    "  sardonyx service supervise digits --workspace /srv/models\n",
    supervise_options,
    1,
    1,
    run_supervise};

static int run_unit(const args *a) {
  int code;
  fault f = {0};
  bool user = args_has(a, "user");
  json_t *service = NULL;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (service_show(r, a->words[0], &service, &f)) {
    code = fault_report(&f);
  } else {
    char *text = systemd_unit(r, a->words[0], user, &f), *path = NULL;
    if (text && !args_has(a, "install")) fputs(text, stdout);
    else if (text && (path = systemd_install(a->words[0], text, user, &f)))
      printf("%s\n  systemctl%s daemon-reload && systemctl%s enable sardonyx-%s\n", path, user ? " --user" : "",
             user ? " --user" : "", a->words[0]);
    else code = fault_report(&f);
    free(text);
    free(path);
  }
  json_decref(service);
  registry_close(r);
  return code;
}

static const cli_option unit_options[] = {
    OPTION_FLAG("install", "write it to where systemd looks, and say what enables it"),
    OPTION_FLAG("user", "for systemd of this user, not of the machine"),
    WORKSPACE_OPTION,
    {0}};
CLI_COMMAND(service_unit) = {"service unit",
                             "Print or install a systemd unit that starts a service with the machine",
                             "NAME [options]",
                             "Examples:\n"
                             "  sardonyx service unit digits | sudo tee /etc/systemd/system/sardonyx-digits.service\n"
                             "  sardonyx service unit digits --install --user\n",
                             unit_options,
                             1,
                             1,
                             run_unit};
