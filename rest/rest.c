// SPDX-License-Identifier: Apache-2.0
// From a call to an action and back (rest.h).
#include "rest/rest.h"

#include <stdlib.h>
#include <string.h>

#include "base/number.h"
#include "server/net/head.h"
#include "support/files.h"
#include "support/json.h"

// ---- what a body may hold ------------------------------------------------------------------------

static bool has_type(const json_t *value, const char *type) {
  if (!strcmp(type, "string")) return json_is_string(value);
  if (!strcmp(type, "integer")) return json_is_integer(value);
  if (!strcmp(type, "number")) return json_is_number(value);
  if (!strcmp(type, "boolean")) return json_is_boolean(value);
  if (!strcmp(type, "array")) return json_is_array(value);
  return json_is_object(value);
}

static sdx_status check_range(const char *name, const json_t *value, const json_t *schema, fault *f) {
  const json_t *least = json_object_get(schema, "minimum"), *most = json_object_get(schema, "maximum");
  double number = json_number_value(value);
  if ((least && number < json_number_value(least)) || (most && number > json_number_value(most)))
    return fault_set(f, SDX_INVALID_ARGUMENT, "%s: %g, expected %g to %g", name, number, json_number_value(least),
                     json_number_value(most));
  return f->status;
}

static sdx_status check_word(const char *name, const json_t *value, const json_t *known, fault *f) {
  size_t i;
  json_t *one;
  json_array_foreach((json_t *)known, i, one) {
    if (json_equal(value, one)) return f->status;
  }
  if (known) fault_set(f, SDX_INVALID_ARGUMENT, "%s '%.100s' is not known", name, json_string_value(value));
  char *list = known ? json_dumps(known, 0) : NULL;
  if (list) fault_hint(f, "expected one of %s", list);
  free(list);
  return f->status;
}

static sdx_status check_value(const char *name, const json_t *value, const json_t *schema, fault *f) {
  const char *type = text_of(schema, "type");
  json_t *one, *of = json_object_get(schema, "items");
  const char *key;
  size_t i;
  if (json_is_null(value) && json_is_true(json_object_get(schema, "nullable"))) return f->status;
  if (!has_type(value, type))
    return fault_set(f, SDX_INVALID_ARGUMENT, "%s: expected a JSON value of type %s", name, type);
  if (json_is_number(value)) return check_range(name, value, schema, f);
  if (json_is_string(value)) return check_word(name, value, json_object_get(schema, "enum"), f);
  if (json_array_size(value) > 64) return fault_set(f, SDX_LIMIT_EXCEEDED, "%s: more than 64 elements", name);
  json_array_foreach((json_t *)value, i, one) check_value(name, one, of, f);
  of = json_object_get(schema, "additionalProperties");
  json_object_foreach((json_t *)value, key, one) {
    if (!f->status && json_is_object(of)) check_value(key, one, of, f);
  }
  return f->status;
}

static sdx_status unknown_member(const char *name, json_t *known, fault *f) {
  const char *names[32], *key;
  size_t count = 0;
  json_t *value;
  json_object_foreach(known, key, value) {
    if (count < sizeof names / sizeof *names) names[count++] = key;
  }
  fault_set(f, SDX_INVALID_ARGUMENT, "the body has a member '%.100s' that is not known", name);
  const char *near = name_closest(name, names, count);
  return near ? fault_hint(f, "did you mean '%s'?", near) : f->status;
}

static void check_required(rest *q, const json_t *schema) {
  size_t i;
  json_t *key;
  json_array_foreach(json_object_get(schema, "required"), i, key) {
    if (!json_object_get(q->body, json_string_value(key)))
      fault_set(&q->fault, SDX_INVALID_ARGUMENT, "the body has no member '%s'", json_string_value(key));
  }
}

static void check_body(rest *q) {
  fault *f = &q->fault;
  const char *takes = q->c->route->takes, *key;
  json_t *schema = json_loads(takes ? takes : "{}", 0, NULL), *known = json_object_get(schema, "properties"), *value;
  json_object_foreach(q->body, key, value) {
    json_t *of = json_object_get(known, key);
    if (f->status) break;
    if (of) check_value(key, value, of, f);
    else unknown_member(key, known, f);
  }
  if (!f->status) check_required(q, schema);
  json_decref(schema);
}

// Bodies of routes without `takes` are the action's own.
static void read_body(rest *q) {
  const http_body *b = &call_request(q->c)->body;
  json_error_t why;
  q->body = q->c->route->takes && b->size ? json_loadb(b->at, b->size, JSON_REJECT_DUPLICATES, &why) : json_object();
  if (!q->body) fault_set(&q->fault, SDX_INVALID_ARGUMENT, "the body, line %d: %s", why.line, why.text);
  else if (!json_is_object(q->body)) fault_set(&q->fault, SDX_INVALID_ARGUMENT, "the body is expected to be an object");
  else check_body(q);
}

// ---- the query -----------------------------------------------------------------------------------

const char *rest_query(rest *q, const char *name) {
  str coded;
  if (!http_request_query(call_request(q->c), name, &coded)) return NULL;
  char *text = calloc(coded.size + 1, 1);
  size_t size = 0;
  for (size_t i = 0; text && i < coded.size; i++) {
    bool escape = coded.at[i] == '%' && i + 2 < coded.size + 0u && head_hex(coded.at[i + 1]) >= 0 &&
                  head_hex(coded.at[i + 2]) >= 0;
    text[size++] = escape               ? (char)(head_hex(coded.at[i + 1]) << 4 | head_hex(coded.at[i + 2]))
                   : coded.at[i] == '+' ? ' '
                                        : coded.at[i];
    if (escape) i += 2;
    if (!text[size - 1]) fault_set(&q->fault, SDX_INVALID_ARGUMENT, "query parameter %s has a NUL", name);
  }
  json_t *kept = text ? json_stringn(text, size) : NULL;
  free(text);
  if (!kept) fault_set(&q->fault, SDX_INVALID_ARGUMENT, "query parameter %s: expected UTF-8", name);
  else json_object_set_new(q->body, name, kept);
  return json_string_value(kept);
}

int64_t rest_query_number(rest *q, const char *name, int64_t otherwise) {
  const char *text = rest_query(q, name);
  int64_t number = otherwise;
  if (text && (strlen(text) > 10 || !number_read_int(str_from(text), &number) || number < 0 || number > REST_MOST))
    fault_set(&q->fault, SDX_INVALID_ARGUMENT, "query parameter %s: expected a whole number from 0 to %d", name,
              REST_MOST);
  return number;
}

const char **rest_list(rest *q, const char *key) {
  const json_t *list = json_object_get(q->body, key);
  size_t count = json_array_size(list);
  const char **words = calloc(count + 1, sizeof *words);
  if (!words) fault_no_memory(&q->fault);
  for (size_t i = 0; words && i < count; i++) words[i] = json_string_value(json_array_get(list, i));
  return words;
}

// ---- the answer ----------------------------------------------------------------------------------

static void write_answer(call *c, const json_t *answer) {
  char *text = json_dumps(answer, JSON_COMPACT | JSON_ENCODE_ANY);
  if (!text) {
    call_error(c, 507, "memory is exhausted");
    return;
  }
  text_put(call_body(c), text);
  call_json(c, 200);
  free(text);
}

static void write_failure(call *c, const fault *f) {
  call_error(c, sdx_status_http(f->status), "%s", f->message);
  json_t *hint = f->hint[0] ? json_pack("{s:s}", "hint", f->hint) : NULL;
  char *text = hint ? json_dumps(hint, JSON_COMPACT) : NULL;
  if (text) http_response_error_details(&c->x.response, text);
  json_decref(hint);
  free(text);
}

static void act(rest *q) {
  str name = q->c->asset_name, version = q->c->version_name;
  char *own = name.size ? path_format("%.*s", STR_ARG(name)) : strdup(""),
       *reference = own ? path_format(version.size ? "%s:%.*s" : "%s", own, STR_ARG(version)) : NULL;
  if (!reference) fault_no_memory(&q->fault);
  else if (name.size && !name_valid(own)) fault_set(&q->fault, SDX_NOT_FOUND, "'%.100s' names nothing", own);
  q->name = own;
  q->reference = reference;
  if (!q->fault.status) read_body(q);
  if (!q->fault.status && !registry_open(q->c->srv->config->routes_context, &q->r, &q->fault)) q->c->route->action(q);
  registry_close(q->r);
  free(own);
  free(reference);
}

void rest_answer(call *c) {
  rest q = {.c = c};
  act(&q);
  if (q.fault.status) write_failure(c, &q.fault);
  else if (q.answer) write_answer(c, q.answer);
  json_decref(q.answer);
  json_decref(q.body);
}
