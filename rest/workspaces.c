// SPDX-License-Identifier: Apache-2.0
// /api/workspaces: which workspace this is, whether all is in order, what was done.
#include "rest/rest.h"
#include "support/json.h"

// Where it lies on this machine is nobody's business elsewhere.
static void list(rest *q) {
  static const char *const of_machine[] = {"folder", "config", "store", NULL};
  json_t *facts = registry_describe(q->r, &q->fault);
  for (const char *const *key = of_machine; facts && *key; key++) json_object_del(facts, *key);
  if (facts) q->answer = json_pack("[o]", facts);
}

static void verify(rest *q) { registry_verify(q->r, false, &q->answer, &q->fault); }

static void show_log(rest *q) {
  int64_t count = rest_query_number(q, "count", 100);
  if (!q->fault.status) registry_operations(q->r, count > 10000 ? 10000 : count, &q->answer, &q->fault);
}

REST_ROUTE(workspaces) = {.access = ROUTE_KEYED,
                          .methods = METHOD_GET,
                          .blocks = true,
                          .summary = "The workspace: its name and how much it holds",
                          .gives = REST_LIST("{\"type\":\"object\",\"required\":[\"name\",\"models\",\"services\"]}"),
                          .paths = {"/api/workspaces"},
                          .answer = rest_answer,
                          .action = list};
REST_ROUTE(workspace_verify) = {.access = ROUTE_KEYED,
                                .methods = METHOD_GET,
                                .blocks = true,
                                .summary = "Checks every file against its digest, and the database",
                                .gives = "{\"type\":\"object\",\"required\":[\"lost\",\"dangling\",\"database\"]}",
                                .paths = {"/api/verify"},
                                .answer = rest_answer,
                                .action = verify};
REST_ROUTE(workspace_operations) = {.access = ROUTE_KEYED,
                                    .methods = METHOD_GET,
                                    .blocks = true,
                                    .summary = "What was done, the last first",
                                    .query = "[" REST_QUERY("count", REST_NUMBER) "]",
                                    .gives = REST_LIST("{\"type\":\"object\"}"),
                                    .paths = {"/api/operations"},
                                    .answer = rest_answer,
                                    .action = show_log};
