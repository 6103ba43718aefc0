// SPDX-License-Identifier: Apache-2.0
// What the commands about services share (service.h): how a service is told about.
#include "cli/service.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/json_table.h"
#include "cli/workspace.h"
#include "deploy/service.h"
#include "support/json.h"

void service_print(const json_t *service) {
  const json_t *error = json_object_get(service, "error");
  char *tags = json_line(json_object_get(service, "tags"));
  fact_print("service", "%s", text_of(service, "name"));
  fact_print("state", "%s", text_of(service, "state"));
  fact_print("target", "%s", text_of(service, "target"));
  fact_print("image", "%s", text_of(service, "image"));
  fact_print("description", "%s", text_of(service, "description"));
  fact_print("tags", "%s", tags);
  if (json_object_get(service, "trial"))
    fact_print("trial", "revision %lld with %lld %% of the requests", (long long)number_of(service, "trial"),
               (long long)number_of(service, "percent"));
  fact_print("auth", "%s", text_of(service, "auth"));
  fact_print("scoring_uri", "%s", text_of(service, "scoring_uri"));
  fact_print("swagger_uri", "%s", text_of(service, "swagger_uri"));
  if (error) fact_print("error", "%s", text_of(error, "message"));
  fact_print("trouble", "%s", text_of(service, "trouble"));
  free(tags);
}

static int code_of(const json_t *service) {
  return json_object_get(service, "error") || !strcmp(text_of(service, "state"), "Unhealthy") ? CLI_FAILED : CLI_OK;
}

// Takes the service. One that did not come up is printed with why, and with the end of its log.
static int report(const args *a, registry *r, json_t *service) {
  int code = code_of(service);
  progress_end();
  if (code) json_object_set_new(service, "log", service_log(r, text_of(service, "name"), SERVICE_LOG_LINES));
  if (args_has(a, "json")) {
    json_print(service);
    return code;
  }
  const json_t *log = json_object_get(service, "log");
  for (size_t i = 0; i < json_array_size(log); i++) fprintf(stderr, "%s\n", json_string_value(json_array_get(log, i)));
  service_print(service);
  if (code) {
    const char *message = text_of(json_object_get(service, "error"), "message");
    if (!*message) message = text_of(service, "trouble");
    cli_error(code, "%s: %s", text_of(service, "name"), *message ? message : "nobody supervises it");
    if (!*message) cli_hint("'sardonyx service start %s' starts what does", text_of(service, "name"));
  }
  json_decref(service);
  return code;
}

int service_finish(const args *a, registry *r, const char *name) {
  fault f = {0};
  json_t *service;
  unsigned seconds = args_has(a, "wait") ? (unsigned)args_int(a, "timeout", 600) : 0;
  if (seconds ? service_wait(r, name, seconds, &service, &f) : service_show(r, name, &service, &f))
    return fault_report(&f);
  if (!seconds || strcmp(text_of(service, "state"), "Transitioning")) return report(a, r, service);
  json_decref(service);
  return cli_error(CLI_FAILED, "service '%s' is still under way after %u s", name, seconds);
}

int service_act(const args *a, service_action action) {
  int code;
  fault f = {0};
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  code = action(a, r, a->words[0], &f) ? fault_report(&f) : service_finish(a, r, a->words[0]);
  registry_close(r);
  return code;
}
