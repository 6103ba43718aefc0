// SPDX-License-Identifier: Apache-2.0
// Version, status and element-type names, kernel and operator listings.
#include <stdio.h>

#include "kernels/kernel.h"
#include "ops/op.h"
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
  text_format(&t, "{\"tier\":\"%s\",\"kernels\":[", cpu_isa_short_name(cpu_isa_limit()));
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
    text_append(&t, "}", 1);
  }
  text_append(&t, "\n]\n", 3);
  return finished(&t);
}
