// SPDX-License-Identifier: Apache-2.0
// Lists and single versions (assets.h).
#include "rest/assets.h"

static void find(rest *q, asset_kind kind, registry_filter filter) {
  const char *tags[] = {rest_query(q, "tag"), NULL}, *properties[] = {rest_query(q, "property"), NULL};
  filter.tags = tags;
  filter.properties = properties;
  filter.skip = rest_query_number(q, "skip", 0);
  filter.count = rest_query_number(q, "count", 0);
  if (!q->fault.status) registry_list(q->r, kind, &filter, &q->answer, &q->fault);
}

void assets_list(rest *q, asset_kind kind) { find(q, kind, (registry_filter){.latest = true}); }

void assets_versions(rest *q, asset_kind kind) {
  json_t *newest;
  if (registry_get(q->r, kind, q->name, &newest, &q->fault)) return;
  json_decref(newest);
  find(q, kind, (registry_filter){.name = q->name, .newest_first = true});
}

void assets_show(rest *q, asset_kind kind) { registry_get(q->r, kind, q->reference, &q->answer, &q->fault); }

void assets_update(rest *q, asset_kind kind) {
  registry_update(q->r, kind, q->reference, q->body, &q->answer, &q->fault);
}

void assets_delete(rest *q, asset_kind kind) {
  json_t *asset;
  if (registry_get(q->r, kind, q->reference, &asset, &q->fault)) return;
  if (registry_delete(q->r, kind, q->reference, &q->fault)) json_decref(asset);
  else q->answer = asset;
}
