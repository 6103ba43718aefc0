// SPDX-License-Identifier: Apache-2.0
// What the commands about a workspace share (workspace.h). Read next: cmd_model.c.
#include "cli/workspace.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/host.h"
#include "cli/engine.h"
#include "cli/json_table.h"
#include "cli/table.h"
#include "support/json.h"

int fault_report(const fault *f) {
  progress_end();
  cli_error(CLI_FAILED, "%s", f->message);
  if (f->hint[0]) cli_hint("%s", f->hint);
  return CLI_FAILED;
}

// ---- progress ------------------------------------------------------------------------------------

static uint64_t shown_ns, begun_ns;

// One line on stderr that is written again and again, where that is a terminal.
static void progress_show(void *context, const char *what, uint64_t done, uint64_t total) {
  uint64_t now = clock_ns();
  if (!begun_ns) begun_ns = now;
  // Nothing in the first half second: most is done by then.
  if (!stream_is_terminal(stderr) || now - begun_ns < 500000000u || now - shown_ns < 100000000u) return;
  char a[32], b[32];
  shown_ns = now;
  if (total)
    fprintf(stderr, "\r%.40s  %s of %s\033[K", what, bytes_describe((double)done, a), bytes_describe((double)total, b));
  else fprintf(stderr, "\r%.60s\033[K", what);
}

void progress_end(void) {
  if (shown_ns) fputs("\r\033[K", stderr);
  shown_ns = begun_ns = 0;
}

registry *workspace_open(const args *a, int *code) {
  fault f = {0};
  registry *r;
  registry_options options = {.workspace = args_text(a, "workspace", NULL), .progress = progress_show};
  *code = registry_open(&options, &r, &f) ? fault_report(&f) : CLI_OK;
  return r;
}

// ---- words ---------------------------------------------------------------------------------------

json_t *words_of(const args *a, const char *option) {
  json_t *list = json_array();
  fault f = {0};
  const char *text;
  for (size_t at = 0; (text = args_each(a, option, &at));) json_array_append_new(list, json_string(text));
  json_t *words = registry_words(list, &f);
  json_decref(list);
  if (!words) {
    fault_place(&f, "--%s", option);
    fault_report(&f);
  }
  return words;
}

// "onnx stage=test"
static char *words_line(const json_t *words) {
  char *line = xstrdup("");
  const char *key;
  json_t *value;
  json_object_foreach((json_t *)words, key, value) {
    const char *text = json_string_value(value);
    char *more = xformat("%s%s%s%s%s", line, *line ? " " : "", key, text && *text ? "=" : "", text ? text : "");
    free(line);
    line = more;
  }
  return line;
}

// ---- printing ------------------------------------------------------------------------------------

void fact_print(const char *name, const char *format, ...) {
  va_list list;
  va_start(list, format);
  char *text = xformat_list(format, list);
  va_end(list);
  for (char *c = text; *c; c++)
    if ((unsigned char)*c < 32 || *c == 127) *c = ' ';
  if (*text) printf("%s%-15s%s %s\n", ink_on(stdout, INK_DIM), name, ink_off(stdout), text);
  free(text);
}

// "2026-03-01 12:00" of an ISO time.
static char *short_time(const char *iso) { return xformat("%.10s %.5s", iso, strlen(iso) > 11 ? iso + 11 : ""); }

static void print_io(const char *name, const json_t *list) {
  size_t i;
  json_t *io;
  json_array_foreach((json_t *)list, i, io) {
    char *shape = json_line(json_object_get(io, "shape"));
    for (char *c = shape; *c; c++)
      if (*c == ' ') *c = ',';
    fact_print(i ? "" : name, "%s  %s[%s]", text_of(io, "name"), text_of(io, "type"), shape);
    free(shape);
  }
}

static void print_facts(const json_t *asset) {
  static const char *const listed[] = {
      "framework", "framework_version", "main",        "producer", "state", "reference",
      "base",      "entry_script",      "scoring_uri", NULL};
  char bytes[32], *tags = words_line(json_object_get(asset, "tags")),
                  *properties = words_line(json_object_get(asset, "properties"));
  char *uses = json_line(json_object_get(asset, "uses")), *used_by = json_line(json_object_get(asset, "used_by"));
  fact_print(text_of(asset, "kind"), "%s", text_of(asset, "id"));
  fact_print("description", "%s", text_of(asset, "description"));
  fact_print("tags", "%s", tags);
  fact_print("properties", "%s", properties);
  for (const char *const *key = listed; *key; key++) fact_print(*key, "%s", text_of(asset, *key));
  print_io("inputs", json_object_get(asset, "inputs"));
  print_io("outputs", json_object_get(asset, "outputs"));
  fact_print("created", "%s", text_of(asset, "created"));
  if (strcmp(text_of(asset, "created"), text_of(asset, "modified")))
    fact_print("modified", "%s", text_of(asset, "modified"));
  fact_print("digest", "%s", text_of(asset, "digest"));
  fact_print("size", "%s", bytes_describe(json_number_value(json_object_get(asset, "size")), bytes));
  fact_print("uses", "%s", uses);
  fact_print("used by", "%s", used_by);
  free(tags);
  free(properties);
  free(uses);
  free(used_by);
}

int asset_print(const args *a, json_t *asset) {
  progress_end();
  if (args_has(a, "json")) {
    json_print(asset);
    return CLI_OK;
  }
  print_facts(asset);
  json_decref(asset);
  return CLI_OK;
}

static void print_files(const json_t *files) {
  size_t i;
  json_t *file;
  table *t = table_create("file<|size>|digest<");
  json_array_foreach((json_t *)files, i, file) {
    char bytes[32];
    table_cell(t, "%.*s", (int)strcspn(text_of(file, "path"), ":"), text_of(file, "path"));  // layer/sha256:...
    table_cell(t, "%s", bytes_describe(json_number_value(json_object_get(file, "size")), bytes));
    table_cell(t, "%.19s", text_of(file, "digest"));
  }
  putchar('\n');
  table_print(t);
  table_destroy(t);
}

// ---- list ----------------------------------------------------------------------------------------

const cli_option asset_list_options[] = {
    OPTION("name", ARG_TEXT, "NAME", "of this name only", .letter = 'n'),
    OPTION("tag", ARG_TEXT, "KEY[=VALUE]", "with this tag only; may be given several times", .letter = 't'),
    OPTION("property", ARG_TEXT, "KEY[=VALUE]", "with this property only; may be given several times"),
    OPTION("framework", ARG_TEXT, "NAME", "of this framework only"),
    OPTION_FLAG("latest", "the newest version of each name only", .letter = 'l'),
    OPTION("count", ARG_INT, "N", "at most N"),
    WORKSPACE_OPTIONS,
    {0}};

const char *const *each_of(const args *a, const char *option) {
  const char **list = xmalloc((a->found_count + 1) * sizeof *list);
  size_t count = 0;
  for (size_t at = 0; (list[count] = args_each(a, option, &at));) count++;
  return list;
}

static const char *register_file(registry *r, const char *path, json_t *ids, fault *f) {
  json_t *asset;
  registry_model model = {.paths = (const char *const[]){path, NULL}};
  if (registry_register_model(r, &model, &asset, f)) return NULL;
  json_t *id = json_object_get(asset, "id");
  json_array_append(ids, id);
  json_decref(asset);
  return json_string_value(id);
}

const char *const *models_of(const args *a, registry *r, json_t *ids) {
  const char **list = (const char **)each_of(a, "model");
  fault f = {0};
  for (size_t i = 0; list[i] && !f.status; i++) {
    size_t length = strlen(list[i]);
    if (length > 5 && !strcmp(list[i] + length - 5, ".onnx")) list[i] = register_file(r, list[i], ids, &f);
  }
  if (!f.status) return list;
  free(list);
  fault_report(&f);
  return NULL;
}

static void print_rows(const json_t *list, asset_kind kind) {
  size_t i;
  json_t *asset;
  table *t = table_create(kind == ASSET_SERVICE ? "name<|state<|tags<|created<|description<"
                                                : "name<|version>|tags<|created<|size>|description<");
  json_array_foreach((json_t *)list, i, asset) {
    char bytes[32], *tags = words_line(json_object_get(asset, "tags")),
                    *created = short_time(text_of(asset, "created"));
    table_cell(t, "%s", text_of(asset, "name"));
    if (kind == ASSET_SERVICE) table_cell(t, "%s", text_of(asset, "state"));
    else table_cell(t, "%lld", (long long)number_of(asset, "version"));
    table_cell(t, "%s", tags);
    table_cell(t, "%s", created);
    if (kind != ASSET_SERVICE)
      table_cell(t, "%s", bytes_describe(json_number_value(json_object_get(asset, "size")), bytes));
    table_cell(t, "%s", text_of(asset, "description"));
    free(tags);
    free(created);
  }
  table_print(t);
  table_destroy(t);
}

int asset_list(const args *a, asset_kind kind) {
  int code;
  fault f = {0};
  json_t *list;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  registry_filter filter = {.name = args_text(a, "name", NULL),
                            .framework = args_text(a, "framework", NULL),
                            .tags = each_of(a, "tag"),
                            .properties = each_of(a, "property"),
                            .latest = args_has(a, "latest"),
                            .count = args_int(a, "count", 0)};
  if (registry_list(r, kind, &filter, &list, &f)) {
    code = fault_report(&f);
  } else if (args_has(a, "json")) {
    json_print(list);
  } else {
    if (json_array_size(list)) print_rows(list, kind);
    else printf("no %ss\n", asset_kind_name(kind));
    json_decref(list);
  }
  free((void *)filter.tags);
  free((void *)filter.properties);
  registry_close(r);
  return code;
}

// ---- show, update, tag, delete -------------------------------------------------------------------

const cli_option asset_show_options[] = {WORKSPACE_OPTIONS, {0}};

int asset_show(const args *a, asset_kind kind) {
  int code;
  fault f = {0};
  json_t *asset;
  registry *r = workspace_open(a, &code);
  if (!r) return code;
  if (registry_get(r, kind, a->words[0], &asset, &f)) {
    code = fault_report(&f);
  } else {
    json_t *files = json_incref(json_object_get(asset, "files"));
    asset_print(a, asset);
    if (!args_has(a, "json")) print_files(files);
    json_decref(files);
  }
  registry_close(r);
  return code;
}

// Applies changes (takes the reference) to the asset of the first word and prints it.
static int change(const args *a, asset_kind kind, json_t *changes) {
  int code = CLI_FAILED;
  fault f = {0};
  json_t *asset;
  registry *r = changes ? workspace_open(a, &code) : NULL;
  if (r) code = registry_update(r, kind, a->words[0], changes, &asset, &f) ? fault_report(&f) : asset_print(a, asset);
  json_decref(changes);
  registry_close(r);
  return code;
}

static void remove_words(json_t *words, const args *a, const char *option) {
  const char *key;
  for (size_t at = 0; (key = args_each(a, option, &at));) json_object_set_new(words, key, json_null());
}

const cli_option asset_update_options[] = {
    WORD_OPTIONS,
    OPTION("remove-tag", ARG_TEXT, "KEY", "a tag to remove; may be given several times"),
    WORKSPACE_OPTIONS,
    {0}};

json_t *asset_changes(const args *a) {
  json_t *tags = words_of(a, "tag"), *properties = tags ? words_of(a, "property") : NULL;
  if (tags) remove_words(tags, a, "remove-tag");
  json_t *changes = properties ? json_pack("{s:o,s:o,s:s*}", "tags", tags, "properties", properties, "description",
                                           args_text(a, "description", NULL))
                               : NULL;
  if (!properties) json_decref(tags);
  return changes;
}

int asset_update(const args *a, asset_kind kind) { return change(a, kind, asset_changes(a)); }

const cli_option asset_tag_options[] = {
    OPTION("remove", ARG_TEXT, "KEY", "a tag to remove; may be given several times", .letter = 'r'),
    WORKSPACE_OPTIONS,
    {0}};

int asset_tag(const args *a, asset_kind kind) {
  json_t *list = json_array();
  fault f = {0};
  for (size_t i = 1; i < a->word_count; i++) json_array_append_new(list, json_string(a->words[i]));
  json_t *tags = registry_words(list, &f);
  json_decref(list);
  if (!tags) return fault_report(&f);
  remove_words(tags, a, "remove");
  if (json_object_size(tags)) return change(a, kind, json_pack("{s:o}", "tags", tags));
  json_decref(tags);
  return cli_error(CLI_USAGE, "%s tag: no tag to set or to remove", asset_kind_name(kind));
}

const cli_option asset_delete_options[] = {WORKSPACE_OPTIONS, {0}};

int asset_delete(const args *a, asset_kind kind) {
  int code;
  fault f = {0};
  registry *r = workspace_open(a, &code);
  json_t *deleted = json_array();
  for (size_t i = 0; r && i < a->word_count && !code; i++) {
    json_t *asset = NULL;
    // The reference is resolved once: what is printed is what was deleted.
    if (!registry_get(r, kind, a->words[i], &asset, &f)) registry_delete(r, kind, text_of(asset, "id"), &f);
    if (f.status) code = fault_report(&f);
    else json_array_append(deleted, json_object_get(asset, "id"));
    if (!code && !args_has(a, "json")) printf("deleted %s %s\n", asset_kind_name(kind), text_of(asset, "id"));
    json_decref(asset);
  }
  if (r && args_has(a, "json")) json_print(json_incref(deleted));
  json_decref(deleted);
  registry_close(r);
  return code;
}
