// SPDX-License-Identifier: Apache-2.0
// Conda environment files by libyaml (conda.h). Only what is expected is looked at, at the depth where it is expected.
#include "deploy/conda.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <yaml.h>

#include "support/files.h"

enum { FILE_BYTES = 1 << 20, MOST_ITEMS = 1000 };

static const char *scalar(yaml_document_t *d, int index) {
  yaml_node_t *node = yaml_document_get_node(d, index);
  return node && node->type == YAML_SCALAR_NODE && strlen((char *)node->data.scalar.value) == node->data.scalar.length
             ? (const char *)node->data.scalar.value
             : NULL;
}

// The value of a key in a mapping.
static yaml_node_t *find(yaml_document_t *d, yaml_node_t *mapping, const char *key) {
  if (!mapping || mapping->type != YAML_MAPPING_NODE) return NULL;
  for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < mapping->data.mapping.pairs.top; p++) {
    const char *name = scalar(d, p->key);
    if (name && !strcmp(name, key)) return yaml_document_get_node(d, p->value);
  }
  return NULL;
}

// "python=3.6.2", "python==3.6", "python": the version goes into `python`.
static bool take_python(const char *text, json_t *out) {
  if (strncmp(text, "python", 6) || (text[6] && !strchr("=<>! ", text[6]))) return false;
  const char *version = text + 6 + strspn(text + 6, "=<>! ");
  json_object_set_new(out, "python", *version ? json_string(version) : json_null());
  return true;
}

static sdx_status take_list(yaml_document_t *d, yaml_node_t *list, json_t *out, json_t *all, fault *f) {
  if (!list || list->type != YAML_SEQUENCE_NODE)
    return fault_set(f, SDX_INVALID_ARGUMENT, "a list of packages is expected");
  for (yaml_node_item_t *item = list->data.sequence.items.start; item < list->data.sequence.items.top; item++) {
    const char *text = scalar(d, *item);
    if (json_array_size(out) == MOST_ITEMS)
      return fault_set(f, SDX_LIMIT_EXCEEDED, "more than %d packages", MOST_ITEMS);
    if (text && !(all && take_python(text, all))) {
      if (json_array_append_new(out, json_string(text)))
        return fault_set(f, SDX_INVALID_ARGUMENT, "a package's name is not UTF-8");
    } else if (!text && all) {
      yaml_node_t *pip = find(d, yaml_document_get_node(d, *item), "pip");
      if (!pip)
        return fault_set(f, SDX_INVALID_ARGUMENT, "dependencies: expected names of packages, and a list under pip");
      if (take_list(d, pip, json_object_get(all, "pip"), NULL, f)) return f->status;
    } else if (!text) {
      return fault_set(f, SDX_INVALID_ARGUMENT, "pip: expected names of packages");
    }
  }
  return SDX_OK;
}

static sdx_status take_variables(yaml_document_t *d, yaml_node_t *mapping, json_t *out, fault *f) {
  if (mapping->type != YAML_MAPPING_NODE)
    return fault_set(f, SDX_INVALID_ARGUMENT, "variables: expected names and values");
  for (yaml_node_pair_t *p = mapping->data.mapping.pairs.start; p < mapping->data.mapping.pairs.top; p++) {
    const char *name = scalar(d, p->key), *value = scalar(d, p->value);
    if (json_array_size(out) == MOST_ITEMS)
      return fault_set(f, SDX_LIMIT_EXCEEDED, "more than %d variables", MOST_ITEMS);
    if (!name || !value || json_array_append_new(out, json_sprintf("%s=%s", name, value)))
      return fault_set(f, SDX_INVALID_ARGUMENT, "variables: expected a name and a value in UTF-8");
  }
  return SDX_OK;
}

static json_t *take_document(yaml_document_t *d, fault *f) {
  yaml_node_t *root = yaml_document_get_root_node(d), *dependencies = find(d, root, "dependencies"),
              *channels = find(d, root, "channels"), *variables = find(d, root, "variables");
  json_t *all = json_pack("{s:n,s:n,s:[],s:[],s:[],s:[]}", "name", "python", "pip", "conda", "channels", "variables");
  yaml_node_t *name = find(d, root, "name");
  if (!all) fault_no_memory(f);
  else if (!root || root->type != YAML_MAPPING_NODE)
    fault_set(f, SDX_INVALID_ARGUMENT, "expected keys and values, among them dependencies");
  else if (name && name->type == YAML_SCALAR_NODE)
    json_object_set_new(all, "name", json_string((char *)name->data.scalar.value));
  if (!f->status && dependencies) take_list(d, dependencies, json_object_get(all, "conda"), all, f);
  if (!f->status && channels) take_list(d, channels, json_object_get(all, "channels"), NULL, f);
  if (!f->status && variables) take_variables(d, variables, json_object_get(all, "variables"), f);
  if (!f->status) return all;
  json_decref(all);
  return NULL;
}

json_t *conda_parse(const char *bytes, size_t size, fault *f) {
  yaml_parser_t parser;
  yaml_document_t document;
  json_t *all = NULL;
  if (!yaml_parser_initialize(&parser)) {
    fault_no_memory(f);
    return NULL;
  }
  yaml_parser_set_input_string(&parser, (const unsigned char *)bytes, size);
  if (!yaml_parser_load(&parser, &document)) {
    fault_set(f, SDX_INVALID_ARGUMENT, "line %zu: %s", parser.problem_mark.line + 1,
              parser.problem ? parser.problem : "not YAML");
  } else {
    all = take_document(&document, f);
    yaml_document_delete(&document);
  }
  yaml_parser_delete(&parser);
  return all;
}

json_t *conda_read(const char *path, fault *f) {
  size_t size;
  char *bytes = file_load(AT_FDCWD, path, FILE_BYTES, &size, f);
  json_t *all = bytes ? conda_parse(bytes, size, f) : NULL;
  if (bytes && !all) fault_place(f, "%s", path);
  free(bytes);
  return all;
}
