// SPDX-License-Identifier: Apache-2.0
// `sardonyx ops` and `sardonyx kernels`: what this build and this machine offer.
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/engine.h"
#include "cli/json_table.h"

static const cli_option options[] = {OPTION_FLAG("json", "machine-readable"), {0}};
static const cli_option ops_options[] = {
    OPTION_FLAG("json", "machine-readable"), OPTION_FLAG("markdown", "a table for documents: versions and types"), {0}};

// The rows whose text holds every word, ASCII case aside.
static json_t *matching(const json_t *list, const args *a) {
  json_t *rows = json_array();
  for (size_t i = 0; i < json_array_size(list); i++) {
    json_t *row = json_array_get(list, i);
    char *text = json_line(row);
    bool all = true;
    for (size_t w = 0; w < a->word_count && all; w++) all = strcasestr(text, a->words[w]) != NULL;
    if (all) json_array_append(rows, row);
    free(text);
  }
  return rows;
}

static int show(const args *a, json_t *all, const char *what, const char *hide) {
  if (!all) return CLI_FAILED;
  // A list, or an object that holds one beside facts about the machine.
  json_t *list = all, *field;
  const char *key;
  if (json_is_object(all)) {
    json_object_foreach(all, key, field) {
      if (json_is_array(field) && (list == all || json_array_size(field) > json_array_size(list))) list = field;
    }
  }
  if (args_has(a, "json")) {
    json_print(all);
    return CLI_OK;
  }
  if (list != all) {
    json_object_foreach(all, key, field) {
      if (field == list) continue;
      char *text = json_line(field);
      printf("%s: %s\n", key, text);
      free(text);
    }
    putchar('\n');
  }
  json_t *rows = matching(list, a);
  size_t shown = json_array_size(rows);
  json_table_print(rows, hide);
  printf("%s%zu %s\n", shown ? "\n" : "", shown, what);
  json_decref(rows);
  json_decref(all);
  return shown || !a->word_count ? CLI_OK : CLI_FAILED;
}

// "float double int32"; those that cover every element type are one word.
static void print_types(const json_t *types) {
  size_t i, dtypes = 0, all = 0;
  const json_t *type;
  while (sdx_dtype_bits((sdx_dtype)(all + 1)) > 0) all++;
  json_array_foreach(types, i, type) dtypes += sdx_dtype_from_name(json_string_value(type)) != SDX_UNDEFINED;
  if (dtypes == all) printf(" every type");
  json_array_foreach(types, i, type) {
    const char *name = json_string_value(type);
    if (dtypes < all || sdx_dtype_from_name(name) == SDX_UNDEFINED) printf(" %s", name);
  }
}

// One row an operator: all its versions take the types of the newest, which they become when a model is loaded.
static int print_markdown(const args *a, json_t *all) {
  if (!all) return CLI_FAILED;
  json_t *rows = matching(all, a), *row, *types;
  size_t i;
  const char *variable;
  printf(
      "# Operators of Sardonyx %s\n\nEach version of an operator takes the types of its row.\n\n"
      "| operator | domain | versions | types | provider |\n|---|---|---|---|---|\n",
      sdx_version());
  json_array_foreach(rows, i, row) {
    printf("| %s | %s | %s |", json_string_value(json_object_get(row, "name")),
           json_string_value(json_object_get(row, "domain")), json_string_value(json_object_get(row, "versions")));
    const char *separator = "";
    json_t *newest = json_object_get(json_array_get(json_object_get(row, "supported"), 0), "types");
    json_object_foreach(newest, variable, types) {
      bool fixed = sdx_dtype_from_name(variable) != SDX_UNDEFINED;
      printf("%s %s%s", separator, variable, fixed ? "" : ":");
      if (!fixed) print_types(types);
      separator = ";";
    }
    printf(" | CPU |\n");
  }
  json_decref(rows);
  json_decref(all);
  return CLI_OK;
}

static int run_ops(const args *a) {
  json_t *all = engine_json(sdx_describe_ops(), "operators"), *op;
  size_t i;
  // ONNX writes its own domain as "": a table would show a hole.
  if (!args_has(a, "json"))
    json_array_foreach(all, i, op) if (!*json_string_value(json_object_get(op, "domain")))
        json_object_set_new(op, "domain", json_string("ai.onnx"));
  if (args_has(a, "markdown")) return print_markdown(a, all);
  return show(a, all, "operators", "inputs,outputs,attrs,attrs_old,supported,cases");
}
static int run_kernels(const args *a) {
  return show(a, engine_json(sdx_describe_kernels(), "kernels"), "kernel variants", NULL);
}

CLI_COMMAND(ops) = {
    "ops",
    "List the operators this build supports",
    "[WORD ...] [--json | --markdown]",
    "--json adds inputs, outputs, attributes, the element types of every version and test cases.\n\nExamples:\n  "
    "sardonyx ops\n  sardonyx ops conv\n  sardonyx ops "
    "--json\n",
    ops_options,
    0,
    SIZE_MAX,
    run_ops,
};

CLI_COMMAND(kernels) = {
    "kernels",
    "List the kernel variants and which of them this machine uses",
    "[WORD ...] [--json]",
    "SARDONYX_CPU=ref|portable|avx2|avx512|amx|neon narrows the choice.\n\n"
    "Examples:\n  sardonyx kernels\n  sardonyx kernels gemm\n",
    options,
    0,
    SIZE_MAX,
    run_kernels,
};
