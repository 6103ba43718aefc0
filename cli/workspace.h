// SPDX-License-Identifier: Apache-2.0
// What the commands about a workspace share: opening it, telling what failed, assets as tables and as facts, words for
// tags, and the commands that are the same for every kind of asset.
#pragma once

#include <jansson.h>

#include "cli/cli.h"
#include "registry/registry.h"

#define WORKSPACE_OPTION                                                                                       \
  OPTION("workspace", ARG_TEXT, "FOLDER", "folder or config.json (default: found from the current folder up)", \
         .letter = 'w')
#define WORKSPACE_OPTIONS WORKSPACE_OPTION, OPTION_FLAG("json", "machine-readable")
#define WORD_OPTIONS                                                                                            \
  OPTION("tag", ARG_TEXT, "KEY[=VALUE]", "a tag; may be given several times", .letter = 't'),                   \
      OPTION("property", ARG_TEXT, "KEY=VALUE", "a property, never changed later; may be given several times"), \
      OPTION("description", ARG_TEXT, "TEXT", "what it is", .letter = 'd')

// Prints message and hint; the exit code that fits.
int fault_report(const fault *f);
registry *workspace_open(const args *a, int *code);  // NULL after printing
void progress_end(void);                             // takes the line of progress away before something else is printed

// Values of a repeated option as {key: value}; NULL after printing.
json_t *words_of(const args *a, const char *option);
// Values of a repeated option, ended by NULL; free() the list.
const char *const *each_of(const args *a, const char *option);
// The values of --model, ended by NULL; a file among them (its name ends in .onnx) is registered first, and `ids` owns
// what it is called then. free() the list. NULL after printing.
const char *const *models_of(const args *a, registry *r, json_t *ids);
// Prints one asset, or JSON with --json; takes the reference.
int asset_print(const args *a, json_t *asset);
// A fact on its own line: "name        value".
void fact_print(const char *name, const char *format, ...) __attribute__((format(printf, 2, 3)));

// ---- to and from elsewhere: models and images alike ------------------------------------------------
#define TRANSFER_OPTIONS \
  OPTION_FLAG("plain-http", "talk to the registry without TLS; this machine's are always talked to so")
extern const cli_option transfer_push_options[], transfer_pull_options[], transfer_file_options[];
int transfer_push_to(const args *a, asset_kind kind);    // NAME[:VERSION] PLACE
int transfer_pull_from(const args *a, asset_kind kind);  // PLACE
int transfer_export_to(const args *a, asset_kind kind);  // NAME[:VERSION] FOLDER|FILE.tar
int transfer_import_from(const args *a);                 // FOLDER|FILE.tar

// ---- commands of any kind -------------------------------------------------------------------------
extern const cli_option asset_list_options[], asset_show_options[], asset_update_options[], asset_tag_options[],
    asset_delete_options[];
// What the options of `update` change, for registry_update; NULL after printing.
json_t *asset_changes(const args *a);
int asset_list(const args *a, asset_kind kind);
int asset_show(const args *a, asset_kind kind);
int asset_update(const args *a, asset_kind kind);
int asset_tag(const args *a, asset_kind kind);
int asset_delete(const args *a, asset_kind kind);
