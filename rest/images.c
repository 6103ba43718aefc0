// SPDX-License-Identifier: Apache-2.0
// /api/images: building, looking at, changing and deleting images.
#include <stdlib.h>

#include "deploy/build.h"
#include "rest/assets.h"
#include "support/json.h"

static void list(rest *q) { assets_list(q, ASSET_IMAGE); }
static void versions(rest *q) { assets_versions(q, ASSET_IMAGE); }
static void show(rest *q) { assets_show(q, ASSET_IMAGE); }
static void update(rest *q) { assets_update(q, ASSET_IMAGE); }
static void end(rest *q) { assets_delete(q, ASSET_IMAGE); }

// Of models that the server runs by itself: a script would be a program of somebody else on this machine.
static void make(rest *q) {
  const char **models = rest_list(q, "models"), *base = text_of(q->body, "base");
  json_t *report = NULL;
  build_spec spec = {.name = text_of(q->body, "name"),
                     .models = models,
                     .base = *base ? base : NULL,
                     .description = json_string_value(json_object_get(q->body, "description")),
                     .tags = json_object_get(q->body, "tags"),
                     .properties = json_object_get(q->body, "properties"),
                     .labels = json_object_get(q->body, "labels"),
                     .port = (int)number_of(q->body, "port")};
  if (models) build_image(q->r, &spec, &q->answer, &report, &q->fault);
  json_decref(report);
  free(models);
}

REST_ROUTE(images) = {ASSETS_ROUTE("The images, in their newest versions", METHOD_GET, "/api/images"),
                      .query = ASSETS_QUERY, .gives = REST_LIST(REST_ASSET), .action = list};
REST_ROUTE(image_build) = {
    ASSETS_ROUTE("Builds an image of models", METHOD_POST, "/api/images"),
    .takes = REST_OBJECT_WITH("\"name\",\"models\"", REST_MEMBER("name", REST_NAME) REST_AND("models", REST_STRINGS)
                                                         REST_AND("base", REST_STRING) REST_AND("labels", REST_MAP)
                                                             REST_AND("port",
                                                                      "\"type\":\"integer\",\"minimum\":1,"
                                                                      "\"maximum\":65535") "," REST_WORDS),
    .gives = REST_ASSET, .action = make};
REST_ROUTE(image_versions) = {
    ASSETS_ROUTE("The versions of an image, the newest first", METHOD_GET, "/api/images/{name}/versions"),
    .query = ASSETS_QUERY, .gives = REST_LIST(REST_ASSET), .action = versions};
REST_ROUTE(image_newest) = {ASSETS_ROUTE("An image in its newest version", METHOD_GET, "/api/images/{name}"),
                            .gives = REST_ASSET, .action = show};
REST_ROUTE(image_show) = {ASSETS_ROUTE("One version of an image", METHOD_GET, "/api/images/{name}/versions/{version}"),
                          .gives = REST_ASSET, .action = show};
REST_ROUTE(image_update) = {ASSETS_ROUTE("Changes its description, tags (null takes one away), properties",
                                         METHOD_PATCH, "/api/images/{name}/versions/{version}"),
                            .takes = REST_OBJECT(REST_WORDS), .gives = REST_ASSET, .action = update};
REST_ROUTE(image_delete) = {
    ASSETS_ROUTE("Deletes a version that nothing uses", METHOD_DELETE, "/api/images/{name}/versions/{version}"),
    .gives = REST_ASSET, .action = end};
