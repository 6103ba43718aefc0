// SPDX-License-Identifier: Apache-2.0
// Any bytes as the text form of a graph: an error that says where, or a graph that passes the verifier
// and whose print parses to the same print.
#include <stdlib.h>

#include "graph/graph.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void need(bool holds) {
  if (!holds) abort();
}

static bool parse_and_print(str source, mem_account *account, text *out) {
  static const graph_limits limits = {
      .max_nodes = SIZE_MAX, .max_rank = 64, .max_subgraph_depth = 64, .max_name_bytes = SIZE_MAX};
  arena memory;
  graph *g;
  error err = {0};
  arena_init(&memory, account);
  bool good = graph_parse(&memory, source, &g, &err) == SDX_OK;
  if (good) {
    need(graph_verify(g, &limits, NULL, &err) == SDX_OK);
    graph_print(g, out);
  } else {
    need(err.message[0]);
  }
  arena_deinit(&memory);
  return good && !out->failed;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
  mem_account account;
  mem_account_init(&account, (size_t)64 << 20, NULL);
  text once = {.account = &account}, twice = {.account = &account};
  if (parse_and_print((str){(const char *)data, size}, &account, &once) &&
      parse_and_print((str){once.at, once.size}, &account, &twice))
    need(once.size == twice.size && memcmp(once.at, twice.at, once.size) == 0);
  text_deinit(&once);
  text_deinit(&twice);
  need(atomic_load(&account.used) == 0);
  return 0;
}
