// SPDX-License-Identifier: Apache-2.0
// Any bytes as a model: import must end in a model or in an error with a message, within its budget,
// and give all memory back. A model that imports must print, parse, export and import again; the same
// bytes are also tried as a tensor and as a sequence.
#include <stdlib.h>

#include "onnx/onnx.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
  if (!holds) abort();
}

static void pass_over(void *context, bool warning, const error *problem) { need(problem->message[0]); }

// `only_read`: with calls as they are, whatever is wrong.
static sdx_status import_bytes(const void *bytes, size_t size, bool only_read, mem_account *account, model **m) {
  error err = {0};
  problem_sink sink = {pass_over, NULL};
  import_options o = {.limits = {.max_nodes = 20000}, .account = account, .keep_calls = only_read};
  sdx_status status = onnx_import(bytes, size, &o, only_read ? &sink : NULL, m, &err);
  need(status == SDX_OK ? *m != NULL : *m == NULL && err.message[0]);
  return status;
}

static void round_trip(const model *m, mem_account *account) {
  text once = {.account = account}, twice = {.account = account};
  wire_out out = {.kept = {.account = account}};
  error err = {0};
  arena memory;
  graph *back;
  model *again;
  arena_init(&memory, account);
  graph_print(m->graph, &once);
  if (!once.failed && graph_parse(&memory, (str){once.at, once.size}, &back, &err) == SDX_OK) {
    graph_print(back, &twice);
    need(twice.failed || (once.size == twice.size && memcmp(once.at, twice.at, once.size) == 0));
  } else {
    need(once.failed || err.status == SDX_NO_MEMORY);
  }
  arena_deinit(&memory);
  text_deinit(&once);
  text_deinit(&twice);
  if (onnx_export(m, NULL, &out) == SDX_OK &&
      import_bytes(out.kept.at, out.kept.size, false, account, &again) == SDX_OK)
    model_destroy(again);
  wire_out_deinit(&out);
}

static void as_value(const void *bytes, size_t size, uint8_t kind, mem_account *account) {
  type_info type = {.kind = kind, .rank = -1};
  error err = {0};
  sdx_value *v;
  if (onnx_read_value(bytes, size, &type, account, &v, &err) == SDX_OK) value_release(v);
  else need(err.message[0]);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mem_account account;
  model *m;
  mem_account_init(&account, (size_t)256 << 20, NULL);
  if (import_bytes(data, size, true, &account, &m) == SDX_OK) model_destroy(m);
  if (import_bytes(data, size, false, &account, &m) == SDX_OK) {
    need(atomic_load(&account.peak) <= 64 * size + ((size_t)64 << 20));
    round_trip(m, &account);
    model_destroy(m);
  }
  for (uint8_t kind = TYPE_TENSOR; kind <= TYPE_SPARSE; kind++) as_value(data, size, kind, &account);
  need(atomic_load(&account.used) == 0);
  return 0;
}
