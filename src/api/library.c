// SPDX-License-Identifier: Apache-2.0
// Version, status and element-type names, kernel and operator listings.
#include <stdio.h>

#include "base/host.h"
#include "base/text.h"
#include "kernels/kernel.h"
#include "ops/schema.h"
#include "sardonyx/sardonyx.h"

const char *sdx_version(void) { return SDX_VERSION; }
const char *sdx_status_text(sdx_status status) { return status_text(status); }
const char *sdx_status_name(sdx_status status) { return status_name(status); }
int sdx_status_http(sdx_status status) { return status_http(status); }
const char *sdx_dtype_name(sdx_dtype dtype) { return dtype_name(dtype); }
int sdx_dtype_bits(sdx_dtype dtype) { return dtype_bits(dtype); }
sdx_dtype sdx_dtype_from_name(const char *name) { return dtype_from_name(str_from(name)); }
void sdx_string_free(char *text) { mem_free(text); }

static char *finished(text *t) {
  if (!t->failed) return t->at;
  text_deinit(t);
  return NULL;
}

char *sdx_describe_kernels(void) {
  text t = {0};
  text_format(&t, "{\"tier\":\"%s\",\"cpus\":%zu,\"memory_bytes\":%zu,\"kernels\":[",
              cpu_isa_short_name(cpu_isa_limit()), host_cpus(), host_memory_bytes());
  for (size_t i = 0; i < kernel_count(); i++) {
    const kernel_entry *k = kernel_at(i);
    const char *missing = cpu_isa_missing(k->isa);
    text_format(&t,
                "%s\n{\"family\":\"%s\",\"variant\":\"%s\",\"automatic\":%s,\"enabled\":%s,\"used\":%s,\"missing\":",
                i ? "," : "", k->family, k->variant, k->automatic ? "true" : "false",
                cpu_isa_enabled(k->isa) ? "true" : "false", kernel_best(k->family) == k ? "true" : "false");
    if (missing) text_json_string(&t, str_from(missing));
    else text_append(&t, "null", 4);
    text_append(&t, "}", 1);
  }
  text_append(&t, "\n]}\n", 4);
  return finished(&t);
}

// ---- operators ----------------------------------------------------------------------------------

static bool is_dtype(const char *list, size_t size) { return dtype_from_name((str){list, size}) != SDX_UNDEFINED; }

// "any,seq" as JSON: every element type by its name, kinds that are no tensors as the record has them.
static void write_types(text *t, str list) {
  const char *separator = "[", *end = list.at + list.size;
  for (const char *p = list.at; p < end;) {
    size_t size = 0, depth = 0;  // commas inside of map(int64,float) part nothing
    for (; p + size < end && (depth || p[size] != ','); size++) depth += (size_t)(p[size] == '(') - (p[size] == ')');
    bool any = str_equal((str){p, size}, STR("any"));
    for (int d = 1; any && d < SDX_DTYPE_COUNT; d++, separator = ",")
      text_format(t, "%s\"%s\"", separator, dtype_name((sdx_dtype)d));
    if (!any) text_format(t, "%s\"%.*s\"", separator, (int)size, p);
    separator = ",";
    p += size + 1;
  }
  text_append(t, "]", 1);
}

// {"T":["float",...],"int64":["int64"]}: the type variables and fixed types of inputs and outputs.
static void write_variables(text *t, const op_def *op) {
  const char *separator = "{";
  for (const char *p = op->types; p && *p; separator = ",") {
    size_t name = strcspn(p, "="), size = strcspn(p, ";");
    text_format(t, "%s\"%.*s\":", separator, (int)name, p);
    write_types(t, (str){p + name + 1, size - name - 1});
    p += size + (p[size] == ';');
  }
  schema_formal f;
  const char *const formals[] = {op->inputs, op->outputs};
  str seen[SCHEMA_MOST_VARIABLES];
  size_t seen_count = 0;
  for (int i = 0; i < 2; i++)
    for (const char *p = formals[i]; schema_next_formal(&p, &f);) {
      bool known = !is_dtype(f.type.at, f.type.size) && !str_is(f.type, "any");
      for (size_t k = 0; k < seen_count; k++) known = known || str_equal(seen[k], f.type);
      if (known || seen_count == SCHEMA_MOST_VARIABLES) continue;
      seen[seen_count++] = f.type;
      text_format(t, "%s\"%.*s\":", separator, STR_ARG(f.type));
      write_types(t, f.type);
      separator = ",";
    }
  text_format(t, "%s}", *separator == '{' ? "{" : "");
}

// One row for each version: old ones are upgraded at import, so all have the types of the newest.
static void write_supported(text *t, const op_def *op) {
  const char *separator = "[";
  for (const char *p = op->versions; p && *p; separator = ",") {
    text_format(t, "%s{\"version\":%.*s,\"types\":", separator, (int)strcspn(p, " "), p);
    write_variables(t, op);
    text_append(t, "}", 1);
    p += strcspn(p, " ");
    p += strspn(p, " ");
  }
  text_append(t, "]", 1);
}

static void write_cases(text *t, const op_def *op) {
  text_append(t, "[", 1);
  for (size_t i = 0; op->cases && op->cases[i]; i++) {
    if (i) text_append(t, ",", 1);
    text_json_string(t, str_from(op->cases[i]));
  }
  text_append(t, "]", 1);
}

char *sdx_describe_ops(void) {
  text t = {0};
  text_append(&t, "[", 1);
  for (size_t i = 0; i < op_count(); i++) {
    const op_def *op = op_at(i);
    const struct {
      const char *key, *value;
    } texts[] = {{"versions", op->versions}, {"inputs", op->inputs}, {"outputs", op->outputs},
                 {"types", op->types},       {"attrs", op->attrs},   {"attrs_old", op->attrs_old}};
    text_format(&t, "%s\n{\"domain\":\"%s\",\"name\":\"%s\",\"since\":%d", i ? "," : "", op->domain, op->name,
                op->since);
    for (size_t k = 0; k < sizeof texts / sizeof *texts; k++) {
      text_format(&t, ",\"%s\":", texts[k].key);
      text_json_string(&t, str_from(texts[k].value ? texts[k].value : ""));
    }
    text_format(&t, ",\"supported\":");
    write_supported(&t, op);
    text_format(&t, ",\"cases\":");
    write_cases(&t, op);
    text_append(&t, "}", 1);
  }
  text_append(&t, "\n]\n", 3);
  return finished(&t);
}
