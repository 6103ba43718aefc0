// SPDX-License-Identifier: Apache-2.0
// Building an image (build.h): layers, config, manifest, row.
#include "deploy/build.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "deploy/application.h"
#include "deploy/conda.h"
#include "deploy/environment.h"
#include "deploy/runtime.h"
#include "sardonyx/sardonyx.h"
#include "script/worker.h"
#include "support/files.h"
#include "support/json.h"

enum { MOST_MODELS = 64, OWN_LAYERS = MOST_MODELS + 8, STANDARD_PORT = 5001 };
static const char nobody[] = "65532:65532";

typedef struct build {
  registry *r;
  registry_change *change;
  const build_spec *spec;
  json_t *models[MOST_MODELS];  // assets
  size_t model_count;
  pulled base;
  json_t *base_config;  // NULL: no base
  oci_descriptor *layers;
  char (*diff_ids)[DIGEST_BYTES];
  size_t layer_count;
  json_t *all_diff_ids, *history;
  // Of a script: the interpreter, the environment file, variables, the Python side of workers, what there is to say.
  json_t *python, *packages, *variables, *report;
  char *programs;
} build;

static void epoch_text(char text[32]) {
  time_t seconds = layer_epoch();
  struct tm parts;
  gmtime_r(&seconds, &parts);
  strftime(text, 32, "%Y-%m-%dT%H:%M:%SZ", &parts);
}

// ---- layers ------------------------------------------------------------------------------------

static void note_layer(build *b, const oci_descriptor *d, const char *diff_id, bool own, const char *what) {
  char now[32];
  epoch_text(now);
  b->layers[b->layer_count] = *d;
  snprintf(b->diff_ids[b->layer_count++], DIGEST_BYTES, "%s", own ? diff_id : "");
  json_array_append_new(b->all_diff_ids, json_string(diff_id));
  if (own)
    json_array_append_new(
        b->history, json_pack("{s:s,s:s,s:s}", "created", now, "created_by", "sardonyx image build", "comment", what));
}

// Takes the layer.
static sdx_status write_layer(build *b, layer *l, const char *what, fault *f) {
  layer_result made;
  registry_progress(b->r, what, 0, 0);
  if (!f->status && !layer_write(l, b->r, b->change, b->spec->compression, &made, f))
    note_layer(b, &made.descriptor, made.diff_id, true, what);
  layer_destroy(l);
  return f->status;
}

static sdx_status add_runtime(build *b, fault *f) {
  static const char users[] = "root:x:0:0:root:/:/sbin/nologin\nnonroot:x:65532:65532:nonroot:/:/sbin/nologin\n";
  static const char groups[] = "root:x:0:\nnonroot:x:65532:\n";
  layer *l = layer_create();
  if (!l) return fault_no_memory(f);
  runtime_add(l, registry_command(b->r), f);
  if (b->spec->script && !f->status) application_add_worker(l, b->programs, f);
  if (!b->base_config && !f->status && !layer_add_bytes(l, "etc/passwd", 0644, users, strlen(users), f) &&
      !layer_add_bytes(l, "etc/group", 0644, groups, strlen(groups), f))
    layer_add_folder(l, "tmp", 01777, f);
  return write_layer(b, l, "the server and its libraries", f);
}

static sdx_status add_model(build *b, const json_t *asset, fault *f) {
  layer *l = layer_create();
  json_t *file;
  size_t i;
  if (!l) return fault_no_memory(f);
  json_array_foreach(json_object_get(asset, "files"), i, file) {
    registry_blob blob = {.size = (uint64_t)number_of(file, "size")};
    snprintf(blob.digest, sizeof blob.digest, "%.71s", text_of(file, "digest"));
    char *path = path_format(MODELS_FOLDER "/%s/%lld/%s", text_of(asset, "name"),
                             (long long)number_of(asset, "version"), text_of(file, "path"));
    if (!path) fault_no_memory(f);
    else if (!f->status) layer_add_blob(l, path, 0644, &blob, f);
    free(path);
  }
  char what[NAME_BYTES + 40];
  snprintf(what, sizeof what, "model %s", text_of(asset, "id"));
  return write_layer(b, l, what, f);
}

// ---- scripts -----------------------------------------------------------------------------------

// The version of the Python that a base says it has, as the official images do.
static const char *base_python(const build *b) {
  const json_t *list = json_object_get(json_object_get(b->base_config, "config"), "Env"), *one;
  size_t i;
  json_array_foreach((json_t *)list, i, one) {
    const char *text = json_string_value(one);
    if (text && !strncmp(text, "PYTHON_VERSION=", 15)) return text + 15;
  }
  return NULL;
}

static sdx_status add_environment(build *b, fault *f) {
  layer *interpreter = layer_create(), *packages = layer_create();
  char *folder = path_format("%s/packages", registry_change_path(b->change));
  const char *wanted = json_string_value(json_object_get(b->packages, "python"));
  json_t *notes = NULL;
  environment_spec spec = {.python = b->python,
                           .programs = b->programs,
                           .packages = b->packages,
                           .interpreter = !b->base_config,
                           .version = base_python(b),
                           .folder = folder};
  if (b->base_config && !spec.version) spec.version = wanted;
  if (!interpreter || !packages || !folder) fault_no_memory(f);
  else environment_add(&spec, interpreter, packages, &notes, f);
  const char *version = spec.version ? spec.version : json_string_value(json_object_get(b->python, "version"));
  if (notes && wanted && version && strncmp(wanted, version, strlen(wanted)) != 0)
    json_array_append_new(notes, json_sprintf("python %s is asked for, the image has %s", wanted, version));
  if (notes) json_object_set(b->report, "notes", notes);
  json_decref(notes);
  if (spec.interpreter) write_layer(b, interpreter, "Python", f);
  else layer_destroy(interpreter);
  write_layer(b, packages, "packages", f);
  free(folder);
  return f->status;
}

static sdx_status add_script(build *b, fault *f) {
  layer *l = layer_create();
  if (!l) return fault_no_memory(f);
  application_add(l, b->spec->script, b->spec->files, f);
  return write_layer(b, l, "script", f);
}

// An entry "NAME=value" takes the place of one of that name. Takes the entry.
static void set_variable(json_t *list, json_t *entry) {
  const char *text = json_string_value(entry), *there = NULL;
  size_t i = 0;
  while (text && (there = json_string_value(json_array_get(list, i))) && strncmp(there, text, strcspn(text, "=") + 1))
    i++;
  if (there) json_array_set_new(list, i, entry);
  else json_array_append_new(list, entry);
}

static sdx_status take_variable(build *b, const char *text, fault *f) {
  int name = (int)strcspn(text, "=");
  json_t *entry = json_string(text);
  if (!name || !text[name] || !entry) {
    fault_set(f, SDX_INVALID_ARGUMENT, "variable '%.100s': expected NAME=VALUE in UTF-8", text);
  } else if (script_sets(text)) {
    fault_set(f, SDX_INVALID_ARGUMENT, "variable '%.*s': the sandbox of scripts sets it itself", name, text);
  } else {
    set_variable(b->variables, json_incref(entry));
  }
  json_decref(entry);
  return f->status;
}

static sdx_status take_variables(build *b, fault *f) {
  const json_t *of_file = json_object_get(b->packages, "variables");
  b->variables = json_array();
  for (size_t i = 0; i < json_array_size(of_file) && !f->status; i++)
    take_variable(b, json_string_value(json_array_get(of_file, i)), f);
  for (const char *const *v = b->spec->variables; v && *v && !f->status; v++) take_variable(b, *v, f);
  return f->status;
}

static sdx_status prepare_script(build *b, fault *f) {
  b->python = script_python(b->spec->dryrun.python, f);
  if (!f->status) b->programs = script_programs(registry_command(b->r), f);
  if (!f->status && b->spec->conda) b->packages = conda_read(b->spec->conda, f);
  if (!f->status) take_variables(b, f);
  b->report = json_object();
  return f->status;
}

static sdx_status try_script(build *b, fault *f) {
  dryrun_spec spec = b->spec->dryrun;
  json_t *models = json_array(), *names = environment_names(b->packages), *said = NULL;
  for (size_t i = 0; i < b->model_count; i++) json_array_append(models, b->models[i]);
  spec.script = b->spec->script;
  spec.files = b->spec->files;
  spec.models = models;
  spec.packages = names;
  spec.variables = b->variables;
  if (!dryrun(b->r, &spec, &said, f)) json_object_update(b->report, said);
  json_int_t errors = number_of(said, "errors");
  if (!f->status && errors && b->spec->strict) {
    fault_set(f, SDX_CONFLICT, "%s has %lld error%s: no image is built", b->spec->script, (long long)errors,
              errors == 1 ? "" : "s");
    fault_hint(f, "without --strict it is built as it is");
  }
  json_decref(said);
  json_decref(models);
  json_decref(names);
  return f->status;
}

// ---- base --------------------------------------------------------------------------------------

static sdx_status pull_base(build *b, fault *f) {
  const char *base = b->spec->base;
  if (!base || !strcmp(base, "none")) return SDX_OK;
  if (transfer_pull(b->r, b->change, base, &b->spec->transfer, &b->base, f)) return fault_place(f, "base %s", base);
  b->base_config = json_loadb(b->base.config, b->base.config_size, JSON_REJECT_DUPLICATES, NULL);
  const json_t *ids = json_object_get(json_object_get(b->base_config, "rootfs"), "diff_ids");
  const char *architecture = text_of(b->base_config, "architecture");
  if (b->base.manifest.artifact_type[0] || !json_is_array(ids))
    return fault_set(f, SDX_INVALID_MODEL, "base %s: it is not an image", base);
  if (json_array_size(ids) != b->base.manifest.layer_count)
    return fault_set(f, SDX_INVALID_MODEL, "base %s: %zu layers, and digests of %zu", base,
                     b->base.manifest.layer_count, json_array_size(ids));
  if (strcmp(architecture, oci_architecture()))
    return fault_set(f, SDX_INVALID_MODEL, "base %s: it is for %s, this machine makes images for %s", base,
                     architecture, oci_architecture());
  for (size_t i = 0; i < json_array_size(ids); i++)
    if (!json_is_string(json_array_get(ids, i)) || !digest_valid(json_string_value(json_array_get(ids, i))))
      return fault_set(f, SDX_INVALID_MODEL, "base %s: a layer's digest is not one", base);
  return SDX_OK;
}

static sdx_status begin_layers(build *b, fault *f) {
  size_t most = b->base.manifest.layer_count + OWN_LAYERS;
  b->layers = calloc(most, sizeof *b->layers);
  b->diff_ids = calloc(most, sizeof *b->diff_ids);
  b->all_diff_ids = json_array();
  b->history = json_is_array(json_object_get(b->base_config, "history"))
                   ? json_deep_copy(json_object_get(b->base_config, "history"))
                   : json_array();
  if (!b->layers || !b->diff_ids || !b->all_diff_ids || !b->history) return fault_no_memory(f);
  const json_t *ids = json_object_get(json_object_get(b->base_config, "rootfs"), "diff_ids");
  for (size_t i = 0; i < b->base.manifest.layer_count; i++)
    note_layer(b, &b->base.manifest.layers[i], json_string_value(json_array_get(ids, i)), false, NULL);
  return SDX_OK;
}

// ---- documents ---------------------------------------------------------------------------------

static json_t *labels_of(const build *b) {
  json_t *labels = json_object(), *names = json_string("");
  const json_t *base = json_object_get(json_object_get(b->base_config, "config"), "Labels");
  if (json_is_object(base)) json_object_update(labels, (json_t *)base);
  for (size_t i = 0; i < b->model_count; i++) {
    json_t *more = json_sprintf("%s%s%s", json_string_value(names), i ? " " : "", text_of(b->models[i], "id"));
    json_decref(names);
    names = more;
  }
  json_object_set_new(labels, "org.opencontainers.image.title", json_string(b->spec->name));
  if (b->spec->description)
    json_object_set_new(labels, "org.opencontainers.image.description", json_string(b->spec->description));
  json_object_set_new(labels, "io.sardonyx.version", json_string(sdx_version()));
  json_object_set_new(labels, "io.sardonyx.models", names);
  json_object_set_new(labels, "io.sardonyx.healthcheck", json_string("/health/ready"));
  if (b->spec->labels) json_object_update(labels, (json_t *)b->spec->labels);
  return labels;
}

// What the server is told: where to listen and which files are the models.
static json_t *command_of(const build *b) {
  json_t *command = json_pack("[s,s,s]", "--host", "0.0.0.0", "--port");
  json_array_append_new(command, json_sprintf("%d", b->spec->port ? b->spec->port : STANDARD_PORT));
  if (b->spec->script) {
    json_array_append_new(command, json_string("--script"));
    json_array_append_new(command, json_sprintf("/" APPLICATION_FOLDER "/%s", application_entry(b->spec->script)));
  }
  for (size_t i = 0; i < b->model_count; i++)
    if (*text_of(b->models[i], "main"))
      json_array_append_new(
          command,
          json_sprintf("%s=/" MODELS_FOLDER "/%s/%lld/%s", text_of(b->models[i], "name"), text_of(b->models[i], "name"),
                       (long long)number_of(b->models[i], "version"), text_of(b->models[i], "main")));
  return command;
}

// What scripts of the scoring container find in their environment, and what was asked for.
static void add_variables(const build *b, json_t *list) {
  size_t i;
  json_t *own;
  set_variable(list, json_sprintf("AZUREML_ENTRY_SCRIPT=%s", application_entry(b->spec->script)));
  set_variable(list, json_string("AML_APP_ROOT=/" APPLICATION_FOLDER));
  if (b->model_count == 1)
    set_variable(list, json_sprintf("AZUREML_MODEL_DIR=/" MODELS_FOLDER "/%s/%lld", text_of(b->models[0], "name"),
                                    (long long)number_of(b->models[0], "version")));
  else set_variable(list, json_string("AZUREML_MODEL_DIR=/" MODELS_FOLDER));
  json_array_foreach(b->variables, i, own) set_variable(list, json_incref(own));
}

static json_t *config_of(const build *b) {
  json_t *run = json_object(), *ports = json_object();
  const json_t *base = json_object_get(b->base_config, "config");
  char port[24], now[32];
  epoch_text(now);
  if (json_is_object(base)) json_object_update(run, (json_t *)base);
  json_object_del(run, "OnBuild");
  snprintf(port, sizeof port, "%d/tcp", b->spec->port ? b->spec->port : STANDARD_PORT);
  json_object_set_new(ports, port, json_object());
  if (!*text_of(run, "User")) json_object_set_new(run, "User", json_string(nobody));
  if (!*text_of(run, "WorkingDir")) json_object_set_new(run, "WorkingDir", json_string("/"));
  if (!json_is_array(json_object_get(run, "Env")))
    json_object_set_new(run, "Env", json_pack("[s]", "PATH=/opt/sardonyx/bin:/usr/local/bin:/usr/bin:/bin"));
  if (b->spec->script) {
    json_object_set_new(run, "Env", json_deep_copy(json_object_get(run, "Env")));
    add_variables(b, json_object_get(run, "Env"));
  }
  json_object_set_new(run, "ExposedPorts", ports);
  json_object_set_new(run, "Labels", labels_of(b));
  json_object_set_new(run, "Entrypoint", json_pack("[s,s]", RUNTIME_PROGRAM, "serve"));
  json_object_set_new(run, "Cmd", command_of(b));
  return json_pack("{s:s,s:s,s:s,s:o,s:{s:s,s:O},s:O}", "created", now, "architecture", oci_architecture(), "os",
                   "linux", "config", run, "rootfs", "type", "layers", "diff_ids", b->all_diff_ids, "history",
                   b->history);
}

static sdx_status add_document(build *b, json_t *json, const char *media_type, oci_descriptor *d, fault *f) {
  registry_blob blob;
  char *text = json ? json_dumps(json, JSON_COMPACT | JSON_SORT_KEYS) : NULL;
  json_decref(json);
  if (!text) return fault_set(f, SDX_INVALID_ARGUMENT, "labels and names of an image are expected to be UTF-8");
  *d = (oci_descriptor){0};
  snprintf(d->media_type, sizeof d->media_type, "%s", media_type);
  if (!registry_add_bytes(b->change, text, strlen(text), &blob, f)) {
    memcpy(d->digest, blob.digest, DIGEST_BYTES);
    d->size = blob.size;
  }
  free(text);
  return f->status;
}

static sdx_status commit(build *b, json_t **asset, fault *f) {
  image_parts parts = {.layers = b->layers, .diff_ids = b->diff_ids, .layer_count = b->layer_count};
  if (add_document(b, config_of(b), OCI_CONFIG, &parts.config, f)) return f->status;
  json_t *layers = json_array();
  for (size_t i = 0; i < b->layer_count; i++) json_array_append_new(layers, oci_descriptor_json(&b->layers[i]));
  json_t *manifest = json_pack("{s:i,s:s,s:o,s:o}", "schemaVersion", 2, "mediaType", OCI_MANIFEST, "config",
                               oci_descriptor_json(&parts.config), "layers", layers);
  if (add_document(b, manifest, OCI_MANIFEST, &parts.manifest, f)) return f->status;
  char uses[MOST_MODELS][NAME_BYTES + 40];
  const char *used[MOST_MODELS + 1] = {NULL};
  for (size_t i = 0; i < b->model_count; i++) {
    snprintf(uses[i], sizeof uses[i], "model/%s", text_of(b->models[i], "id"));
    used[i] = uses[i];
  }
  json_t *detail =
      json_pack("{s:s,s:s,s:i,s:s*,s:s*}", "os", "linux", "architecture", oci_architecture(), "port",
                b->spec->port ? b->spec->port : STANDARD_PORT, "base", b->base_config ? b->spec->base : NULL,
                "entry_script", b->spec->script ? application_entry(b->spec->script) : NULL);
  registry_draft draft = {.kind = ASSET_IMAGE,
                          .name = b->spec->name,
                          .description = b->spec->description,
                          .tags = b->spec->tags,
                          .properties = b->spec->properties,
                          .detail = detail,
                          .uses = used};
  image_commit(b->change, &parts, draft, asset, f);
  json_decref(detail);
  return f->status;
}

// ---- all of it ---------------------------------------------------------------------------------

static sdx_status find_models(build *b, fault *f) {
  for (const char *const *m = b->spec->models; m && *m && !f->status; m++) {
    if (b->model_count == MOST_MODELS)
      return fault_set(f, SDX_LIMIT_EXCEEDED, "an image holds at most %d models", MOST_MODELS);
    json_t *asset;
    if (registry_get(b->r, ASSET_MODEL, *m, &asset, f)) return f->status;
    b->models[b->model_count++] = asset;
    if (!*text_of(asset, "main") && !b->spec->script) {
      fault_set(f, SDX_CONFLICT, "model %s is not an ONNX model but %s: the server cannot run it by itself",
                text_of(asset, "id"), text_of(asset, "framework"));
      fault_hint(f, "a script can: --script score.py");
    }
  }
  if (!f->status && !b->model_count) fault_set(f, SDX_INVALID_ARGUMENT, "an image needs a model");
  return f->status;
}

static sdx_status add_layers(build *b, fault *f) {
  if (pull_base(b, f) || begin_layers(b, f) || add_runtime(b, f)) return f->status;
  if (b->spec->script && add_environment(b, f)) return f->status;
  for (size_t i = 0; i < b->model_count && !f->status; i++) add_model(b, b->models[i], f);
  if (b->spec->script && !f->status) add_script(b, f);
  return f->status;
}

static void build_free(build *b) {
  for (size_t i = 0; i < b->model_count; i++) json_decref(b->models[i]);
  pulled_free(&b->base);
  json_decref(b->base_config);
  json_decref(b->all_diff_ids);
  json_decref(b->history);
  json_decref(b->python);
  json_decref(b->packages);
  json_decref(b->variables);
  free(b->programs);
  free(b->layers);
  free(b->diff_ids);
}

sdx_status build_image(registry *r, const build_spec *spec, json_t **asset, json_t **report, fault *f) {
  build b = {.r = r, .spec = spec};
  *asset = *report = NULL;
  if (!spec->name || !name_valid(spec->name)) {
    fault_set(f, SDX_INVALID_ARGUMENT, "'%.200s' cannot name an image", spec->name ? spec->name : "");
    return fault_hint(f, "letters, digits, '.', '_' and '-', at most %d of them", NAME_BYTES);
  }
  find_models(&b, f);
  if (!f->status && spec->script && !prepare_script(&b, f) && !spec->skip_dryrun) try_script(&b, f);
  if (!f->status && !registry_begin(r, &b.change, f)) {
    if (!add_layers(&b, f)) commit(&b, asset, f);
    registry_end(b.change);
  }
  *report = b.report;
  build_free(&b);
  return f->status;
}

sdx_status build_dryrun(registry *r, const build_spec *spec, json_t **report, fault *f) {
  build b = {.r = r, .spec = spec};
  if (!find_models(&b, f) && !prepare_script(&b, f)) try_script(&b, f);
  *report = b.report;
  build_free(&b);
  return f->status;
}
