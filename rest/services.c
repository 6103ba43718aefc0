// SPDX-License-Identifier: Apache-2.0
// /api/services: models in operation. What would start a program of the client's choosing (an engine, a script) or
// reads a file of this machine is the command's alone.
#include "deploy/service.h"

#include <stdlib.h>
#include <string.h>

#include "rest/assets.h"
#include "support/json.h"

enum { LOG_LINES = 100, MOST_LINES = 10000, MINUTES = 60 };

// ---- looking -------------------------------------------------------------------------------------

static void show(rest *q) { service_show(q->r, q->name, &q->answer, &q->fault); }

static void list(rest *q) {
  json_t *names, *one;
  size_t i;
  if (registry_list(q->r, ASSET_SERVICE, &(registry_filter){.latest = true}, &names, &q->fault)) return;
  json_t *all = json_array();
  json_array_foreach(names, i, one) {
    fault gone = {0};
    json_t *service = NULL;
    if (!service_show(q->r, text_of(one, "name"), &service, &gone)) json_array_append_new(all, service);
  }
  json_decref(names);
  q->answer = all;
}

static void logs(rest *q) {
  json_t *settings;
  int64_t count = rest_query_number(q, "count", LOG_LINES);
  if (q->fault.status || registry_get_service(q->r, q->name, &settings, NULL, &q->fault)) return;
  json_decref(settings);
  q->answer = service_log(q->r, q->name, (size_t)(count > MOST_LINES ? MOST_LINES : count));
}

// ---- deploying and updating ----------------------------------------------------------------------

static const char *optional(const rest *q, const char *key) { return json_string_value(json_object_get(q->body, key)); }

static void revise(rest *q, const char *name, sdx_status (*action)(registry *, const service_spec *, fault *)) {
  const char **models = rest_list(q, "models");
  service_spec spec = {.name = name,
                       .image = optional(q, "image"),
                       .build = {.models = models},
                       .target = optional(q, "target"),
                       .auth = optional(q, "auth"),
                       .host = optional(q, "host"),
                       .port = (int)number_of(q->body, "port"),
                       .replicas = (int)number_of(q->body, "replicas"),
                       .cpu = json_number_value(json_object_get(q->body, "cpu")),
                       .memory_gb = json_number_value(json_object_get(q->body, "memory_gb")),
                       .percent = (int)number_of(q->body, "traffic"),
                       .start_seconds = (unsigned)number_of(q->body, "start_seconds"),
                       .description = optional(q, "description"),
                       .tags = json_object_get(q->body, "tags"),
                       .properties = json_object_get(q->body, "properties")};
  if (spec.image && models && *models)
    fault_set(&q->fault, SDX_INVALID_ARGUMENT, "image names what is built, models say what to build: not both");
  else if (models && !action(q->r, &spec, &q->fault)) service_show(q->r, name, &q->answer, &q->fault);
  free(models);
}

static void deploy(rest *q) {
  const char *name = optional(q, "name");
  if (!name_valid(name))
    fault_set(&q->fault, SDX_INVALID_ARGUMENT,
              "member name: expected letters, digits, '.', '_' and '-', at most %d of them", NAME_BYTES);
  else if (!optional(q, "image") && !json_array_size(json_object_get(q->body, "models")))
    fault_set(&q->fault, SDX_INVALID_ARGUMENT, "what is to be run? member image or models says it");
  else revise(q, name, service_deploy);
}

static void update(rest *q) { revise(q, q->name, service_update); }

// ---- while it runs -------------------------------------------------------------------------------

static void then_show(rest *q) {
  if (!q->fault.status) show(q);
}

static void roll_back(rest *q) {
  service_rollback(q->r, q->name, number_of(q->body, "revision"), &q->fault);
  then_show(q);
}

static void set_traffic(rest *q) {
  service_traffic(q->r, q->name, number_of(q->body, "percent"), &q->fault);
  then_show(q);
}

static void scale(rest *q) {
  service_scale(q->r, q->name, number_of(q->body, "replicas"), &q->fault);
  then_show(q);
}

static void start(rest *q) {
  service_start(q->r, q->name, &q->fault);
  then_show(q);
}

static void stop(rest *q) {
  service_stop(q->r, q->name, &q->fault);
  then_show(q);
}

static void end(rest *q) {
  json_t *service;
  if (service_show(q->r, q->name, &service, &q->fault)) return;
  if (service_delete(q->r, q->name, &q->fault)) json_decref(service);
  else q->answer = service;
}

// ---- keys ----------------------------------------------------------------------------------------

static void show_keys(rest *q) { service_keys(q->r, q->name, SERVICE_KEEP, NULL, &q->answer, &q->fault); }

static void new_key(rest *q) {
  bool primary = !strcmp(text_of(q->body, "regenerate"), "primary");
  service_keys(q->r, q->name, primary ? SERVICE_PRIMARY : SERVICE_SECONDARY, optional(q, "key"), &q->answer, &q->fault);
}

static void new_token(rest *q) {
  int64_t minutes = number_of(q->body, "minutes");
  service_token(q->r, q->name, (minutes ? minutes : MINUTES) * 60, &q->answer, &q->fault);
}

// ---- routes --------------------------------------------------------------------------------------

#define SERVICE "{\"type\":\"object\",\"required\":[\"name\",\"state\",\"image\"]}"
#define KEYS "{\"type\":\"object\",\"required\":[\"primary\",\"secondary\"]}"
#define WHOLE(least, most) "\"type\":\"integer\",\"minimum\":" #least ",\"maximum\":" #most
#define REAL(most) "\"type\":\"number\",\"minimum\":0,\"maximum\":" #most
#define REVISION                           \
  REST_MEMBER("image", REST_STRING)        \
  REST_AND("models", REST_STRINGS)         \
  REST_AND("auth", REST_STRING             \
           ",\"enum\":[\"key\",\"token\"," \
           "\"none\"]")                    \
  REST_AND("cpu", REAL(1024)) REST_AND("memory_gb", REAL(65536)) REST_AND("replicas", WHOLE(1, 32)) "," REST_WORDS

REST_ROUTE(services) = {ASSETS_ROUTE("The services and their states", METHOD_GET, "/api/services"),
                        .gives = REST_LIST(SERVICE), .action = list};
#define PLACE                    \
  REST_MEMBER("name", REST_NAME) \
  REST_AND("target", REST_STRING ",\"enum\":[\"local\",\"container\"]") REST_AND("host", REST_STRING)
REST_ROUTE(service_deploy) = {
    ASSETS_ROUTE("Puts an image or models into operation; does not wait", METHOD_POST, "/api/services"),
    .takes = REST_OBJECT_WITH("\"name\"", PLACE REST_AND("port", WHOLE(1, 65535))
                                              REST_AND("start_seconds", WHOLE(1, 86400)) "," REVISION),
    .gives = SERVICE, .action = deploy};
REST_ROUTE(service_show) = {ASSETS_ROUTE("A service and its state", METHOD_GET, "/api/services/{name}"),
                            .gives = SERVICE, .action = show};
REST_ROUTE(service_update) = {ASSETS_ROUTE("Brings another image or other models into force, without a failed request",
                                           METHOD_PATCH, "/api/services/{name}"),
                              .takes = REST_OBJECT(REST_MEMBER("traffic", WHOLE(1, 100)) "," REVISION),
                              .gives = SERVICE, .action = update};
REST_ROUTE(service_delete) = {ASSETS_ROUTE("Ends and deletes a service", METHOD_DELETE, "/api/services/{name}"),
                              .gives = SERVICE, .action = end};
REST_ROUTE(service_rollback) = {
    ASSETS_ROUTE("Back to a revision; without one, to the one before", METHOD_POST, "/api/services/{name}/rollback"),
    .takes = REST_OBJECT(REST_MEMBER("revision", WHOLE(1, 1000000000))), .gives = SERVICE, .action = roll_back};
REST_ROUTE(service_traffic) = {ASSETS_ROUTE("The share of the revision on trial; 100: it is in force, 0: it ends",
                                            METHOD_POST, "/api/services/{name}/traffic"),
                               .takes = REST_OBJECT_WITH("\"percent\"", REST_MEMBER("percent", WHOLE(0, 100))),
                               .gives = SERVICE, .action = set_traffic};
REST_ROUTE(service_scale) = {ASSETS_ROUTE("The number of server processes", METHOD_POST, "/api/services/{name}/scale"),
                             .takes = REST_OBJECT_WITH("\"replicas\"", REST_MEMBER("replicas", WHOLE(1, 32))),
                             .gives = SERVICE, .action = scale};
REST_ROUTE(service_start) = {
    ASSETS_ROUTE("Starts a service that was stopped", METHOD_POST, "/api/services/{name}/start"),
    .takes = REST_OBJECT(""), .gives = SERVICE, .action = start};
REST_ROUTE(service_stop) = {
    ASSETS_ROUTE("Stops a service once it has answered what it took", METHOD_POST, "/api/services/{name}/stop"),
    .takes = REST_OBJECT(""), .gives = SERVICE, .action = stop};
REST_ROUTE(service_keys) = {ASSETS_ROUTE("Its keys", METHOD_GET, "/api/services/{name}/keys"), .gives = KEYS,
                            .action = show_keys};
REST_ROUTE(service_new_key) = {
    ASSETS_ROUTE("Makes a key anew; the old one is refused at once", METHOD_POST, "/api/services/{name}/keys"),
    .takes = REST_OBJECT_WITH("\"regenerate\"",
                              REST_MEMBER("regenerate", REST_STRING ",\"enum\":[\"primary\",\"secondary\"]")
                                  REST_AND("key", REST_STRING)),
    .gives = KEYS, .action = new_key};
REST_ROUTE(service_token) = {ASSETS_ROUTE("A token that ends by itself", METHOD_POST, "/api/services/{name}/token"),
                             .takes = REST_OBJECT(REST_MEMBER("minutes", WHOLE(1, 525600))),
                             .gives = "{\"type\":\"object\",\"required\":[\"token\",\"expires_in\"]}",
                             .action = new_token};
REST_ROUTE(service_logs) = {ASSETS_ROUTE("The last lines of its log", METHOD_GET, "/api/services/{name}/logs"),
                            .query = "[" REST_QUERY("count", REST_NUMBER) "]",
                            .gives = REST_LIST("{\"type\":\"string\"}"), .action = logs};
