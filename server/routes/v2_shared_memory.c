// SPDX-License-Identifier: Apache-2.0
// The system shared memory extension (regions.h), and as much of that for CUDA as clients ask who use none. Both are
// for clients on this machine: whoever may register objects may read and write them through the server.
#include "server/call.h"

static void write_region(text *o, const region *r) {
  text_put(o, "{\"name\":");
  text_json_string(o, str_from(r->name));
  text_put(o, ",\"key\":");
  text_json_string(o, str_from(r->key));
  text_format(o, ",\"offset\":%llu,\"byte_size\":%llu}", (unsigned long long)r->offset, (unsigned long long)r->size);
}

static void status(call *c) {
  text *o = call_body(c);
  regions *r = &c->srv->regions;
  str name = c->asset_name;
  text_put(o, "[");
  pthread_mutex_lock(&r->lock);
  const region *one = name.at ? regions_find(r, name) : NULL;
  if (one) write_region(o, one);
  for (size_t i = 0; !name.at && i < r->count; i++) {
    if (i) text_append(o, ",", 1);
    write_region(o, &r->list[i]);
  }
  pthread_mutex_unlock(&r->lock);
  text_put(o, "]");
  if (name.at && !one) call_error(c, 404, "there is no region '%.*s'", name.size > 60 ? 60 : (int)name.size, name.at);
  else call_json(c, 200);
}

static bool read_registration(call *c, str *key, int64_t *offset, int64_t *size) {
  json j;
  str member;
  bool first = true, good;
  call_read_json(c, &j);
  good = json_open(&j, '{', "the body");
  while (good && json_more(&j, '{', &first)) {
    if (!json_key(&j, &member)) good = false;
    else if (str_is(member, "key")) good = json_string_read(&j, key, "key");
    else if (str_is(member, "offset")) good = json_i64(&j, offset, "offset");
    else if (str_is(member, "byte_size")) good = json_i64(&j, size, "byte_size");
    else good = json_fail(&j, "%.*s: no such member, expected key, offset, byte_size", STR_ARG(member));
  }
  if (good && json_end(&j)) return true;
  call_error(c, 400, "%s", j.message);
  return false;
}

static void add(call *c) {
  str key = {"", 0};
  int64_t offset = 0, size = 0;
  char why[400];
  if (!read_registration(c, &key, &offset, &size)) return;
  int refused = regions_add(&c->srv->regions, c->asset_name, key, offset, size, why, sizeof why);
  if (refused) {
    call_error(c, refused, "%s", why);
    return;
  }
  text_put(call_body(c), "{}");
  call_json(c, 200);
}

static void remove_regions(call *c) {
  if (c->asset_name.at && !region_name_good(c->asset_name)) {
    call_error(c, 404, "no region can have that name");
    return;
  }
  regions_remove(&c->srv->regions, c->asset_name);
  text_put(call_body(c), "{}");
  call_json(c, 200);
}

static void no_status(call *c) {
  text_put(call_body(c), "[]");
  call_json(c, 200);
}

static void nothing(call *c) {
  text_put(call_body(c), "{}");
  call_json(c, 200);
}

#define SHARED_MEMORY(verb, line, schema, function, ...)                                               \
  {                                                                                                    \
    .access = ROUTE_MANAGE, .methods = verb, .summary = line, .gives = schema, .paths = {__VA_ARGS__}, \
    .answer = function                                                                                 \
  }
HTTP_ROUTE(shm_status) = SHARED_MEMORY(METHOD_GET | METHOD_HEAD, "Which regions of shared memory there are",
                                       "{\"type\":\"array\",\"items\":{\"type\":\"object\"}}", status,
                                       "/v2/systemsharedmemory/status", "/v2/systemsharedmemory/region/{name}/status");
HTTP_ROUTE(shm_remove) = SHARED_MEMORY(METHOD_POST, "Forgets a region, or all", "{\"type\":\"object\"}", remove_regions,
                                       "/v2/systemsharedmemory/unregister",
                                       "/v2/systemsharedmemory/region/{name}/unregister");
HTTP_ROUTE(cuda_status) = SHARED_MEMORY(METHOD_GET | METHOD_HEAD, "There is no shared memory of CUDA",
                                        "{\"type\":\"array\"}", no_status, "/v2/cudasharedmemory/status");
HTTP_ROUTE(cuda_remove) = SHARED_MEMORY(METHOD_POST, "There is no shared memory of CUDA", "{\"type\":\"object\"}",
                                        nothing, "/v2/cudasharedmemory/unregister");
HTTP_ROUTE(shm_add) = {.access = ROUTE_MANAGE,
                       .methods = METHOD_POST,
                       .summary = "Gives a part of a shared memory object a name",
                       .takes =
                           "{\"type\":\"object\",\"required\":[\"key\",\"byte_size\"],\"properties\":{\"key\":{"
                           "\"type\":\"string\",\"maxLength\":129,\"pattern\":\"^/"
                           "[A-Za-z0-9_][A-Za-z0-9._-]*$\"},"
                           "\"offset\":{\"type\":\"integer\",\"minimum\":0},\"byte_size\":{"
                           "\"type\":\"integer\",\"minimum\":1}},\"additionalProperties\":false}",
                       .gives = "{\"type\":\"object\"}",
                       .paths = {"/v2/systemsharedmemory/region/{name}/register"},
                       .answer = add};
