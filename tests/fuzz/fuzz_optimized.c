// SPDX-License-Identifier: Apache-2.0
// Any bytes as an optimized model whose hashes agree, made by this version for these kernels: what a hostile maker
// could write. It must end in a session that plans, also for a run that feeds its defaults, or in an error with a
// message.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cpu.h"
#include "run/optimized.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
  if (!holds) abort();
}

static void sign(char *bytes, size_t size) {
  optimized_head h;
  hash all;
  memcpy(&h, bytes, sizeof h);
  memcpy(h.magic, OPTIMIZED_MAGIC, sizeof h.magic);
  h.version = OPTIMIZED_VERSION, h.head_bytes = sizeof h;
  snprintf(h.library, sizeof h.library, "%s", SDX_VERSION);
  snprintf(h.tier, sizeof h.tier, "%s", cpu_isa_short_name(cpu_isa_limit()));
  hash_init(&all, h.seed);
  const file_part parts[] = {h.model, h.origin, h.outputs, h.warnings, h.files, h.packs};
  for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
    if (parts[i].offset <= size && parts[i].size <= size - parts[i].offset)
      hash_add(&all, bytes + parts[i].offset, parts[i].size);
  h.parts_hash = hash_end(&all);
  h.head_hash = optimized_head_hash(&h);
  memcpy(bytes, &h, sizeof h);
}

// Every default is fed what it would be anyway; numbers of a hostile maker are not computed with.
static void open_defaults(sdx_session *s) {
  const value **given = mem_alloc(NULL, s->default_count * sizeof *given);
  const variant *v;
  error err = {0};
  need(given);
  for (uint32_t i = 0; i < s->default_count; i++) given[i] = &s->defaults[i];
  if (s->default_count && session_variant(s, given, &v, &err) != SDX_OK) need(*err.message);
  mem_free(given);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  if (size < sizeof(optimized_head)) return 0;
  char *bytes = mem_alloc(NULL, size);
  need(bytes);
  memcpy(bytes, data, size);
  sign(bytes, size);
  sdx_options *o = sdx_options_create();
  sdx_session *s;
  need(o && !sdx_options_set(o, "memory_limit_bytes", "268435456") && !sdx_options_set(o, "threads", "1"));
  sdx_status status = sdx_session_load_bytes(bytes, size, true, o, &s);
  need(status == SDX_OK || *sdx_session_error(s));
  if (status == SDX_OK) open_defaults(s);
  if (status == SDX_OK) sdx_string_free(sdx_session_describe(s, "memory"));
  sdx_session_destroy(s);
  sdx_options_destroy(o);
  mem_free(bytes);
  return 0;
}
