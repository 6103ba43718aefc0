// SPDX-License-Identifier: Apache-2.0
// What models and images have in common: lists, one version, its words, its end.
#pragma once

#include "rest/rest.h"

void assets_list(rest *q, asset_kind kind);      // the newest version of each name
void assets_versions(rest *q, asset_kind kind);  // all of one name
void assets_show(rest *q, asset_kind kind);
void assets_update(rest *q, asset_kind kind);
void assets_delete(rest *q, asset_kind kind);

#define ASSETS_QUERY                                                                     \
  "[" REST_QUERY("tag", REST_WORD) "," REST_QUERY("property", REST_WORD) "," REST_QUERY( \
      "skip", REST_NUMBER) "," REST_QUERY("count", REST_NUMBER) "]"
#define ASSETS_ROUTE(what, method, path) \
  .access = ROUTE_KEYED, .methods = method, .blocks = true, .summary = what, .paths = {path}, .answer = rest_answer
