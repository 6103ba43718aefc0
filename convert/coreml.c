// SPDX-License-Identifier: Apache-2.0
// Core ML: the file (.mlmodel) or package (.mlpackage: a folder with a manifest, the model, its weights), and
// pipelines, whose models hand features to each other by name. Read next: coreml.h.
#include <fcntl.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "convert/coreml.h"
#include "support/files.h"

enum { NEWEST = 10, FIRST_KIND = 200, MOST_MANIFEST = 1 << 20, MOST_MODEL = INT32_MAX };

// ---- models -----------------------------------------------------------------------------------------

static const coreml_kind *find_kind(const char *name) {
  static const coreml_kind *const tables[] = {coreml_network_kinds, coreml_tree_kinds,   coreml_linear_kinds,
                                              coreml_svm_kinds,     coreml_column_kinds, coreml_program_kinds};
  for (size_t i = 0; name && i < sizeof tables / sizeof *tables; i++)
    for (const coreml_kind *kind = tables[i]; kind->name; kind++)
      if (!strcmp(kind->name, name)) return kind;
  return NULL;
}

// The pipeline of a model that is one.
static bool pipeline_of(const char *which, const proto *params, proto *pipeline) {
  if (!which || strncmp(which, "pipeline", 8) != 0) return false;
  *pipeline = *params;
  return !strcmp(which, "pipeline") || proto_get(params, "pipeline", pipeline);
}

// The first network in a model or in those of its pipeline; its name, or NULL.
static const char *find_network(const proto *model, unsigned depth, proto *params) {
  proto pipeline, inner;
  const char *which = proto_which(model, FIRST_KIND, params), *found = NULL;
  if (which && (!strncmp(which, "neuralNetwork", 13) || !strcmp(which, "mlProgram"))) return which;
  if (depth == COREML_DEPTH || !pipeline_of(which, params, &pipeline)) return NULL;
  wire at = pipeline.bytes;
  while (!found && proto_each(&pipeline, &at, "models", &inner)) found = find_network(&inner, depth + 1, params);
  return found;
}

static void emit_model(coreml *m, const proto *model);

static void emit_pipeline(coreml *m, const proto *pipeline) {
  proto model;
  wire at = pipeline->bytes;
  while (!convert_failed(m->c) && proto_each(pipeline, &at, "models", &model)) emit_model(m, &model);
}

static void emit_model(coreml *m, const proto *model) {
  proto params, pipeline;
  const char *which = proto_which(model, FIRST_KIND, &params);
  const coreml_kind *kind = find_kind(which);
  if (m->depth == COREML_DEPTH) {
    convert_fail(m->c, SDX_LIMIT_EXCEEDED, "pipeline", NULL, "pipelines within each other, more than %d", COREML_DEPTH);
    return;
  }
  m->n.layer = m->n.kind = which ? which : "";
  m->depth++;
  if (pipeline_of(which, &params, &pipeline)) emit_pipeline(m, &pipeline);
  else if (kind) kind->emit(m, model, &params);
  else if (which) convert_fail(m->c, SDX_NOT_SUPPORTED, which, NULL, "this kind of model is not converted");
  else convert_fail(m->c, SDX_INVALID_MODEL, "model", NULL, "the file tells no kind of model that is known");
  m->depth--;
}

// ---- the file ---------------------------------------------------------------------------------------

static void describe(coreml *m, const proto *model) {
  static const char *const fields[][2] = {
      {"shortDescription", "description"}, {"author", "author"}, {"license", "license"}, {"versionString", "version"}};
  proto description, metadata;
  proto_get(model, "description", &description);
  proto_get(&description, "metadata", &metadata);
  for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
    str text = proto_text(&metadata, fields[i][0]);
    const char *copy = str_to_c(m->c->memory, text);
    if (!text.size || !copy) continue;
    if (i) sdx_builder_add_metadata(m->c->builder, fields[i][1], copy);
    else sdx_builder_describe(m->c->builder, fields[i][1], copy);
  }
  convert_add_names(m->c, "class_labels", m->label_count, m->labels);
}

static sdx_status convert_model(coreml *m, str bytes) {
  conversion *c = m->c;
  proto model, network;
  if (!proto_open(c, &coreml_model_type, wire_of(bytes.at, bytes.size), &model)) return SDX_INVALID_MODEL;
  int64_t version = proto_int(&model, "specificationVersion", 0);
  if (version < 1 || version > NEWEST)
    return convert_fail(c, SDX_NOT_SUPPORTED, "specificationVersion", NULL, "version %lld, expected 1 to %d",
                        (long long)version, NEWEST);
  convert_made_by(c, "Core ML %lld", (long long)version);
  const char *which = find_network(&model, 0, &network);
  bool program = which && !strcmp(which, "mlProgram");
  m->network = which != NULL;
  m->exact = program || (which && proto_int(&network, "arrayInputShapeMapping", 0) == 1);
  coreml_reserve_outputs(m, &model);
  if (!program) coreml_add_inputs(m, &model);
  if (!convert_failed(c)) emit_model(m, &model);
  if (!convert_failed(c)) coreml_add_outputs(m, &model);
  describe(m, &model);
  return c->f->status;
}

static coreml *create(conversion *c) {
  coreml *m = arena_array(c->memory, 1, sizeof *m);
  if (!m) return NULL;
  m->c = c;
  net_init(&m->n, c);
  str_map_init(&m->feature_of, c->memory);
  return m;
}

// ---- the package ------------------------------------------------------------------------------------

static bool recognise(const source *s) {
  char *manifest = s->folder ? path_format("%s/Manifest.json", s->path) : NULL;
  bool found = manifest && !access(manifest, R_OK);
  free(manifest);
  return found;
}

// Path of the model within the package, as the manifest has it.
static const char *model_path(conversion *c, str manifest) {
  json_t *root = json_loadb(manifest.at, manifest.size, 0, NULL);
  const char *id = json_string_value(json_object_get(root, "rootModelIdentifier"));
  json_t *item = json_object_get(json_object_get(root, "itemInfoEntries"), id ? id : "");
  const char *path = json_string_value(json_object_get(item, "path"));
  char *copy = path && path_beneath(path) ? arena_format(c->memory, "Data/%s", path) : NULL;
  json_decref(root);
  if (!copy) convert_fail(c, SDX_INVALID_MODEL, "Manifest.json", NULL, "it names no model within the package");
  return copy;
}

static sdx_status read_package(coreml *m, int folder) {
  conversion *c = m->c;
  str manifest, model;
  SDX_TRY(convert_read(c, folder, "Manifest.json", MOST_MANIFEST, &manifest));
  const char *path = model_path(c, manifest), *slash = path ? strrchr(path, '/') : NULL;
  if (!path) return SDX_INVALID_MODEL;
  SDX_TRY(convert_read(c, folder, path, MOST_MODEL, &model));
  char *weights = arena_format(c->memory, "%.*s/weights/weight.bin", (int)(slash - path), path);
  if (!weights) return convert_no_memory(c);
  if (!faccessat(folder, weights, R_OK, 0)) SDX_TRY(convert_read(c, folder, weights, (size_t)1 << 40, &m->weights));
  return convert_model(m, model);
}

static sdx_status convert(conversion *c) {
  coreml *m = create(c);
  if (!m) return convert_no_memory(c);
  if (sdx_builder_opset(c->builder, "") < 13)
    return convert_fail(c, SDX_NOT_SUPPORTED, NULL, "--opset 13 or newer", "Core ML's layers need opset 13");
  if (c->source->folder) {
    int folder = folder_open(AT_FDCWD, c->source->path, 0, c->f);
    if (folder < 0) return c->f->status;
    sdx_status status = read_package(m, folder);
    close(folder);
    return status;
  }
  SDX_TRY(source_load(c->source, NULL, NULL, c->f));
  if (c->source->size > 4 && !memcmp(c->source->bytes, "PK\3\4", 4))
    return convert_fail(c, SDX_NOT_SUPPORTED, c->source->path, "unpack it and give the folder",
                        "the package is in a zip archive");
  return convert_model(m, (str){c->source->bytes, (size_t)c->source->size});
}

static const char reference[] =
    "def predict(path, inputs):\n"
    "    import coremltools, numpy\n"
    "    model = coremltools.models.MLModel(path)\n"
    "    results = []\n"
    "    for i in range(max(len(x) for x in inputs.values())):\n"
    "        row = {k: x[i] if x.ndim > 1 or x.dtype.kind in 'OU' else x for k, x in inputs.items()}\n"
    "        results.append(model.predict(row))\n"
    "    return {k: numpy.array([r[k] if not isinstance(r[k], dict) else list(r[k].values()) for r in results])\n"
    "            for k in results[0]}\n";

CONVERT_FORMAT(coreml) = {
    .name = "coreml",
    .title = "Core ML",
    .files = "model (.mlmodel), package with an ML program (.mlpackage)",
    .kinds = CONVERT_KINDS("coreml"),
    .recognise = recognise,
    .convert = convert,
    .reference = reference,
};
